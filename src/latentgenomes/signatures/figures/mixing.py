"""A figure to play with, as HTML text that needs no network: mix signatures, and draw a tumour.

Python draws the expected spectrum of equal shares, which stays as a still picture where scripts are switched
off; a script makes it move. x runs from 0 to 96 and y is in mutations, so the height of a bar *is* its value.

To the script a tumour is 96 uniform numbers, one per channel, and counts are Poisson quantiles at them. So
the first tumour is the same every time, and a moved slider changes that tumour instead of drawing another.
"""

import json
import math
from collections.abc import Sequence
from hashlib import sha256
from html import escape

import numpy as np
import numpy.typing as npt
import pandas as pd

from latentgenomes.core.checks import check_profiles, list_names
from latentgenomes.core.style import FAINT, INK, PALETTE
from latentgenomes.mutations.layouts import LAYOUTS

FloatArray = npt.NDArray[np.float64]

MOST_SIGNATURES = 6
FEWEST_MUTATIONS, MOST_MUTATIONS = 20, 100_000
_SEEDS = 2**32
_LAYOUT = LAYOUTS["SBS96"]


def mixing_figure(signatures: pd.DataFrame, *, total: int = 5000, seed: int = 0) -> str:
    """Interactive SBS96 spectrum of two to six signatures, with sliders for shares and mutations. "Draw a
    tumour" draws Poisson counts around the expectation and prints the cosine of the two. `total` is that of
    the start, `seed` that of the tumours: the same arguments give the same text.
    """
    profiles = _profiles(signatures)
    if not FEWEST_MUTATIONS <= total <= MOST_MUTATIONS or not 0 <= seed < _SEEDS:
        raise ValueError(
            f"total must lie in {FEWEST_MUTATIONS}..{MOST_MUTATIONS} and seed in 0..{_SEEDS - 1}, but they "
            f"are {total} and {seed}. Choose others."
        )
    names = [str(name) for name in signatures.index]
    data = {
        "names": names,
        "channels": list(_LAYOUT.channels),
        "signatures": profiles.tolist(),
        "total": int(total),
        "seed": int(seed),
    }
    text = _json(data)
    identity = "mixing-" + sha256(text.encode()).hexdigest()[:8]
    style, script = (part.replace("MIXING", identity) for part in (_STYLE, _ARITHMETIC + _PAGE))
    return "\n".join(
        (
            f'<div id="{identity}" role="group" aria-label="Mix signatures and draw a tumour">',
            f"<style>{style}</style>",
            _spectrum(total * profiles.mean(axis=0)),
            _controls(names, profiles, total),
            f'<script type="application/json">{text}</script>',
            "</div>",
            f"<script>(() => {{{script}}})();</script>",
        )
    )


def _profiles(signatures: pd.DataFrame) -> FloatArray:
    """Check signatures, sort them into plotting order and round them, shape (n_signatures, 96)."""
    if not 2 <= len(signatures) <= MOST_SIGNATURES:
        raise ValueError(
            f"signatures must have 2 to {MOST_SIGNATURES} rows, one per slider, but there are "
            f"{len(signatures)}. Select rows."
        )
    wrong = [label for label in signatures.columns if label not in _LAYOUT.channels]
    missing = [label for label in _LAYOUT.channels if label not in signatures.columns]
    if wrong or missing:
        raise ValueError(
            f"signatures must have the 96 SBS96 channels as columns, but {len(missing)} are missing and "
            f"{len(wrong)} are others ({list_names((missing or wrong)[:1])} is the first). "
            "Use the labels of labels.SBS96."
        )
    checked = check_profiles(signatures, name="signatures")
    values = checked[list(_LAYOUT.channels)].to_numpy()
    # The text must not depend on the last bits, in which processors differ.
    return np.array([[float(f"{value:.6g}") for value in row] for row in values])


