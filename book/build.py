"""Steps between the repository and the staged copy that Jupyter Book reads; called by the Snakefile.

python book/build.py mirror   TARGET                      copy pages, data tables and sources
python book/build.py stage    NOTEBOOK TARGET             clean an executed notebook for its page; its figures
                                                          go to book/figures, where chapters find them, and
                                                          the script of interactive ones to book/_static
python book/build.py runtimes TARGET NOTEBOOK...          write the page with run times
"""

import argparse
import base64
import csv
import filecmp
import re
import shutil
from pathlib import Path

import nbformat
from plotly.offline import get_plotlyjs

#: What pages may show or include, besides the notebooks.
MIRRORED = (
    "book",
    "data",
    "src",
    "notebooks/params",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "CITATION.cff",
)
IGNORED = ("__pycache__", ".ipynb_checkpoints")

#: Above a table of a page whose numbers stand in data/results: which rows, and which columns fill it.
RESULTS = re.compile(
    r"<!-- results: (?P<table>[\w/]+)(?: where (?P<where>[\w= ]+))? show (?P<show>[\w:.+ ]+) -->\n"
)

#: Made here and not in the repository, so a mirror must not delete them.
RUNTIMES = Path("book/runtimes.md")
FIGURES = Path("book/figures")
PLOTLY = Path("book/_static/plotly.min.js")

#: The tag that takes plotly's script from another host.
LOADER = re.compile(r"<script[^>]+src=\"https://cdn\.plot\.ly/[^>]+></script>")

#: Where a notebook gives a figure its name.
NAMED = re.compile(r"outputs\.figure\(.*\"(?P<name>[\w-]+)\"\)")


def filled(text, root):
    """Text of a page with the numbers of its marked tables, from the tables of full runs.

    A row is found by its second cell, the method. What has not been run is said to be so.
    """
    pieces = []
    rest = text
    while match := RESULTS.search(rest):
        body, blank, after = rest[match.end() :].partition("\n\n")
        head, rule, *rows = body.splitlines()
        known = stored_rows(root / f"data/results/{match['table']}.csv", (match["where"] or "").split())
        shown = [column.split(":") for column in match["show"].split()]
        pieces += [
            rest[: match.start()],
            "\n".join([head, rule, *(fill_row(row, known, shown) for row in rows)]),
        ]
        rest = blank + after
    return "".join([*pieces, rest])


def stored_rows(path, where):
    """Rows of a stored table by method, those with the given values in the given columns."""
    if not path.is_file():
        return {}
    wanted = [condition.split("=") for condition in where]
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {row["method"]: row for row in rows if all(row[column] == value for column, value in wanted)}


def fill_row(line, known, shown):
    """One row of a Markdown table: empty cells become the columns of the stored row."""
    cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
    if any(cells[2:]):
        return line
    row = known.get(cells[1].strip("`"))
    numbers = (
        [format(float(row[name]), layout) if row[name] else "-" for name, layout in shown]
        if row
        else ["not run"]
    )
    return f"| {' | '.join([*cells[:2], *numbers, *[''] * (len(shown) - len(numbers))])} |"


def mirrored_files(root):
    """Files of the repository that pages may show, relative to it."""
    found = []
    for name in MIRRORED:
        top = root / name
        files = [top] if top.is_file() else top.rglob("*")
        found += [
            path.relative_to(root) for path in files if path.is_file() and not set(path.parts) & set(IGNORED)
        ]
    return sorted(found)


def mirror(root, target):
    """Bring the copy up to date: write what differs, delete what is gone, leave the rest untouched."""
    wanted = mirrored_files(root)
    for name in wanted:
        copy = target / name
        if not copy.is_file() or not filecmp.cmp(root / name, copy, shallow=False):
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / name, copy)
            if name.suffix == ".md" and RESULTS.search(text := copy.read_text(encoding="utf-8")):
                copy.write_text(filled(text, root), encoding="utf-8")
    staged = {Path("notebooks") / path.name for path in (root / "notebooks").glob("*.ipynb")}
    present = {path.relative_to(target) for path in target.rglob("*") if path.is_file()}
    for name in present - {*wanted, *staged, RUNTIMES, PLOTLY}:
        if name.parent != FIGURES:
            (target / name).unlink()


