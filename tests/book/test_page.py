"""The page of a run: one file that reads like the book and shows nothing of the machine."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup

from latentgenomes.book import page as page_module
from latentgenomes.book.cells import page_notebook
from latentgenomes.book.page import PageError, write_page
from latentgenomes.core.parameters import read_parameters

ROOT = Path(__file__).parents[2]
NAMES = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
BOOK = "https://latentgenomes.github.io/latentgenomes"
OUT = "/home/reader/My runs/out"
CHANGED = {"output_dir": OUT, "seed": 7, "catalog": "/home/reader/data/my matrix.csv"}
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
REMOTE = re.compile(r"^\s*(https?:)?//", re.IGNORECASE)


def executed(name, folder):
    """A stored notebook with the marks that papermill leaves after a run."""
    notebook = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    (at,) = [i for i, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", [])]
    declared = read_parameters(notebook.cells[at].source)
    given = {key: CHANGED.get(key, parameter.default) for key, parameter in declared.items()}
    cell = nbformat.v4.new_code_cell(f"# Parameters\noutput_dir = {OUT!r}")
    cell.metadata["tags"] = ["injected-parameters"]
    notebook.cells.insert(at + 1, cell)
    printed = nbformat.v4.new_code_cell("print(output_dir)")
    printed.outputs = [
        nbformat.v4.new_output("stream", name="stdout", text=f"{OUT}/t.csv\n{ROOT}/x.py:3 {Path.home()}/y\n"),
        nbformat.v4.new_output("stream", name="stderr", text="a warning of another package"),
    ]
    notebook.cells.append(printed)
    notebook.metadata["papermill"] = {
        "parameters": given,
        "start_time": "2026-11-28T01:02:03.456789",
        "duration": 72.34,
        "output_path": f"{OUT}/{name}.failed.ipynb",
    }
    path = folder / f"{name}.ipynb"
    nbformat.write(notebook, path)
    return path


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Function that gives the file of a page, made once."""
    folder, made = tmp_path_factory.mktemp("pages"), {}

    def made_once(name):
        if name not in made:
            made[name] = folder / f"{name}.html"
            write_page(executed(name, folder), made[name])
        return made[name]

    return made_once


@pytest.fixture
def text(pages, name):
    return pages(name).read_text(encoding="utf-8")


@pytest.fixture
def soup(text):
    return BeautifulSoup(text, "html.parser")


every_page = pytest.mark.parametrize("name", NAMES)


@every_page
def test_no_mark_of_the_source_is_left(soup):
    for element in soup.select("script, style, .cell_input"):
        element.decompose()
    words = soup.get_text(" ")
    assert re.findall(r":::|```|\{[a-z]+(?::[a-z]+)*\}`|\)=\s*$|\[\[|problematic", words) == []
    assert soup.select(".problematic, .system-message") == []


@every_page
def test_the_page_needs_no_other_file(soup):
    for element in soup.select("[src], link[href], [data-src], [srcset], [poster]"):
        for name in ("src", "href", "data-src", "srcset", "poster"):
            assert element.get(name, "data:").startswith("data:"), element.name
    styles = "\n".join(style.get_text() for style in soup.select("style"))
    assert re.findall(r"@import[^;]*;", styles) == []
    assert re.findall(r"url\((?![\"']?(?:data:|#))[^)]*\)", styles) == []
    for script in soup.select("script"):
        if len(script.get_text()) < 100_000:  # the others are libraries; the browser test watches them
            assert "require.undef" not in script.get_text()
            assert "cdn." not in script.get_text()


@every_page
def test_no_path_of_the_machine_is_on_the_page(text, pages, name):
    text = re.sub(r"data:[\w/+.-]+;base64,[\w+/=]+", "", text)
    places = ("/home/", "/root/", "/tmp/", "My runs", str(ROOT), str(Path.home()), str(pages(name).parent))
    assert [place for place in places if place in text] == []
    assert "out/t.csv" in text
    assert "a warning of another package" not in text


