"""Numbers in tables of the multimodal chapter are those of the stored results."""

import re
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "book" / "multimodal.md"
RESULTS = ROOT / "data" / "results"
MARKER = re.compile(r"<!-- results: ([\w/]+) (\w+) (\w+) -->\n")


def marked_tables(page):
    """Rows (name, macro-F1, standard error, splits) by what the marker above the table says."""
    pieces = MARKER.split(page)
    found = {}
    for table, task, protocol, text in zip(
        pieces[1::4], pieces[2::4], pieces[3::4], pieces[4::4], strict=True
    ):
        lines = text.split("\n\n")[0].splitlines()[2:]
        rows = [[cell.strip().strip("`") for cell in line.split("|")[1:-1]] for line in lines]
        found[table, task, protocol] = [tuple(row[1:]) for row in rows]
    return found


def stored(table, task, protocol):
    """The same rows as the chapter would print them, by name."""
    frame = pd.read_csv(RESULTS / f"{table}.csv").query("task == @task and protocol == @protocol")
    ours = {
        row.method: (f"{row.mean_:.3f}", f"{row.standard_error:.3f}", f"{row.n_splits}")
        for row in frame.rename(columns={"mean": "mean_"}).itertuples()
    }
    paper = pd.read_csv(ROOT / "data" / "published" / "mutembed_table1.csv").query("task == @task")
    theirs = paper.groupby("method")["f1"].mean()
    return ours | {f"published {method}": (f"{f1:.3f}", "", "10") for method, f1 in theirs.items()}


def problems(page):
    """Rows of the marked tables that differ from what is stored."""
    found = []
    for key, rows in marked_tables(page).items():
        known = stored(*key)
        found += [f"{key}: {row}, stored {known.get(row[0])}" for row in rows if known.get(row[0]) != row[1:]]
    return found


@pytest.mark.skipif(
    not (RESULTS / "multimodal" / "differences.csv").is_file(), reason="the full run is not stored yet"
)
def test_the_chapter_prints_the_stored_numbers():
    page = PAGE.read_text(encoding="utf-8")
    tables = marked_tables(page)
    assert len(tables) == 2
    assert min(len(rows) for rows in tables.values()) >= 8
    assert problems(page) == []


TOY = """words
<!-- results: toy/t organ donor -->
| what | name | macro-F1 | standard error | splits |
|---|---|---|---|---|
| one | `a` | 0.500 | 0.010 | 3 |
| two | `published MutEmbed` | 0.725 |  | 10 |

more
"""


def test_a_changed_number_is_caught(tmp_path, monkeypatch):
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "t.csv").write_text(
        "task,protocol,method,mean,standard_error,n_splits\norgan,donor,a,0.5,0.01,3\norgan,random,a,0.9,0.01,3\n"
    )
    monkeypatch.setitem(globals(), "RESULTS", tmp_path)
    assert problems(TOY) == []
    for old, new in (
        ("0.500", "0.501"),
        ("0.010", "0.020"),
        ("| 3 |", "| 4 |"),
        ("`a`", "`b`"),
        ("0.725", "0.8"),
    ):
        assert len(problems(TOY.replace(old, new))) == 1, old
