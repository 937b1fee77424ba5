"""A figure to play with: hide genes of a sample, and see what the others say of them.

The answer is HTML text with style, numbers and script inside, so it needs no network. What Python draws is
the first sample with every second gene hidden, restored by the Gaussian conditional mean. It stays as a still
picture where scripts are switched off; a script makes it move.

In the picture a gene is one unit wide and y runs from 0 (top, +4 standard deviations) to 8 (bottom, -4).
"""

import json
from hashlib import sha256
from html import escape

import numpy as np
import numpy.typing as npt
import pandas as pd

from latentgenomes.core.style import INK, PALETTE

FloatArray = npt.NDArray[np.float64]

FEWEST_GENES, MOST_GENES = 4, 32
MOST_SAMPLES = 12
_TOP = 4.0  # standard deviations


def restoration_figure(samples: pd.DataFrame, covariance: pd.DataFrame) -> str:
    """Interactive restoration of hidden genes by their Gaussian conditional mean, as HTML without a network.

    Each gene is a column: a circle where it is measured, hollow where it is hidden, and then a bar from the
    restored value minus to plus one conditional standard deviation. A press on a gene's name hides or shows
    it; a slider hides a share of all; a list chooses the sample. The line below states the error.

    `samples` are 1 to 12 of 4 to 32 genes, in standard deviations from the mean of each gene; beyond 4 they
    are drawn at the edge. `covariance` is of these genes, by name, with a ridge where it would be singular.
    The same arguments give the same text.
    """
    values, matrix = _check(samples, covariance)
    genes = [str(name) for name in samples.columns]
    data = {
        "genes": genes,
        "samples": [str(name) for name in samples.index],
        "values": [[float(f"{value:.5g}") for value in row] for row in values],
        "covariance": [[float(f"{value:.6g}") for value in row] for row in matrix],
    }
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    text = text.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")
    identity = "restoring-" + sha256(text.encode()).hexdigest()[:8]
    style, script = (part.replace("RESTORING", identity) for part in (_STYLE, _ARITHMETIC + _PAGE))
    hidden = np.arange(len(genes)) % 2 == 1
    return "\n".join(
        (
            f'<div id="{identity}" role="group" aria-label="Hide genes and see their restoration">',
            f"<style>{style}</style>",
            _still(values[0], hidden, conditional(values[0], hidden, matrix)),
            _controls(genes, [str(name) for name in samples.index], hidden),
            f'<script type="application/json">{text}</script>',
            "</div>",
            f"<script>(() => {{{script}}})();</script>",
        )
    )