@every_page
def test_parameters_stand_once_and_what_was_changed_is_marked(soup, name):
    (table,) = soup.select("table.run-parameters")
    source = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    declared = read_parameters(
        next(cell.source for cell in source.cells if "parameters" in cell.metadata.get("tags", []))
    )
    rows = {row.td.get_text(): row for row in table.select("tbody tr")}
    assert list(rows) == list(declared)
    marked = {key for key, row in rows.items() if row.select(".changed-mark")}
    assert marked == {key for key in declared if key in CHANGED} - {"output_dir"}  # always another
    assert rows["output_dir"].select("td")[1].get_text() == "out"
    if "catalog" in declared:
        assert rows["catalog"].select("td")[1].strong.get_text() == "my matrix.csv"
    code = " ".join(cell.get_text() for cell in soup.select(".cell_input"))
    assert "output_dir: str" not in code
    assert "# Parameters" not in code
    before = [heading for heading in table.find_all_previous("h2") if heading.find_parent("article")]
    assert len(before) <= 1  # near the top
    assert "on 28 November 2026 in 72 s." in soup.select_one(".run-record").get_text()


@every_page
def test_code_and_solutions_are_folded(soup):
    cells = soup.select(".cell_input")
    assert cells
    for cell in cells:
        fold = cell.find_parent("details")
        assert fold is not None
        assert not fold.has_attr("open")
        assert "Show code" in fold.summary.get_text()
    solutions = soup.select(".admonition.solution")
    assert all("dropdown" in solution["class"] for solution in solutions)


@every_page
def test_links_lead_into_the_published_book_or_stay_on_the_page(soup, name):
    links = [link["href"] for link in soup.select("a[href]")]
    here = f"{BOOK}/notebooks/{name}.html"
    assert here in links
    ids = {element["id"] for element in soup.select("[id]")}
    for link in links:
        assert REMOTE.match(link) or link.removeprefix("#") in ids or link == "#", link
    known = {path.stem for folder in ("book", "notebooks") for path in (ROOT / folder).iterdir()}
    for link in links:
        if link.startswith(f"{BOOK}/"):
            assert re.fullmatch(rf"{BOOK}/(book|notebooks)/(\w+)\.html(#.+)?", link)[2] in known
    terms = [link for link in links if "glossary.html" in link]
    assert all(re.fullmatch(rf"{BOOK}/book/glossary\.html#term-[\w-]+", link) for link in terms)
    assert soup.select(".bd-sidebar-primary > *, .search-button__wrapper, .prev-next-area") == []
    assert soup.select(".bd-sidebar-secondary nav.page-toc a")


@pytest.mark.parametrize("name", ["multimodal_analysis"])
def test_works_cited_are_listed_at_the_end(soup):
    assert "Narain" in soup.select("div.citation")[-1].get_text()
    assert len(soup.select("div.citation")) == 1


@pytest.mark.parametrize("name", ["signatures_comparison"])
def test_names_of_the_package_lead_to_the_reference(soup):
    target = "latentgenomes.signatures.extract"
    (link,) = soup.select(f'a[href="{BOOK}/book/api.html#{target}"]')
    assert "extract" in link.get_text()


@pytest.mark.parametrize("name", ["signatures_cohorts"])
def test_labels_of_other_chapters_are_found(soup):
    (link,) = soup.select(f'a[href="{BOOK}/book/signatures_systems.html#signatures-negative-binomial"]')
    assert link.get_text().strip()


def toy(*cells, **run):
    """A small notebook: one parameter, then the cells."""
    notebook = nbformat.v4.new_notebook()
    first = nbformat.v4.new_code_cell("n: int = 3  # how many; 1 to 9")
    first.metadata["tags"] = ["parameters"]
    notebook.cells = [nbformat.v4.new_markdown_cell("# Toy"), first, *cells]
    if run:
        notebook.metadata["papermill"] = run
    return notebook


def test_a_notebook_outside_the_book_gets_a_page_too(tmp_path):
    text = (
        "[broken](../book/no_such.md) {ref}`nowhere` {term}`no such word` {py:func}`numpy.sum` "
        "{numref}`none` ![far](https://example.org/far.png) <script src='https://example.org/x.js'></script>"
    )
    figure = nbformat.v4.new_output(
        "display_data", data={"application/vnd.plotly.v1+json": {"data": [{"y": [1, 2]}], "layout": {}}}
    )
    cell = nbformat.v4.new_code_cell("figure", outputs=[figure])
    nbformat.write(toy(nbformat.v4.new_markdown_cell(text), cell), tmp_path / "toy.ipynb")
    write_page(tmp_path / "toy.ipynb", tmp_path / "toy.html")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["toy.html", "toy.ipynb"]
    soup = BeautifulSoup((tmp_path / "toy.html").read_text(), "html.parser")
    words = soup.article.get_text(" ")
    assert all(word in words for word in ("broken", "nowhere", "no such word", "numpy.sum", "none", "far"))
    assert "None of 1 differs" not in words
    assert "No value differs from its default." in words
    assert soup.select("img[src^=http], script[src]") == []
    assert soup.select_one(".published-link")["href"] == f"{BOOK}/"
    assert len(soup.select(".plotly-graph-div")) == 1


