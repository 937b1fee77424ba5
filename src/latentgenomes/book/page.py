"""A page of the book from one executed notebook: one HTML file that needs no network.

The page is rendered as the book is, by Sphinx with the settings of `_config.yml`. The other pages of the book
stand in as their headings and labels, so that links get their text; the links lead to the published book.
"""

import io
import json
import re
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from latentgenomes.book.cells import page_notebook
from latentgenomes.book.single_file import one_file
from latentgenomes.core.extras import package_folder, require
from latentgenomes.core.provenance import replacing
from latentgenomes.core.resources import locate

_HERE = Path(__file__).resolve().parent

#: Parts of the book's build that a lone page does not need; without them it is made in half the time.
_ELSEWHERE = {
    "sphinx.ext.autodoc",
    "sphinx.ext.intersphinx",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_comments",
    "sphinx_jupyterbook_latex",
    "sphinx_multitoc_numbering",
    "sphinx_thebe",
    "sphinx-mathjax-offline",  # its 24 MB are copied at every build; one of its files is enough
}


class PageError(RuntimeError):
    """The page of a notebook cannot be made; the message is one line and names the notebook, now kept."""


def write_page(notebook: Path, target: Path, *, report: bool = False) -> None:
    """Write an executed notebook as a page of the book; a `report` shows neither code nor parameters.

    The file appears when it is complete; an older one stays when the page cannot be made, which is a
    PageError. The notebook is only read.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="latentgenomes-page-") as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Sphinx and its extensions; none of them is the reader's
            text = _rendered(notebook, Path(folder).resolve(), report=report)
        with replacing(target) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except ImportError:
        raise
    except Exception as error:
        reason = (str(error).strip().splitlines() or [""])[0]
        raise PageError(
            f"The page of {notebook.stem} cannot be made ({type(error).__name__}: {reason}). "
            f"The executed notebook is kept: {notebook}."
        ) from error


def _rendered(notebook: Path, folder: Path, *, report: bool) -> str:
    """HTML of the page; everything on the way to it is below a folder."""
    nbformat = require("nbformat", extra="book")
    cells = nbformat.writes(page_notebook(nbformat.read(notebook, as_version=4), report=report))
    name = f"notebooks/{notebook.stem}"
    source, made = folder / "source", folder / "made"
    pages = _pages()
    _lay_out(source, pages - {name})
    (source / f"{name}.ipynb").write_text(cells, encoding="utf-8")
    static = source / "book/_static"
    if "Plotly.newPlot" in cells:
        script = require("plotly.offline", extra="book").get_plotlyjs()
        (static / "plotly.min.js").write_text(script, encoding="utf-8")
    settings = _settings(name, known=name in pages, plotly="Plotly.newPlot" in cells)
    if report:  # of the user's own data: neither our names nor our licence stand under it
        settings["html_theme_options"]["footer_content_items"] = []
    _build(source, made, settings, source / f"{name}.ipynb")
    return one_file(made / f"{name}.html", f"{settings['html_baseurl']}/{name}.html")


def _settings(name: str, *, known: bool, plotly: bool) -> dict[str, Any]:
    """Sphinx settings of the book, less what a lone page does not show."""
    settings: dict[str, Any]
    settings, _ = require("jupyter_book.config", extra="book").get_final_config(
        user_yaml=locate("_config.yml"),
        cli_config={"latex_individualpages": False},
        use_external_toc=False,
    )
    base = settings["html_baseurl"]
    options = {
        **settings["html_theme_options"],
        "article_header_start": ["published.html"],
        "launch_buttons": {},
        "use_download_button": False,
        "use_issues_button": False,
        "use_repository_button": False,
        "show_prev_next": False,
    }
    return {
        **settings,
        "extensions": [part for part in settings["extensions"] if part not in _ELSEWHERE],
        "root_doc": name,
        "templates_path": [str(_HERE / "templates")],
        "mathjax_path": "mathjax.js",
        "html_css_files": [*settings.get("html_css_files", []), "page.css"],
        "html_js_files": ["plotly.min.js"] if plotly else [],
        "html_theme_options": options,
        "html_sidebars": {"**": []},
        "html_context": {
            "published": f"{base}/{name}.html" if known else f"{base}/",
            "published_name": "This page in the book" if known else settings["html_title"],
        },
        "html_copy_source": False,
        "html_use_index": False,
        "html_domain_indices": False,
        "nb_code_prompt_show": "Show code",
        "nb_code_prompt_hide": "Hide code",
        "nb_merge_streams": True,
        "nb_ipywidgets_js": {},
    }


def _build(source: Path, made: Path, settings: dict[str, Any], page: Path) -> None:
    """Render one page; what Sphinx has to say is said nowhere, and nothing of it stays in this process."""
    application = require("sphinx.application", extra="book")
    namespaces = require("sphinx.util.docutils", extra="book")
    nodes = require("docutils.nodes", extra="book")
    base = settings["html_baseurl"]

    def elsewhere(app: Any, env: Any, node: Any, text: Any) -> Any:
        """Link to the published reference for names of the package; plain words for what is unknown."""
        target = node.get("reftarget", "")
        if node.get("refdomain") == "py" and target.startswith("latentgenomes."):
            return nodes.reference("", "", text, refuri=f"{base}/book/api.html#{target}", internal=False)
        return text

    with namespaces.patch_docutils(), namespaces.docutils_namespace():
        app = application.Sphinx(
            srcdir=str(source),
            confdir=None,
            outdir=str(made),
            doctreedir=str(made / ".doctrees"),
            buildername="html",
            confoverrides=settings,
            status=None,
            warning=io.StringIO(),
            freshenv=True,
        )
        app.builder.search = False
        app.connect("missing-reference", elsewhere)
        app.build(filenames=[str(page)])


def _lay_out(source: Path, pages: set[str]) -> None:
    """Write what the page refers to: pictures, styles, works, glossary, and the outline of the rest."""
    static = source / "book/_static"
    shutil.copytree(locate("book/_static"), static)
    shutil.copyfile(_HERE / "page.css", static / "page.css")
    mathjax = package_folder("sphinx-mathjax-offline", extra="book") / "static/mathjax/tex-svg-full.js"
    shutil.copyfile(mathjax, static / "mathjax.js")
    shutil.copyfile(locate("book/references.bib"), source / "book/references.bib")
    (source / "notebooks").mkdir()
    for page in pages:
        copy = source / page
        if page == "book/glossary":
            shutil.copyfile(locate(f"{page}.md"), copy.with_suffix(".md"))
        elif page.startswith("notebooks/"):
            cell = {"cell_type": "markdown", "metadata": {}, "source": _outline(page)}
            text = json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 4})
            copy.with_suffix(".ipynb").write_text(text, encoding="utf-8")
        else:
            copy.with_suffix(".md").write_text(_outline(page), encoding="utf-8")


def _pages() -> set[str]:
    """Names of the pages of the book, from its table of contents."""

    def files(entry: dict[str, Any]) -> Iterator[str]:
        yield from (entry[key] for key in ("root", "file") if key in entry)
        for key in ("parts", "chapters", "sections"):
            for below in entry.get(key, []):
                yield from files(below)

    text = locate("book/_toc.yml").read_text(encoding="utf-8")
    return set(files(require("yaml", extra="book").safe_load(text)))


def _outline(page: str) -> str:
    """Headings of a page and their labels; its name as the title where the page is made by the build."""
    try:
        if page.startswith("notebooks/"):
            notebook = json.loads(locate(f"{page}.ipynb").read_text(encoding="utf-8"))
            sources = [cell["source"] for cell in notebook["cells"] if cell["cell_type"] == "markdown"]
            text = "\n".join(source if isinstance(source, str) else "".join(source) for source in sources)
        else:
            text = locate(f"{page}.md").read_text(encoding="utf-8")
    except FileNotFoundError:
        text = ""
    text = re.sub(r"^(`{3,}|~{3,}).*?^\1`*\s*$", "", text, flags=re.MULTILINE | re.DOTALL)
    lines = re.findall(r"^(?:#{1,6} .*|\([\w.:-]+\)=)$", text, flags=re.MULTILINE)
    title = page.rpartition("/")[2].replace("_", " ").capitalize()
    return "\n\n".join(lines or [f"# {title}"]) + "\n"
