"""The cells of an executed notebook as a reader sees them: one table of parameters, code folded, no paths."""

import copy
import html
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from importlib import metadata
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from latentgenomes.core.extras import require
from latentgenomes.core.parameters import Parameter, ParameterError, read_parameters

_RECORD = "application/papermill.record/text/plain"  # a number with a name, for the book's prose
_PLOTLY = "application/vnd.plotly.v1+json"
_UNSEEN = {_RECORD, "application/vnd.jupyter.widget-view+json"}

#: Parameters that name what was read, besides those that are files.
_DATA = ("catalog", "known_truth", "cohorts", "datasets", "types", "data", "source")

_LOADER = re.compile(
    r"<script[^>]*\bsrc=[\"']https?://[^\"']*plotly[^\"']*[\"'][^>]*>\s*</script>"
    r"|<script[^>]*>\s*import\s*[\"']https?://[^\"']*plotly[^\"']*[\"'];?\s*</script>"
)
_EDGE = r"(?<![\w.<+=/-])"  # a path starts here: not inside a word, an address, a closing tag or base64
_CITED = re.compile(r"\{cite(?::\w+)?\}`")
_FOLDERS = {
    "Users",
    "Volumes",
    "data",
    "home",
    "mnt",
    "opt",
    "private",
    "root",
    "scratch",
    "srv",
    "tmp",
    "var",
}


def page_notebook(notebook: Any, *, report: bool = False) -> Any:
    """Cells of a page: a copy of the notebook that shows its run once and nothing of the machine.

    Parameters are a table in place of their cell; code is tagged `hide-input`; records, widgets and stderr
    are gone; absolute paths are cut to their last part; a bibliography ends a page that cites. A `report`
    shows no code and no table of parameters.
    """
    page = copy.deepcopy(notebook)
    run = page.metadata.pop("papermill", {})
    page.metadata.pop("widgets", None)
    given = dict(run.get("parameters", {}))
    places = [str(value) for value in given.values() if _is_absolute(value)]
    if run.get("output_path") and _is_absolute(run["output_path"]):
        places.append(str(_pure(run["output_path"]).parent))
    hide = _path_hider(places)
    cells = []
    for cell in page.cells:
        tags = [tag for tag in cell.metadata.get("tags", []) if not tag.startswith("papermill")]
        if "injected-parameters" in tags or (cell.cell_type == "code" and not cell.source.strip()):
            continue
        if "parameters" in tags and cell.cell_type == "code":
            declared = {} if report else _declared(cell.source)
            cells.append(_markdown(page, _run_block(declared, given, run)))
            continue
        if cell.cell_type == "code":
            if report:
                tags = ["remove-input"]
            elif not any(tag.startswith(("hide-", "remove-")) for tag in tags):
                tags.append("hide-input")
            cell.outputs = [_cleaned(output, hide) for output in cell.outputs if _is_shown(output)]
        cell.metadata = type(cell.metadata)({"tags": tags} if tags else {})
        cells.append(cell)
    if any(cell.cell_type == "markdown" and _CITED.search(cell.source) for cell in cells):
        cells.append(
            _markdown(
                page, "## References\n\n```{bibliography}\n:style: plain\n:filter: docname in docnames\n```"
            )
        )
    page.cells = cells
    return page


def _markdown(notebook: Any, source: str) -> Any:
    """A markdown cell in the format of the notebook."""
    cell = require("nbformat", extra="book").v4.new_markdown_cell(source)
    if (notebook.nbformat, notebook.nbformat_minor) < (4, 5):
        cell.pop("id", None)
    return cell


def _declared(source: str) -> dict[str, Parameter]:
    """Parameters of the cell; none where it breaks the rules, which the command line reports."""
    try:
        return read_parameters(source)
    except (SyntaxError, ParameterError):
        return {}


def _run_block(declared: Mapping[str, Parameter], given: Mapping[str, Any], run: Mapping[str, Any]) -> str:
    """HTML with the table of parameters and the line that says when, how long and with what it ran."""
    values = {name: given.get(name, parameter.default) for name, parameter in declared.items()}
    place = {"output_dir": declared["output_dir"].default} if "output_dir" in declared else {}
    changed = [name for name, value in {**values, **place}.items() if value != declared[name].default]
    rows = [_row(parameter, values[name], changed=name in changed) for name, parameter in declared.items()]
    said = {0: "No value differs from its default.", 1: "One value differs from its default; it is marked."}
    several = f"{len(changed)} values differ from their defaults; they are marked."
    lines = [
        f"<p>The values of this run. {said.get(len(changed), several)}</p>",
        '<div class="pst-scrollable-table-container"><table class="table run-parameters">',
        "<thead><tr><th>parameter</th><th>value</th><th>default</th><th>meaning</th></tr></thead>",
        "<tbody>",
        *rows,
        "</tbody></table></div>",
    ]
    record = f'<p class="run-record">{html.escape(" ".join(_record(declared, values, run)))}</p>'
    return "\n".join([*(lines if rows else []), record])