def test_a_page_that_cannot_be_made_is_one_line_and_keeps_the_notebook(tmp_path, monkeypatch):
    nbformat.write(toy(), tmp_path / "toy.ipynb")
    (tmp_path / "toy.html").write_text("older")
    before = (tmp_path / "toy.ipynb").read_bytes()

    def fail(*_):
        raise ValueError("no\nsuch theme")

    monkeypatch.setattr(page_module, "_build", fail)
    with pytest.raises(PageError) as caught:
        write_page(tmp_path / "toy.ipynb", tmp_path / "toy.html")
    assert str(caught.value) == (
        f"The page of toy cannot be made (ValueError: no). The executed notebook is kept: "
        f"{tmp_path / 'toy.ipynb'}."
    )
    assert (tmp_path / "toy.ipynb").read_bytes() == before
    assert (tmp_path / "toy.html").read_text() == "older"


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        ("at /home/me/x/run.py:12: slow", "at run.py:12: slow"),
        ("'/tmp/a b'", "'a b'"),
        ("in /srv/out dir/t/a.csv.", "in out dir/t/a.csv."),
        ("see https://example.org/home/me and 3/home/4", "see https://example.org/home/me and 3/home/4"),
        (r"C:\Users\me\t.csv", "t.csv"),
        ("<b>x</b> <td>/var/t</td>", "<b>x</b> <td>t</td>"),
        ("1/2, a/b", "1/2, a/b"),
    ],
)
def test_absolute_paths_are_cut(printed, shown):
    cell = nbformat.v4.new_code_cell("x", outputs=[nbformat.v4.new_output("stream", text=printed)])
    given = {"output_dir": "/srv/out dir", "cells": "/tmp/a b"}
    assert page_notebook(toy(cell, parameters=given)).cells[-1].outputs[0].text == shown


def opened(file, folder):
    """What a browser without a network makes of a page: its document, requests and errors."""
    log = folder / "requests.json"
    words = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    words += ["--disable-background-networking", "--no-first-run", "--host-resolver-rules=MAP * ~NOTFOUND"]
    words += ["--virtual-time-budget=20000", "--enable-logging=stderr", f"--log-net-log={log}", "--dump-dom"]
    done = subprocess.run(
        [*words, file.as_uri()], capture_output=True, text=True, check=True, timeout=120, errors="replace"
    )
    events = [event.get("params", {}) for event in json.loads(log.read_text())["events"]]
    # A page names itself as initiator; the browser's own requests have none.
    asked = {event["url"] for event in events if event.get("initiator", "not an origin") != "not an origin"}
    errors = [line for line in done.stderr.splitlines() if "CONSOLE" in line and "Uncaught" in line]
    return BeautifulSoup(done.stdout, "html.parser"), asked, errors


needs_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")


@needs_browser
def test_the_browser_notices_requests_and_errors(tmp_path):
    (tmp_path / "x.html").write_text(
        "<img src='https://example.org/x.png'><script>throw new Error('boom')</script>"
    )
    _, asked, errors = opened(tmp_path / "x.html", tmp_path)
    assert asked == {"https://example.org/x.png"}
    assert len(errors) == 1


@needs_browser
@every_page
def test_a_browser_without_a_network_shows_all_of_it(pages, name, tmp_path):
    soup, asked, errors = opened(pages(name), tmp_path)
    assert asked == set()
    assert errors == []
    equations = BeautifulSoup(pages(name).read_text(), "html.parser").select(".math")
    drawn = [math for math in soup.select(".math") if math.select("mjx-container svg path")]
    assert len(drawn) == len(equations)
    assert soup.select("[data-mml-node=merror]") == []
    for figure in soup.select(".plotly-graph-div"):
        assert figure.select(".main-svg .point, .main-svg canvas, .gl-canvas")
    assert len(soup.select(".plotly-graph-div")) == (1 if name == "genotypes_tutorial" else 0)
    folded = soup.select(".admonition.solution")
    assert all("toggle-hidden" in solution["class"] for solution in folded)