def stage(source, target):
    """Write a notebook as its page shows it: the injected cell hidden, marks of the run removed."""
    notebook = nbformat.read(source, as_version=4)
    notebook.metadata.pop("papermill", None)
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        for mark in ("papermill", "execution"):
            cell.metadata.pop(mark, None)
        tags = [tag for tag in cell.metadata.get("tags", []) if not tag.startswith("papermill")]
        if "injected-parameters" in tags and "remove-cell" not in tags:
            tags.append("remove-cell")
        if tags:
            cell.metadata["tags"] = tags
        if cell.cell_type == "code":
            # Progress and warnings of other packages belong to the run, not to the page.
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
            for output in cell.outputs:
                serve_plotly(output, target.parent.parent)
    target.parent.mkdir(parents=True, exist_ok=True)
    for name, picture in figures(notebook).items():
        path = target.parent.parent / FIGURES / f"{target.stem}-{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture)
    nbformat.write(notebook, target)


def serve_plotly(output, root):
    """Let an interactive figure take its script from the site: pages are read without a network, too."""
    page = output.get("data", {}).get("text/html", "")
    if LOADER.search(page):
        (root / PLOTLY).parent.mkdir(parents=True, exist_ok=True)
        (root / PLOTLY).write_text(get_plotlyjs(), encoding="utf-8")
        output["data"]["text/html"] = LOADER.sub('<script src="../_static/plotly.min.js"></script>', page)


def figures(notebook):
    """Pictures of the cells that give their figure a name, by name."""
    found = {}
    for cell in notebook.cells:
        match = NAMED.search(cell.source) if cell.cell_type == "code" else None
        data = [output.get("data", {}).get("image/png") for output in cell.outputs] if match else []
        if pictures := [picture for picture in data if picture]:
            found[match["name"]] = base64.b64decode(pictures[-1])
    return found


def run_time(path):
    """Row of the run-times table for one notebook: name, code cells, seconds or why there are none."""
    notebook = nbformat.read(path, as_version=4)
    n_cells = sum(
        cell.cell_type == "code" and "injected-parameters" not in cell.metadata.get("tags", [])
        for cell in notebook.cells
    )
    seconds = notebook.metadata.get("papermill", {}).get("duration")
    shown = "-" if seconds is None else f"{seconds:.0f}"
    note = "stored outputs; its real data were not at hand" if seconds is None else "executed for this site"
    return f"| [{path.stem}](../notebooks/{path.stem}.ipynb) | {n_cells} | {shown} | {note} |"


def write_runtimes(target, notebooks):
    """Write the page that says how long each notebook took when this site was built."""
    lines = [
        "# Run times",
        "",
        "How long each notebook took when this site was built, start of the kernel included. Take the order",
        "of magnitude from it, not the second: other work may have shared the machine.",
        "",
        "| notebook | code cells | seconds | how |",
        "|---|---|---|---|",
        *(run_time(path) for path in notebooks),
        "",
    ]
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("\n".join(lines), encoding="utf-8")


def main():
    """Run one step."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    steps = parser.add_subparsers(dest="step", required=True)
    steps.add_parser("mirror").add_argument("target", type=Path)
    one = steps.add_parser("stage")
    one.add_argument("source", type=Path)
    one.add_argument("target", type=Path)
    page = steps.add_parser("runtimes")
    page.add_argument("target", type=Path)
    page.add_argument("notebooks", type=Path, nargs="*")
    given = parser.parse_args()
    if given.step == "mirror":
        mirror(Path.cwd(), given.target)
    elif given.step == "stage":
        stage(given.source, given.target)
    else:
        write_runtimes(given.target, given.notebooks)


if __name__ == "__main__":
    main()