def _json(data: object) -> str:
    """JSON that may stand inside a script element, whatever the names hold."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)  # ASCII, so no line separators either
    return text.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")


def _number(value: float) -> str:
    """Short text of a number, such as 52.0833 or 0."""
    return f"{value:.6g}"


def _ticks(highest: float) -> tuple[float, list[float]]:
    """Top of the axis, and four to eight round numbers from 0 up; the script has the same rule."""
    top = 1.08 * highest
    size = 10.0 ** math.floor(math.log10(top / 3))
    step = next(factor * size for factor in (5, 2, 1, 0.5) if factor * size <= top / 3)
    return top, [step * number for number in range(int(top / step) + 1)]


def _outline(values: Sequence[float] | FloatArray, top: float) -> str:
    """Path of a staircase over the bars."""
    steps = "".join(f"V{_number(top - value)}h1" for value in values)
    return f"M0 {_number(top)}{steps}V{_number(top)}"


def _spectrum(expected: FloatArray) -> str:
    """Strips, axis and bars of the expected spectrum."""
    top, ticks = _ticks(expected.max())
    strips = "".join(
        f'<span style="--strip:{strip.colour}">{escape(strip.name)}</span>' for strip in _LAYOUT.strips
    )
    axis = "".join(f'<span style="bottom:{100 * tick / top:.2f}%">{tick:,g}</span>' for tick in ticks)
    rules = "".join(f"M0 {_number(top - tick)}h96" for tick in ticks)
    groups = []
    for strip in _LAYOUT.strips:
        bars = "".join(
            f'<rect x="{at}.1" width=".8" y="{_number(top - expected[at])}" '
            f'height="{_number(expected[at])}"/>'
            for at in range(strip.first, strip.first + strip.n_bars)
        )
        groups.append(f'<g fill="{strip.colour}">{bars}</g>')
    bases = "".join(f"<span>{name[0]}</span>" for name in _LAYOUT.names[::4])
    return f"""<div class="plot">
<div class="unit"><span>Mutations</span><span class="key">expected</span></div>
<div class="strips" aria-hidden="true">{strips}</div>
<div class="axis" aria-hidden="true">{axis}</div>
<svg class="spectrum" viewBox="0 0 96 {_number(top)}" preserveAspectRatio="none" role="img"
 aria-label="Bars: mutations in each of the 96 channels. Line: what the mixture is expected to leave.">
<path class="rules" d="{rules}"/>{"".join(groups)}<path class="expected" d="{_outline(expected, top)}"/></svg>
<div class="bases" aria-hidden="true">{bases}</div>
<div class="below">5' base (in each group of four bars, the 3' base: A&nbsp;C&nbsp;G&nbsp;T)</div>
</div>"""


def _controls(names: Sequence[str], profiles: FloatArray, total: int) -> str:
    """Button, what was drawn, and one row per slider. Sliders and button appear with the script only."""
    share = 1 / len(names)
    amount = f"{100 * share:.0f}% · {share * total:,.0f}"
    rows = "".join(
        f'<div class="mixed"><span class="name">{escape(name)}</span>{_thumbnail(profile)}'
        f'<input type="range" min="0" max="100" value="50" autocomplete="off" '
        f'aria-label="Share of {escape(name)}"><span class="amount">{amount}</span></div>\n'
        for name, profile in zip(names, profiles, strict=True)
    )
    place = 100 * math.log(total / FEWEST_MUTATIONS) / math.log(MOST_MUTATIONS / FEWEST_MUTATIONS)
    return f"""<div class="act"><button type="button">Draw a tumour</button>
<p class="state" aria-live="polite">Bars and line: what this mixture is expected to leave.</p></div>
<div class="mixture">
{rows}<div class="mixed all"><span class="name">Expected total</span>
<input type="range" min="0" max="100" value="{place:.0f}" autocomplete="off" aria-label="Expected mutations">
<span class="amount">{total:,}</span></div></div>"""


def _thumbnail(profile: FloatArray) -> str:
    """Small picture of one signature, scaled to its highest bar."""
    heights = 24 * profile / profile.max()
    paths = []
    for strip in _LAYOUT.strips:
        bars = "".join(
            f"M{at} 24v{-heights[at]:.1f}h1v{heights[at]:.1f}"
            for at in range(strip.first, strip.first + strip.n_bars)
            if heights[at] >= 0.05
        )
        paths.append(f'<path fill="{strip.colour}" d="{bars}"/>')
    return (
        '<svg class="thumb" viewBox="0 0 96 24" preserveAspectRatio="none" aria-hidden="true">'
        f"{''.join(paths)}</svg>"
    )


# Black bars vanish on a dark page, so bars stand on a light panel in both themes.
_LIGHT = f"--paper:#ffffff;--panel:#ffffff;--ink:{INK};--quiet:#5c5c5c;--rule:#e2e2e2;--accent:{PALETTE[0]}"
_DARK = f"--paper:#1f2328;--panel:#f1f2f3;--ink:#ececec;--quiet:#b4b8bd;--rule:#3b4148;--accent:{PALETTE[4]}"
_BARS = f"--bar-ink:{INK};--bar-edge:{FAINT};--bar-rule:#dedede"

_STYLE = (
    f"""
#MIXING {{ {_LIGHT}; {_BARS}; color-scheme: light; }}
@media (prefers-color-scheme: dark) {{
  html:not([data-theme]) body:not([data-jp-theme-light]) #MIXING {{ {_DARK}; color-scheme: dark; }}
}}
html[data-theme="dark"] #MIXING, body[data-jp-theme-light="false"] #MIXING {{ {_DARK}; color-scheme: dark; }}
"""
    + """