def conditional(
    value: FloatArray, hidden: npt.NDArray[np.bool_], covariance: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Mean and sd of each gene given those not hidden, which keep theirs and 0; the script has the same."""
    mean, spread = value.copy(), np.zeros(len(value))
    seen, gone = np.flatnonzero(~hidden), np.flatnonzero(hidden)
    solved = np.linalg.solve(covariance[np.ix_(seen, seen)], covariance[np.ix_(seen, gone)])
    mean[gone] = value[seen] @ solved
    left = covariance[gone, gone] - (covariance[np.ix_(seen, gone)] * solved).sum(0)
    spread[gone] = np.sqrt(np.maximum(left, 0.0))
    return mean, spread


def _check(samples: pd.DataFrame, covariance: pd.DataFrame) -> tuple[FloatArray, FloatArray]:
    if not (1 <= len(samples) <= MOST_SAMPLES and FEWEST_GENES <= samples.shape[1] <= MOST_GENES):
        raise ValueError(
            f"samples must have 1 to {MOST_SAMPLES} rows and {FEWEST_GENES} to {MOST_GENES} columns, but "
            f"their shape is {samples.shape}. Select some."
        )
    if samples.columns.has_duplicates or not set(samples.columns) <= set(covariance.index):
        raise ValueError(
            "The genes of samples must come once and be rows and columns of covariance, but they are not. "
            "Take both from the same table."
        )
    genes = list(samples.columns)
    values, matrix = (table.to_numpy(dtype=np.float64) for table in (samples, covariance.loc[genes, genes]))
    if not (np.isfinite(values).all() and np.isfinite(matrix).all()):
        raise ValueError("samples and covariance must be finite, but they are not. Fill what is missing.")
    if not np.linalg.eigvalsh((matrix + matrix.T) / 2).min() > 0:
        raise ValueError("covariance must be positive definite, but it is not. Add 0.1 to its diagonal.")
    return values, (matrix + matrix.T) / 2


def _y(value: float) -> float:
    """Place on the picture, from the top."""
    return round(_TOP - min(max(value, -_TOP), _TOP), 3)


def _still(value: FloatArray, hidden: npt.NDArray[np.bool_], answer: tuple[FloatArray, FloatArray]) -> str:
    """Picture of one sample."""
    marks = []
    for gene, (truth, gone, mean, spread) in enumerate(zip(value, hidden, *answer, strict=True)):
        low, high = _y(mean - spread), _y(mean + spread)
        marks.append(
            f'<g class="gene{" gone" if gone else ""}">'
            f'<path class="range" d="M{gene + 0.5} {high}V{low}"/>'
            f'<path class="restored" d="M{gene + 0.2} {_y(mean)}h.6"/>'
            f'<path class="truth" d="M{gene + 0.5} {_y(truth)}h0"/>'
            f'<path class="hole" d="M{gene + 0.5} {_y(truth)}h0"/></g>'
        )
    rules = "".join(f"M0 {4 - tick}h{len(value)}" for tick in (-2, 0, 2))
    labels = "".join(
        f'<span style="top:{100 * (4 - tick) / 8:g}%">{f"{tick:+d}" if tick else 0}</span>'
        for tick in (-4, -2, 0, 2, 4)
    )
    return f"""<div class="key"><span><i class="dot"></i>measured</span><span><i class="ring"></i>hidden
truth</span><span><i class="bar"></i>restored, with one standard deviation</span></div>
<div class="plot"><div class="axis" aria-hidden="true">{labels}</div>
<svg viewBox="0 0 {len(value)} 8" preserveAspectRatio="none" role="img"
 aria-label="Value of each gene in standard deviations: measured, or hidden and restored.">
<path class="rules" d="{rules}"/>{"".join(marks)}</svg></div>"""


def _controls(genes: list[str], samples: list[str], hidden: npt.NDArray[np.bool_]) -> str:
    buttons = "".join(
        f'<button type="button" class="name" aria-pressed="{str(bool(gone)).lower()}"><span>{escape(name)}'
        "</span></button>"
        for name, gone in zip(genes, hidden, strict=True)
    )
    options = "".join(f"<option>{escape(name)}</option>" for name in samples)
    return f"""<div class="names" role="group" aria-label="Press a gene to hide or show it">{buttons}</div>
<div class="controls"><label>Sample <select autocomplete="off">{options}</select></label>
<label>Hide <input type="range" min="0" max="95" step="5" value="50" autocomplete="off"
 aria-label="Share of the genes to hide"> <span class="share">50%</span></label></div>
<p class="state" aria-live="polite">Every second gene is hidden.</p>"""


_LIGHT = f"--paper:#ffffff;--ink:{INK};--quiet:#5c5c5c;--rule:#dedede;--seen:{PALETTE[0]};--new:{PALETTE[5]}"
_DARK = f"--paper:#1f2328;--ink:#ececec;--quiet:#b4b8bd;--rule:#4a5058;--seen:{PALETTE[4]};--new:{PALETTE[1]}"
_STYLE = (
    f"""
#RESTORING {{ {_LIGHT}; color-scheme: light; }}
@media (prefers-color-scheme: dark) {{
  html:not([data-theme]) body:not([data-jp-theme-light]) #RESTORING {{ {_DARK}; color-scheme: dark; }}
}}
html[data-theme="dark"] #RESTORING, body[data-jp-theme-light="false"] #RESTORING {{ {_DARK};
  color-scheme: dark; }}
