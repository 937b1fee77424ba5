"""The mixing figure holds its signatures and shows their mixture, and its script computes the same."""

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm, poisson

from latentgenomes.core.style import SUBSTITUTION_COLOURS
from latentgenomes.mutations.channels import DBS78, SBS96
from latentgenomes.signatures.figures import mixing
from latentgenomes.signatures.figures.mixing import mixing_figure

CLASSES = ("C>A", "C>G", "C>T", "T>A", "T>C", "T>G")
PLOTTED = [f"{five}[{change}]{three}" for change in CLASSES for five in "ACGT" for three in "ACGT"]
NASTY = ["</script><b>", "\"&'", "<!--", "MIXING", "{0}", "\u2028 ü"]


def signatures(n, names=None, seed=0):
    generator = np.random.default_rng(seed)
    values = generator.dirichlet(np.full(96, 0.3), size=n)
    return pd.DataFrame(
        values, index=names or [f"S{i + 1}" for i in range(n)], columns=generator.permutation(list(SBS96))
    )


class Page(HTMLParser):
    """Elements of a page: tag, attributes, and the text before any other tag."""

    def __init__(self, text):
        super().__init__()
        self.elements = []
        self.open = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.elements.append([tag, dict(attributes), ""])
        if tag not in ("input", "path", "rect"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append([tag, dict(attributes), ""])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag  # every element is closed, in order
        self.elements.append(["", {}, ""])  # takes the text that follows

    def handle_data(self, data):
        self.elements[-1][2] += data

    def all(self, tag, **wanted):
        return [
            element
            for element in self.elements
            if element[0] == tag and all(element[1].get(key) == value for key, value in wanted.items())
        ]

    def data(self):
        return json.loads(self.all("script", type="application/json")[0][2])


@settings(max_examples=10, deadline=None)
@given(
    n=st.integers(2, 6),
    seed=st.integers(0, 1000),
    total=st.integers(20, 100_000),
)
def test_the_still_picture_is_the_mixture_and_the_numbers_are_the_signatures(n, seed, total):
    table = signatures(n, seed=seed)
    before = table.copy()
    page = Page(mixing_figure(table, total=total, seed=seed))
    pd.testing.assert_frame_equal(table, before)
    data = page.data()
    held = pd.DataFrame(data["signatures"], index=data["names"], columns=data["channels"])
    np.testing.assert_allclose(held[table.columns], table, rtol=1e-5)
    assert (data["channels"], data["total"], data["seed"]) == (PLOTTED, total, seed)

    expected = total * table[PLOTTED].mean()
    bars = [attributes for _, attributes, _ in page.all("rect")]
    heights = np.array([float(bar["height"]) for bar in bars])
    np.testing.assert_allclose(heights, expected, rtol=3e-5)
    np.testing.assert_allclose(heights.sum(), total, rtol=1e-4)
    assert [float(bar["x"]) for bar in bars] == [at + 0.1 for at in range(96)]
    (_, spectrum, _), *_ = page.all("svg")
    left, top, width, height = (float(number) for number in spectrum["viewbox"].split())
    assert (left, top, width) == (0, 0, 96)
    assert height > heights.max()
    # Every bar stands on the axis, and the line runs along the tops.
    np.testing.assert_allclose([float(bar["y"]) for bar in bars] + heights, height, rtol=2e-5)
    line = page.all("path", **{"class": "expected"})[0][1]["d"]
    steps = np.array(re.findall(r"V([\d.e+-]+)h1", line), dtype=float)
    np.testing.assert_allclose(height - steps, heights, rtol=0, atol=2e-5 * height)


def test_bars_and_strips_have_the_colours_of_the_field_and_the_axis_has_its_unit():
    page = Page(mixing_figure(signatures(3)))
    found, colour = [], None
    for tag, attributes, _ in page.elements:
        colour = attributes["fill"] if tag == "g" else colour
        found += [colour] if tag == "rect" else []
    assert found == [SUBSTITUTION_COLOURS[label[2:5]] for label in PLOTTED]
    strips = [
        (text, attributes["style"]) for _, attributes, text in page.all("span") if "style" in attributes
    ]
    assert strips[:6] == [(name, f"--strip:{SUBSTITUTION_COLOURS[name]}") for name in CLASSES]
    places = [float(style.removeprefix("bottom:").removesuffix("%")) for _, style in strips[6:]]
    assert places == sorted(places)
    assert (places[0], strips[6][0]) == (0, "0")
    texts = [text.strip() for _, _, text in page.elements]
    assert "Mutations" in texts
    assert [text for text in texts if text in tuple("ACGT")] == list("ACGT" * 6)


def test_thumbnails_are_the_signatures_scaled_to_their_highest_bar():
    table = signatures(2)
    page = Page(mixing_figure(table))
    paths = [attributes for _, attributes, _ in page.all("path") if "fill" in attributes]
    assert [path["fill"] for path in paths] == list(SUBSTITUTION_COLOURS.values()) * 2
    for row, name in enumerate(table.index):
        drawn = np.zeros(96)
        for path in paths[6 * row : 6 * row + 6]:
            for at, height in re.findall(r"M(\d+) 24v-([\d.]+)h1", path["d"]):
                drawn[int(at)] = float(height)
        wanted = 24 * table.loc[name, PLOTTED] / table.loc[name].max()
        np.testing.assert_allclose(drawn, wanted, atol=0.051)


def test_sliders_have_names_ranges_and_the_amounts_of_the_start():
    page = Page(mixing_figure(signatures(4), total=20))
    sliders = [attributes for _, attributes, _ in page.all("input")]
    labels = [f"Share of S{number}" for number in (1, 2, 3, 4)]
    assert [slider["aria-label"] for slider in sliders] == [*labels, "Expected mutations"]
    assert all((slider["type"], slider["min"], slider["max"]) == ("range", "0", "100") for slider in sliders)
    assert len({slider["value"] for slider in sliders[:-1]}) == 1
    amounts = [text for _, _, text in page.all("span", **{"class": "amount"})]
    assert amounts == ["25% · 5"] * 4 + ["20"]
    ends = [Page(mixing_figure(signatures(2), total=total)).all("input")[-1] for total in (20, 1414, 100_000)]
    assert [slider[1]["value"] for slider in ends] == ["0", "50", "100"]


def test_names_cannot_break_out_of_text_attribute_or_script():
    text = mixing_figure(signatures(6, NASTY))
    page = Page(text)
    assert page.open == []
    assert [element[2] for element in page.all("span", **{"class": "name"})[:-1]] == NASTY
    assert [element[1]["aria-label"] for element in page.all("input")[:-1]] == [
        f"Share of {n}" for n in NASTY
    ]
    assert page.data()["names"] == NASTY
    assert page.all("b") == []
    assert text.count("</script>") == 2  # the numbers and the program, each closed once
    assert "<!--" not in text


def test_the_same_arguments_give_the_same_text_and_others_another_id():
    text = mixing_figure(signatures(3), total=700, seed=4)
    assert text == mixing_figure(signatures(3), total=700, seed=4)
    shuffled = signatures(3)[list(SBS96)]
    assert text == mixing_figure(shuffled, total=700, seed=4)
    others = [
        mixing_figure(signatures(3)),
        mixing_figure(signatures(3), seed=4),
        mixing_figure(signatures(4)),
    ]
    identities = {Page(each).elements[0][1]["id"] for each in (text, *others)}
    assert len(identities) == 4
    # Noise in the last bits, as between two processors, changes nothing.
    assert text == mixing_figure(signatures(3) * (1 + 1e-15), total=700, seed=4)


def test_it_is_small_keeps_to_itself_and_needs_no_network():
    text = mixing_figure(signatures(6), total=100_000)
    assert len(text.encode()) < 60_000
    for word in ("http", "src=", "@import", "url(", "onload", "eval(", "innerHTML"):
        assert word not in text
    page = Page(text)
    identity = page.elements[0][1]["id"]
    style, script = page.all("style")[0][2], page.all("script")[-1][2]
    assert "MIXING" not in style + script
    assert len(script.splitlines()) < 150
    selectors = [rule.split("{")[-1].split("}")[-1] for rule in re.findall(r"[^{}]+(?=\{)", style)]
    assert all(f"#{identity}" in rule for rule in selectors if not rule.strip().startswith("@"))


@pytest.mark.parametrize("n", [0, 1, 7])
def test_refuses_too_few_and_too_many_signatures(n):
    with pytest.raises(ValueError, match=rf"signatures must have 2 to 6 rows, .* but there are {n}\."):
        mixing_figure(signatures(7).head(n))


def test_refuses_other_channels():
    table = signatures(2)
    with pytest.raises(ValueError, match=r"96 are missing and 78 are others \('A\[C>A\]A' is the first\)"):
        mixing_figure(pd.DataFrame(1 / 78, index=["a", "b"], columns=list(DBS78)))
    with pytest.raises(ValueError, match=r"1 are missing and 0 are others \('T\[T>G\]T' is the first\)"):
        mixing_figure(table.drop(columns="T[T>G]T"))
    with pytest.raises(ValueError, match=r"0 are missing and 1 are others \('mine' is the first\)"):
        mixing_figure(table.assign(mine=0.0))
    with pytest.raises(ValueError, match="signatures must name every channel once"):
        mixing_figure(pd.concat([table, table.iloc[:, :1] * 0], axis=1))


def test_refuses_what_is_no_signature():
    table = signatures(2)
    negative = table.copy()
    negative.loc["S2", "A[C>A]A"] = -0.5
    with pytest.raises(ValueError, match=r"signatures must hold proportions >= 0, .* -0\.5 at row 'S2'"):
        mixing_figure(negative)
    with pytest.raises(ValueError, match="signatures must hold finite proportions"):
        mixing_figure(table * np.nan)
    with pytest.raises(ValueError, match=r"signatures must hold rows that sum to 1, .* Divide every row"):
        mixing_figure(2 * table)
    with pytest.raises(ValueError, match="signatures must name every profile once"):
        mixing_figure(table.set_axis(["S", "S"]))


@pytest.mark.parametrize(("total", "seed"), [(19, 0), (100_001, 0), (50, -1), (50, 2**32)])
def test_refuses_totals_and_seeds_out_of_range(total, seed):
    with pytest.raises(ValueError, match=rf"total must lie in 20\.\.100000 .* are {total} and {seed}\."):
        mixing_figure(signatures(2), total=total, seed=seed)


@given(st.floats(1e-3, 1e6))
def test_ticks_are_four_to_eight_round_numbers_below_the_top(highest):
    top, ticks = mixing._ticks(highest)
    assert 4 <= len(ticks) <= 8
    assert ticks[0] == 0
    assert highest < top
    assert ticks[-1] <= top * (1 + 1e-12)
    assert f"{ticks[1]:.6e}".startswith(("1.000", "2.000", "5.000"))


def run_script(calls):
    """What the script's arithmetic answers to calls, in a JavaScript engine of its own."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("the program node is not installed, so the script's arithmetic cannot be run here")
    program = f"{mixing._ARITHMETIC}\nconsole.log(JSON.stringify([{', '.join(calls)}]));"
    done = subprocess.run([node, "-"], input=program, capture_output=True, text=True, check=True, timeout=60)
    return json.loads(done.stdout)


def test_script_draws_what_scipys_poisson_law_says():
    levels = np.array([1e-9, 1e-4, 0.01, 0.2, 0.4999, 0.5001, 0.8, 0.99, 0.9999, 1 - 1e-9])
    rates = [0.0, 1e-4, 0.3, 1, 7.5, 60, 200, 201, 3000, 50_000]
    drawn = np.array(
        run_script([f"{levels.tolist()}.map((u) => poisson(u, {rate!r}))" for rate in rates]), dtype=float
    )
    exact = np.array([poisson.ppf(levels, rate) for rate in rates])
    low = np.array(rates) <= 200
    np.testing.assert_array_equal(drawn[low], exact[low])
    # Above 200: Hastings' quantile is within 4.5e-4, and the next term of the expansion is small.
    slack = 1 + 4.5e-4 * np.sqrt(rates)[~low, None] + np.abs(norm.ppf(levels)) ** 3 / (36 * np.sqrt(201))
    assert (np.abs(drawn[~low] - exact[~low]) <= slack).all()


def test_script_mixes_compares_and_scales_as_python_does():
    table = signatures(3)[PLOTTED].to_numpy()
    weights, rates = [50, 0, 25], [1e-3, 0.21, 3, 92.59259, 300.0, 571.4, 4321.0, 99_999.0]
    counts = np.random.default_rng(0).poisson(300 * table.mean(axis=0))
    rows = json.dumps(table.tolist())
    mixture, cosine, *axes = run_script(
        [f"expectation({rows}, {weights}, 300)", f"cosine({counts.tolist()}, {rows}[0])"]
        + [f"ticks({rate!r})" for rate in rates]
    )
    np.testing.assert_allclose(mixture, 300 * (2 * table[0] + table[2]) / 3, rtol=1e-12)
    product = counts @ table[0] / (np.linalg.norm(counts) * np.linalg.norm(table[0]))
    assert cosine == pytest.approx(product, rel=1e-12)
    for (top, marks), rate in zip(axes, rates, strict=True):
        wanted_top, wanted = mixing._ticks(rate)
        assert top == pytest.approx(wanted_top)
        assert marks == pytest.approx(wanted)


def test_tumours_of_the_script_are_uniform_repeatable_and_unlike_one_another():
    calls = [f"uniforms({7919 * tumour}, 96)" for tumour in range(1, 201)]
    first, *_ = drawn = np.array(run_script(calls))
    assert run_script(calls[:1])[0] == first.tolist()
    assert ((drawn > 0) & (drawn < 1)).all()
    assert len(np.unique(drawn)) == drawn.size
    # n = 19200 uniforms, mean 1/2 and variance 1/12; 4 standard errors (variance of the square: 1/180).
    assert abs(drawn.mean() - 1 / 2) < 4 * np.sqrt(1 / 12 / drawn.size)
    assert abs(((drawn - 0.5) ** 2).mean() - 1 / 12) < 4 * np.sqrt(1 / 180 / drawn.size)
    # Neighbouring channels, and the same channel of neighbouring tumours, are uncorrelated.
    for left, right in ((drawn[:, :-1], drawn[:, 1:]), (drawn[:-1], drawn[1:])):
        assert abs(np.corrcoef(left.ravel(), right.ravel())[0, 1]) < 4 / np.sqrt(left.size)
