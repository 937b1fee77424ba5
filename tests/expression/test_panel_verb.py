"""Which genes to measure: the choice, and how it is judged."""

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from latentgenomes.cli import app
from latentgenomes.expression.data.cohorts import ExpressionData
from latentgenomes.expression.verbs.panel import choose_panel, take_genes


def blocks(n_samples=150, seed=0):
    """Ten blocks of eight genes that follow a factor each; the first gene of a block has the least noise, and
    the last ten genes are loud and follow nothing.
    """
    generator = np.random.default_rng(seed)
    factors = generator.normal(size=(n_samples, 10))
    noise = np.tile([0.2, *[1.0] * 7], 10)
    values = np.repeat(factors, 8, axis=1) + noise * generator.normal(size=(n_samples, 80))
    values = np.hstack([values, 5 * generator.normal(size=(n_samples, 10))])
    names = [f"GENE{number:03d}" for number in range(90)]
    samples = [f"P{number:03d}" for number in range(n_samples)]
    table = pd.DataFrame(values, index=samples, columns=names)
    return ExpressionData(table, pd.DataFrame({"patient": samples}, index=samples), "z-score")


def test_each_gene_is_the_best_given_those_before_it():
    """Oracle: the conditional covariance of all genes, written out for every candidate."""
    generator = np.random.default_rng(0)
    loadings, noise = generator.normal(size=(12, 3)), generator.uniform(0.2, 2, size=12)
    taken, known = take_genes(loadings, noise, 4, np.arange(12))
    shared = loadings @ loadings.T  # what factors explain
    chosen: list[int] = []
    for step in range(4):
        left = []
        for gene in range(12):
            o = [*chosen, gene]
            inner = shared[np.ix_(o, o)] + np.diag(noise[o])
            left.append(
                np.trace(shared[:, o] @ np.linalg.solve(inner, shared[o])) if gene not in chosen else -1
            )
        chosen.append(int(np.argmax(left)))
        assert known[step] == pytest.approx(max(left))
    assert taken.tolist() == chosen


def test_the_panel_holds_one_gene_of_each_block_and_beats_random_and_loud_ones():
    found = choose_panel(blocks(), 10)
    taken = [int(name[4:]) for name in found.genes["gene"]]
    assert sorted(number // 8 for number in taken) == list(range(10))
    assert sum(number % 8 == 0 for number in taken) >= 9
    assert found.genes["explained"].is_monotonic_increasing
    means = found.summary()["correlation"]["mean"]
    assert means["chosen"] > means["random"] + 0.1
    assert means["random"] > means["highest variance"]


def test_only_candidates_are_taken():
    names = [f"GENE{number:03d}" for number in range(1, 80, 2)]
    found = choose_panel(blocks(), 5, candidates=names, n_splits=1, n_random=1)
    assert set(found.genes["gene"]) <= set(names)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_genes": 90}, "must have 1 to 89 genes, but 90 were asked for"),
        ({"n_genes": 2, "candidates": ["GENE001"]}, "must have 1 to 1 genes, but 2"),
        ({"n_genes": 2, "candidates": ["NOGENE"]}, "genes of the matrix, but 1 are not: 'NOGENE'"),
    ],
)
def test_impossible_panels_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        choose_panel(blocks(), **options)


def test_the_command_writes_the_panel_and_its_comparison(tmp_path):
    data = blocks(60)
    data.values.to_csv(tmp_path / "mine.csv")
    words = ["panel", str(tmp_path / "mine.csv"), "--genes", "10", "-o", str(tmp_path / "out")]
    ran = CliRunner().invoke(app, [*words, "--orientation", "genes_in_columns", "--scale", "z-score"])
    assert ran.exit_code == 0, ran.output
    assert len(pd.read_csv(tmp_path / "out" / "panel.csv")) == 10
    comparison = pd.read_csv(tmp_path / "out" / "comparison.csv")
    assert set(comparison["panel"]) == {"chosen", "highest variance", "random"}
    ran = CliRunner().invoke(app, [*words, "--orientation", "genes_in_columns", "--genes", "95"])
    assert ran.exit_code == 2
    assert "must have 1 to 89 genes, but 95" in ran.output
    few = ExpressionData(data.values.iloc[:9], data.samples.iloc[:9], "z-score")
    with pytest.raises(ValueError, match="30 samples at least, but there are 9"):
        choose_panel(few, 3)