"""
    + """
#RESTORING { box-sizing: border-box; width: 100%; max-width: 60rem; margin: 0; padding: .6rem .75rem;
  border-radius: .3rem; background: var(--paper); color: var(--ink);
  font: 14px/1.4 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
  font-variant-numeric: tabular-nums; }
.text_html:has(> #RESTORING) { background: none; padding: 0; }
#RESTORING * { box-sizing: border-box; }
#RESTORING .key { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; font-size: 12px; color: var(--quiet);
  padding: 0 0 .4rem 2.4rem; }
#RESTORING .key i { display: inline-block; width: 10px; height: 10px; margin-right: .4rem; }
#RESTORING .dot { border-radius: 50%; background: var(--seen); }
#RESTORING .ring { border-radius: 50%; border: 2px solid var(--quiet); }
#RESTORING .bar { background: var(--new); opacity: .8; }
#RESTORING .plot { display: grid; grid-template-columns: 2.4rem minmax(0, 1fr); }
#RESTORING .axis { position: relative; font-size: 12px; color: var(--quiet); }
#RESTORING .axis span { position: absolute; right: .5rem; transform: translateY(-50%); line-height: 1; }
#RESTORING svg { display: block; width: 100%; height: 230px; margin: 0; overflow: visible;
  border-left: 1px solid var(--rule); }
#RESTORING svg path { vector-effect: non-scaling-stroke; fill: none; stroke-linecap: butt; }
#RESTORING .rules { stroke: var(--rule); stroke-width: 1px; }
#RESTORING .truth { stroke: var(--seen); stroke-width: 10px; stroke-linecap: round; }
#RESTORING .gone .truth { stroke: var(--quiet); }
#RESTORING .hole { stroke: none; }
#RESTORING .gone .hole { stroke: var(--paper); stroke-width: 6px; stroke-linecap: round; }
#RESTORING .range, #RESTORING .restored { stroke: none; }
#RESTORING .gone .range { stroke: var(--new); stroke-width: 7px; opacity: .35; }
#RESTORING .gone .restored { stroke: var(--new); stroke-width: 3px; }
#RESTORING .names { display: flex; padding: .3rem 0 0 2.4rem; }
#RESTORING .name { flex: 1 1 0; min-width: 0; height: 6.2rem; margin: 0; padding: .3rem 0; border: 0;
  background: none; color: var(--ink); font: 11px/1 inherit; cursor: pointer; overflow: hidden; }