def _row(parameter: Parameter, value: Any, *, changed: bool) -> str:
    """One line of the table of parameters."""
    shown = _code(value)
    if changed:
        shown = f'<strong>{shown}</strong> <span class="changed-mark">changed</span>'
    words = parameter.help.removeprefix("file:").strip() + (
        f" ({parameter.allowed})" if parameter.allowed else ""
    )
    kind = ' class="changed"' if changed else ""
    return (
        f"<tr{kind}><td><code>{html.escape(parameter.name)}</code></td><td>{shown}</td>"
        f"<td>{_code(parameter.default)}</td><td>{html.escape(words)}</td></tr>"
    )


def _code(value: Any) -> str:
    """A value as a reader types it; a path of the machine is its last part."""
    if value is None or value == "":
        return "<em>none</em>" if value is None else "<em>empty</em>"
    text = _pure(value).name if _is_absolute(value) else str(value)
    return f"<code>{html.escape(text)}</code>"


def _record(
    declared: Mapping[str, Parameter], values: Mapping[str, Any], run: Mapping[str, Any]
) -> Iterator[str]:
    """Sentences about the run: version, date, wall time, data."""
    sentence = f"Made with latentgenomes {metadata.version('latentgenomes')}"
    if run.get("start_time"):
        day = datetime.fromisoformat(run["start_time"])
        sentence += f" on {day.day} {day:%B %Y}"
    if run.get("duration") is not None:
        sentence += f" in {_duration(float(run['duration']))}"
    yield sentence + "."
    data = [
        f"{name} {_pure(value).name if _is_absolute(value) else value}"
        for name, value in values.items()
        if value not in ("", None) and (name in _DATA or declared[name].is_file)
    ]
    if data:
        yield f"Data it was asked for: {'; '.join(data)}."


def _duration(seconds: float) -> str:
    """Wall time in words."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def _is_shown(output: Any) -> bool:
    """Whether a reader of the page sees an output: no stderr, no record, no widget."""
    if output.output_type == "stream":
        return bool(output.name != "stderr")
    return output.output_type == "error" or bool(set(output.get("data", {})) - _UNSEEN)


def _cleaned(output: Any, hide: Any) -> Any:
    """Output without paths of the machine, its interactive figures fed by the page's own script."""
    if output.output_type == "stream":
        output.text = hide(output.text)
    elif output.output_type == "error":
        output.evalue = hide(output.evalue)
        output.traceback = [hide(line) for line in output.traceback]
    else:
        data = {kind: value for kind, value in output.data.items() if kind not in _UNSEEN}
        figure = data.pop(_PLOTLY, None)
        if figure is not None:
            data["text/html"] = require("plotly.io", extra="book").to_html(
                figure, include_plotlyjs=False, full_html=False, validate=False
            )
        for kind, value in data.items():
            if isinstance(value, str) and (kind.startswith("text/") or kind == "image/svg+xml"):
                data[kind] = hide(_LOADER.sub("", value))
        output.data = type(output.data)(data)
    return output


def _pure(path: Any) -> PurePosixPath | PureWindowsPath:
    """Path of either system, whichever runs this."""
    return PureWindowsPath(path) if re.match(r"[A-Za-z]:[\\/]", str(path)) else PurePosixPath(path)


def _is_absolute(value: Any) -> bool:
    """Whether a value is text that names a place on a machine."""
    return (
        isinstance(value, str)
        and "\n" not in value
        and len(_pure(value).parts) > 1
        and (_pure(value).is_absolute())
    )


def _path_hider(places: Iterable[str]) -> Any:
    """Function that cuts absolute paths in a text: to what lies below known places, or to the name."""
    top = _FOLDERS | {path.name for path in Path("/").iterdir() if path.is_dir()}
    known = [*places, str(Path.cwd()), str(Path.home())]
    names = {place: _pure(place).name for place in known if len(_pure(place).parts) > 1}
    exact = re.compile(
        _EDGE
        + "("
        + "|".join(re.escape(place) for place in sorted(names, key=len, reverse=True))
        + r")(?!\w)"
    )
    loose = re.compile(
        _EDGE + rf"(?:/(?:{'|'.join(map(re.escape, sorted(top)))})(?=/)|[A-Za-z]:\\)[^\s\"'<>|,;:)\]}}]*"
    )

    def hide(text: str) -> str:
        text = exact.sub(lambda match: names[match[0]], text) if names else text
        return loose.sub(lambda match: _pure(match[0]).name, text)

    return hide