#MIXING { container-type: inline-size; box-sizing: border-box; width: 100%; max-width: 60rem; margin: 0;
  padding: .6rem .75rem; border-radius: .3rem; background: var(--paper); color: var(--ink);
  font: 14px/1.4 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
  font-variant-numeric: tabular-nums; }
.text_html:has(> #MIXING) { background: none; padding: 0; }
#MIXING * { box-sizing: border-box; }
#MIXING p { margin: 0; font-size: 14px; }
#MIXING .plot { display: grid; grid-template-columns: 3.2rem minmax(0, 1fr); font-size: 12px; }
#MIXING .unit { grid-column: 1 / 3; color: var(--quiet); display: flex; justify-content: space-between;
  padding-bottom: .2rem; }
#MIXING .strips { grid-column: 2; display: grid; grid-template-columns: repeat(6, minmax(0, 1fr));
  text-align: center; background: var(--panel); color: var(--bar-ink); border-radius: 3px 3px 0 0; }
#MIXING .strips span { border-bottom: 6px solid var(--strip); margin: 0 1px 3px; }
#MIXING .axis { grid-column: 1; position: relative; }
#MIXING .axis span { position: absolute; right: .4rem; transform: translateY(50%); line-height: 1; }
#MIXING svg { display: block; width: 100%; max-width: none; margin: 0; background: var(--panel); }
#MIXING svg.spectrum { grid-column: 2; height: 210px; border-bottom: 1px solid var(--bar-ink); }
#MIXING svg * { vector-effect: non-scaling-stroke; }
#MIXING rect { stroke: var(--bar-edge); stroke-width: .5px; }
#MIXING .rules { stroke: var(--bar-rule); stroke-width: 1px; fill: none; }
#MIXING .expected { stroke: var(--bar-ink); stroke-width: 1.2px; fill: none; }
#MIXING .bases { grid-column: 2; display: grid; grid-template-columns: repeat(24, minmax(0, 1fr));
  text-align: center; font-size: 11px; }
#MIXING .below { grid-column: 1 / 3; text-align: center; color: var(--quiet); text-wrap: balance; }
#MIXING .act { display: flex; flex-wrap: wrap; align-items: center; gap: .4rem .9rem; margin-top: .7rem; }
#MIXING .state { flex: 1 1 16rem; min-height: 2.8em; display: flex; align-items: center; }
#MIXING button { font: inherit; font-weight: 600; min-height: 2.5rem; padding: 0 1rem; cursor: pointer;
  border: 1px solid var(--accent); border-radius: .3rem; background: transparent; color: var(--accent); }
#MIXING :is(button, input):focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
#MIXING .key::before { content: ""; display: inline-block; width: 1.6rem; margin-right: .4rem;
  vertical-align: middle; border-top: 1.5px solid var(--ink); }
#MIXING .mixed { display: grid; grid-template-columns: 7rem 8rem minmax(0, 1fr) 8rem; gap: 0 .9rem;
  align-items: center; padding: .25rem 0; border-top: 1px solid var(--rule); }
#MIXING .mixture { margin-top: .5rem; }
#MIXING .name { font-weight: 600; overflow-wrap: anywhere; }
#MIXING .all .name { grid-column: 1 / 3; }
#MIXING .amount { text-align: right; grid-column: 4; }
#MIXING .thumb { height: 26px; border-bottom: 1px solid var(--bar-edge); }
#MIXING input { width: 100%; min-width: 0; height: 1.9rem; margin: 0; accent-color: var(--accent); }
#MIXING:not([data-live]) :is(button, input) { display: none; }
@container (max-width: 560px) {
  #MIXING svg.spectrum { height: 170px; }
  #MIXING .expected { stroke-width: .9px; }
  #MIXING .bases { font-size: 10px; }
  #MIXING .mixed { grid-template-columns: 6rem minmax(0, 1fr) 7rem; }
  #MIXING .thumb { grid-column: 2; grid-row: 1; }
  #MIXING .amount { grid-column: 3; grid-row: 1; }
  #MIXING .all .name { grid-column: 1 / 3; }
  #MIXING input { grid-column: 1 / 4; grid-row: 2; }
}
"""
)

# Arithmetic only, no page: a test runs it by itself.
_ARITHMETIC = """
  // Uniform numbers in (0, 1), one per channel, from a seed: a counter whose bits are mixed.
  function uniforms(seed, n) {
    let state = seed >>> 0;
    return Array.from({ length: n }, () => {
      state = (state + 0x9e3779b9) >>> 0;
      let x = state;
      x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
      x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
      return (((x ^ (x >>> 16)) >>> 0) + 0.5) / 4294967296;
    });
  }
  // Quantile of the normal law, by a rational function: Abramowitz and Stegun 1964, 26.2.23.
  function normal(u) {
    const t = Math.sqrt(-2 * Math.log(Math.min(u, 1 - u)));
    const z = t - (2.515517 + t * (0.802853 + t * 0.010328))
      / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)));
    return u < 0.5 ? -z : z;
  }
  // Quantile of the Poisson law: summed up to a rate of 200; above, the normal one with its skew.
  function poisson(u, rate) {
    if (rate > 200) {
      const z = normal(u);
      return Math.max(0, Math.round(rate + Math.sqrt(rate) * z + (z * z - 1) / 6));
    }
    let count = 0, p = Math.exp(-rate), below = p;
    while (below < u && count < 1000) { count += 1; p *= rate / count; below += p; }
    return count;
  }
  function expectation(signatures, weights, total) {
    const sum = weights.reduce((a, b) => a + b, 0) || 1;
    return signatures[0].map((_, m) =>
      total * signatures.reduce((s, row, k) => s + row[m] * weights[k] / sum, 0));
  }
  function cosine(a, b) {
    const dot = (x, y) => x.reduce((s, value, m) => s + value * y[m], 0);
    return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
  }
  function ticks(highest) {
    const top = 1.08 * highest, size = 10 ** Math.floor(Math.log10(top / 3));
    const step = [5, 2, 1, 0.5].map((factor) => factor * size).find((s) => s <= top / 3);
    return [top, Array.from({ length: Math.floor(top / step) + 1 }, (_, i) => i * step)];
  }