#RESTORING .name span { writing-mode: vertical-rl; white-space: nowrap; font-size: 11px; }
#RESTORING .name[aria-pressed="true"] span { color: var(--quiet); text-decoration: line-through; }
#RESTORING .name:focus-visible { outline: 2px solid var(--new); outline-offset: -2px; }
#RESTORING .controls { display: flex; flex-wrap: wrap; gap: .3rem 1.5rem; align-items: center; }
#RESTORING .controls label { display: flex; gap: .5rem; align-items: center; }
#RESTORING input { accent-color: var(--new); margin: 0; height: 1.9rem; }
#RESTORING .state { margin: .3rem 0 0; font-size: 14px; }
#RESTORING:not([data-live]) .controls { display: none; }
#RESTORING:not([data-live]) .name { cursor: default; }
"""
)

# Arithmetic only, no page: a test runs it by itself.
_ARITHMETIC = """
  // x with a x = b for a positive definite a, by elimination; b has several columns.
  function solve(a, b) {
    const n = a.length, m = a.map((row, i) => [...row, ...b[i]]);
    for (let i = 0; i < n; i += 1) {
      for (let j = i + 1; j < n; j += 1) {
        const f = m[j][i] / m[i][i];
        for (let k = i; k < m[j].length; k += 1) m[j][k] -= f * m[i][k];
      }
    }
    for (let i = n - 1; i >= 0; i -= 1) {
      for (let k = n; k < m[i].length; k += 1) {
        for (let j = i + 1; j < n; j += 1) m[i][k] -= m[i][j] * m[j][k];
        m[i][k] /= m[i][i];
      }
    }
    return m.map((row) => row.slice(n));
  }
  function conditional(value, hidden, covariance) {
    const places = value.map((_, i) => i);
    const seen = places.filter((i) => !hidden[i]), gone = places.filter((i) => hidden[i]);
    const solved = solve(seen.map((i) => seen.map((j) => covariance[i][j])),
      seen.map((i) => gone.map((j) => covariance[i][j])));
    const mean = [...value], spread = value.map(() => 0);
    gone.forEach((g, k) => {
      mean[g] = seen.reduce((s, i, row) => s + value[i] * solved[row][k], 0);
      const told = seen.reduce((s, i, row) => s + covariance[i][g] * solved[row][k], 0);
      spread[g] = Math.sqrt(Math.max(covariance[g][g] - told, 0));
    });
    return { mean, spread };
  }
"""

_PAGE = """
  const y = (value) => 4 - Math.min(Math.max(value, -4), 4);
  function start(root) {
    const one = (selector) => root.querySelector(selector);
    const data = JSON.parse(one("script[type='application/json']").textContent);
    const genes = [...root.querySelectorAll(".gene")], names = [...root.querySelectorAll(".name")];
    const slider = one("input"), list = one("select"), n = data.genes.length;
    let hidden = data.genes.map((_, i) => i % 2 === 1);
    function show() {
      const value = data.values[list.selectedIndex];
      const { mean, spread } = conditional(value, hidden, data.covariance);
      genes.forEach((gene, i) => {
        gene.classList.toggle("gone", hidden[i]);
        const [range, restored, truth, hole] = gene.children;
        range.setAttribute("d", `M${i + 0.5} ${y(mean[i] + spread[i])}V${y(mean[i] - spread[i])}`);
        restored.setAttribute("d", `M${i + 0.2} ${y(mean[i])}h.6`);
        [truth, hole].forEach((mark) => mark.setAttribute("d", `M${i + 0.5} ${y(value[i])}h0`));
        names[i].setAttribute("aria-pressed", hidden[i]);
      });
      const gone = value.map((_, i) => i).filter((i) => hidden[i]);
      const error = (guess) => Math.sqrt(
        gone.reduce((s, i) => s + (guess(i) - value[i]) ** 2, 0) / gone.length).toFixed(2);
      one(".share").textContent = `${Math.round(100 * gone.length / n)}%`;
      one(".state").textContent = !gone.length ? "Nothing is hidden. Press a gene, or move the slider."
        : `${gone.length} of ${n} genes hidden. Error of the restoration: ${error((i) => mean[i])} standard `
          + `deviations; of the mean of all samples: ${error(() => 0)}.`;
    }
    names.forEach((name, i) => name.addEventListener("click", () => {
      hidden[i] = !hidden[i];
      if (hidden.every((gone) => gone)) hidden[i] = false;
      show();
    }));
    slider.addEventListener("input", () => {
      // Spread over the row: each gene goes at its own mark, and stays gone above it.
      const count = Math.min(Math.round(n * slider.value / 100), n - 1);
      const order = data.genes.map((_, i) => [(i * 0.6180339887 + 0.5) % 1, i]).sort((a, b) => a[0] - b[0]);
      hidden = hidden.map(() => false);
      order.slice(0, count).forEach(([, i]) => { hidden[i] = true; });
      show();
    });
    list.addEventListener("change", show);
    root.dataset.live = "";
    show();
  }
  document.querySelectorAll("#RESTORING:not([data-live])").forEach(start);
"""
