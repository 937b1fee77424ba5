"""Every stored results table was made by the code that stands."""

from pathlib import Path

import pytest

from latentgenomes.core.provenance import provenance_path, stale

RESULTS = Path(__file__).parents[2] / "data" / "results"
TABLES = sorted(RESULTS.rglob("*.csv"))


def problems(table):
    """What is wrong with a results table, in words; empty when it stands."""
    subject = table.parent.name
    advice = f"Run: make results (or latentgenomes run {subject}_analysis with its full parameters)"
    if not provenance_path(table).is_file():
        return [f"{table.name} has no record of its run. {advice}"]
    changed = stale(table)
    if changed:
        return [
            f"{table.name} was made by other code than what stands: {', '.join(changed)} changed. {advice}"
        ]
    return []


@pytest.mark.parametrize("table", TABLES, ids=[f"{table.parent.name}/{table.name}" for table in TABLES])
def test_the_table_stands(table):
    assert problems(table) == []


def test_every_record_has_its_table():
    records = {
        path.with_name(path.name.replace(".provenance.json", ".csv")) for path in RESULTS.rglob("*.json")
    }
    assert records <= set(TABLES)


def test_a_table_without_record_is_a_problem(tmp_path):
    (tmp_path / "signatures").mkdir()
    table = tmp_path / "signatures" / "t.csv"
    table.write_text("a\n1\n")
    assert "t.csv has no record of its run. Run: make results" in problems(table)[0]


def test_changed_code_is_named_with_the_command(tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("a\n1\n")
    provenance_path(table).write_text('{"code": {"check_counts": "0", "gone": "1"}}')
    assert "other code than what stands: check_counts, gone changed. Run: make results" in problems(table)[0]