"""

_PAGE = """
  const words = (value) => Number(value.toPrecision(6)).toLocaleString("en-US");
  function start(root) {
    const one = (selector) => root.querySelector(selector);
    const all = (selector) => [...root.querySelectorAll(selector)];
    const data = JSON.parse(one("script[type='application/json']").textContent);
    const rows = all(".mixed"), sliders = all("input"), bars = all("rect"), size = sliders.pop();
    let total = data.total, tumour = 0;  // tumour 0: none drawn yet
    function show() {
      const weights = sliders.map((slider) => Number(slider.value));
      const sum = weights.reduce((a, b) => a + b, 0);
      const expected = expectation(data.signatures, weights, sum ? total : 0);
      const u = uniforms(data.seed + 7919 * tumour, expected.length);
      const counts = tumour ? expected.map((rate, m) => poisson(u[m], rate)) : expected;
      const [top, marks] = ticks(Math.max(...expected, ...counts) || 1);
      one(".spectrum").setAttribute("viewBox", `0 0 ${expected.length} ${top}`);
      bars.forEach((bar, m) => {
        bar.setAttribute("y", top - counts[m]);
        bar.setAttribute("height", counts[m]);
      });
      one(".rules").setAttribute("d", marks.map((mark) => `M0 ${top - mark}h96`).join(""));
      one(".expected").setAttribute("d",
        `M0 ${top}` + expected.map((rate) => `V${top - rate}h1`).join("") + `V${top}`);
      one(".axis").replaceChildren(...marks.map((mark) => {
        const label = document.createElement("span");
        label.textContent = words(mark);
        label.style.bottom = `${100 * mark / top}%`;
        return label;
      }));
      sliders.forEach((slider, k) => {
        const share = sum ? weights[k] / sum : 0, percent = Math.round(100 * share);
        const mutations = Math.round(share * total).toLocaleString("en-US");
        rows[k].querySelector(".amount").textContent = `${percent}% · ${mutations}`;
        slider.setAttribute("aria-valuetext", `${percent} percent, ${mutations} mutations`);
      });
      rows.at(-1).querySelector(".amount").textContent = words(total);
      size.setAttribute("aria-valuetext", `${words(total)} mutations`);
      const drawn = counts.reduce((a, b) => a + b, 0);
      one(".state").textContent = !sum ? "No signature has a share. Raise a slider."
        : !tumour ? "Bars and line: what this mixture is expected to leave."
        : !drawn ? `Tumour ${tumour}: no mutation drawn.`
        : `Tumour ${tumour}: ${drawn.toLocaleString("en-US")} mutations. `
          + `Cosine of drawn and expected: ${cosine(counts, expected).toFixed(3)}`;
    }
    sliders.forEach((slider) => slider.addEventListener("input", show));
    size.addEventListener("input", () => {
      const raw = 20 * 5000 ** (size.value / 100), unit = 10 ** (Math.floor(Math.log10(raw)) - 1);
      total = Math.round(raw / unit) * unit;
      show();
    });
    one("button").addEventListener("click", () => { tumour += 1; show(); });
    root.dataset.live = "";
    show();
  }
  document.querySelectorAll("#MIXING:not([data-live])").forEach(start);
"""
