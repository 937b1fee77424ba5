"""A map of tumours to play with: point at one to read what it is, press a type to see it alone.

Style, numbers and script stand inside the HTML, so it needs no network. What Python draws is the whole map,
coloured by type, which stays a still picture where scripts are switched off. Positions are scaled to a
square of 1000 units, y upwards.
"""

import json
from hashlib import sha256
from html import escape

import numpy as np
import numpy.typing as npt
import pandas as pd

from latentgenomes.core.style import INK, PALETTE
from latentgenomes.multimodal.figures.tumours import check_coordinates, type_colours

IntArray = npt.NDArray[np.int64]

_SIDE = 1000
_MARGIN = 25
MOST_POINTS = 20_000
COLUMNS = ("type", "project", "burden")


def embedding_map(coordinates: pd.DataFrame, samples: pd.DataFrame) -> str:
    """Interactive map of samples, as HTML: name, type, project and burden of the one that is pointed at.

    Types are coloured as in `plot_embedding`. A button for each type leaves the others pale; "Colour by
    burden" shows the number of mutations instead of the type. With the keyboard, focus the map and walk
    through the samples shown with the arrow keys. `samples`, in any order, has the columns ``type`` (at most
    24), ``project`` and ``burden`` (mutations, whole, >= 0). About 80 bytes a sample.
    """
    missing = [column for column in COLUMNS if column not in samples.columns]
    if missing or len(coordinates) > MOST_POINTS:
        raise ValueError(
            f"samples must have the columns {', '.join(COLUMNS)} and coordinates at most {MOST_POINTS} rows, "
            f"but {', '.join(missing) or 'no column'} is missing and there are {len(coordinates)} rows. Add "
            "the columns, or draw a subset."
        )
    types = check_coordinates(coordinates, samples["type"])
    own = samples.loc[coordinates.index]
    burden = own["burden"].to_numpy(dtype=np.float64)
    if not (np.isfinite(burden) & (burden >= 0)).all():
        raise ValueError(
            f"burden must be mutations >= 0, but {int((~(np.isfinite(burden) & (burden >= 0))).sum())} of "
            f"{len(burden)} are not. Pass the sum of the counts."
        )
    looks = type_colours(types)
    kinds = list(looks)
    number = {kind: i for i, kind in enumerate(kinds)}
    codes: IntArray = np.array([number[kind] for kind in types], dtype=np.int64)
    places = _places(coordinates)
    projects = sorted(own["project"].astype(str).unique())
    data = {
        "names": [str(name) for name in coordinates.index],
        "types": kinds,
        "projects": projects,
        "type": codes.tolist(),
        "project": own["project"].astype(str).map({p: i for i, p in enumerate(projects)}).tolist(),
        "burden": burden.astype(np.int64).tolist(),
        "x": places[:, 0].tolist(),
        "y": places[:, 1].tolist(),
    }
    text = _json(data)
    identity = "map-" + sha256(text.encode()).hexdigest()[:8]
    style, script = (part.replace("EMBEDDING", identity) for part in (_STYLE, _PAGE))
    return "\n".join(
        (
            f'<div id="{identity}" role="group" aria-label="Map of tumours">',
            f"<style>{style}</style>",
            _picture(places, codes, [colour for colour, _ in looks.values()]),
            '<p class="state" aria-live="polite">Each point is a tumour; near ones are alike.</p>',
            _buttons(kinds, np.bincount(codes).astype(np.int64), [colour for colour, _ in looks.values()]),
            f'<script type="application/json">{text}</script>',
            "</div>",
            f"<script>(() => {{{script}}})();</script>",
        )
    )


def _places(coordinates: pd.DataFrame) -> IntArray:
    """Whole units in the square, the longer range filling it, y downwards as in SVG."""
    values = coordinates.to_numpy(dtype=np.float64)
    low, high = values.min(axis=0), values.max(axis=0)
    reach = float((high - low).max()) or 1.0
    unit = (values - (low + high) / 2) / reach  # -0.5 to 0.5
    unit[:, 1] *= -1
    return np.rint(_SIDE / 2 + (_SIDE - 2 * _MARGIN) * unit).astype(np.int64)


def _json(data: object) -> str:
    """JSON that may stand inside a script element, whatever the names hold."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")


def _picture(places: IntArray, codes: IntArray, shades: list[str]) -> str:
    """All points, in the order of the samples, so that no type covers another."""
    radius = max(4, min(9, round(180 / len(places) ** 0.5)))
    points = "".join(
        f'<circle cx="{x}" cy="{y}" fill="{shades[code]}"/>'
        for (x, y), code in zip(places.tolist(), codes.tolist(), strict=True)
    )
    return (
        f'<div class="frame"><svg viewBox="0 0 {_SIDE} {_SIDE}" style="--r:{radius}px" role="img" '
        'tabindex="0" '
        f'aria-label="{len(places)} tumours as points, coloured by type; arrow keys visit them.">'
        f'{points}<circle class="ring"/></svg><div class="tip" hidden></div></div>'
    )


def _buttons(kinds: list[str], counts: IntArray, shades: list[str]) -> str:
    """A button for every type, and one for the burden."""
    types = "".join(
        f'<button type="button" aria-pressed="false" style="--shade:{shade}"><i></i>{escape(kind)} '
        f"<small>{count}</small></button>\n"
        for kind, count, shade in zip(kinds, counts.tolist(), shades, strict=True)
    )
    return (
        f'<div class="types" role="group" aria-label="Types">\n{types}</div>'
        '<button type="button" class="burden" aria-pressed="false">Colour by burden</button>'
    )


# Dark and light points need one ground, so they stand on a light panel in both themes.
_LIGHT = f"--panel:#ffffff;--ink:{INK};--quiet:#5c5c5c;--rule:#d5d5d5;--accent:{PALETTE[0]}"
_DARK = f"--panel:#f1f2f3;--ink:#ececec;--quiet:#b4b8bd;--rule:#3b4148;--accent:{PALETTE[4]}"

_STYLE = (
    f"""
#EMBEDDING {{ {_LIGHT}; color-scheme: light; }}
@media (prefers-color-scheme: dark) {{
  html:not([data-theme]) body:not([data-jp-theme-light]) #EMBEDDING {{ {_DARK}; color-scheme: dark; }}
}}
html[data-theme="dark"] #EMBEDDING, body[data-jp-theme-light="false"] #EMBEDDING {{
  {_DARK}; color-scheme: dark; }}
"""
    + """
#EMBEDDING { color: var(--ink); font: 14px/1.4 system-ui, sans-serif; max-width: 44rem; }
#EMBEDDING * { box-sizing: border-box; }
#EMBEDDING .frame { position: relative; background: var(--panel); border: 1px solid var(--rule);
  border-radius: .3rem; }
#EMBEDDING svg { display: block; width: 100%; max-width: none; max-height: 34rem; margin: 0 auto;
  cursor: crosshair; }
#EMBEDDING circle { r: var(--r); opacity: .8; }
#EMBEDDING circle.pale { opacity: .07; }
#EMBEDDING circle.ring { fill: none; stroke: #222222; stroke-width: 3px; opacity: 0;
  r: calc(var(--r) + 4px); }
#EMBEDDING circle.ring.on { opacity: 1; }
#EMBEDDING .tip { position: absolute; pointer-events: none; background: #222222; color: #ffffff;
  padding: .3rem .5rem; border-radius: .25rem; font-size: 13px; line-height: 1.35; max-width: 15rem;
  overflow-wrap: anywhere; z-index: 2; }
#EMBEDDING .tip[hidden] { display: none; }
#EMBEDDING .state { margin: .4rem 0; min-height: 1.4em; color: var(--quiet); overflow-wrap: anywhere; }
#EMBEDDING .types { display: flex; flex-wrap: wrap; gap: .3rem; margin: .3rem 0; }
#EMBEDDING button { font: inherit; color: var(--ink); background: transparent; border: 1px solid var(--rule);
  border-radius: .3rem; padding: .15rem .55rem; min-height: 2rem; cursor: pointer; }
#EMBEDDING button small { color: var(--quiet); font-size: 12px; }
#EMBEDDING button i { display: inline-block; width: .7rem; height: .7rem; border-radius: 50%;
  margin-right: .4rem; background: var(--shade); border: 1px solid var(--rule); }
#EMBEDDING button[aria-pressed="true"] { border-color: var(--accent); font-weight: 600;
  box-shadow: inset 0 0 0 1px var(--accent); }
#EMBEDDING :is(button, svg):focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
#EMBEDDING:not([data-live]) button.burden { display: none; }
"""
)

_PAGE = """
  function start(root) {
    const data = JSON.parse(root.querySelector("script[type='application/json']").textContent);
    const svg = root.querySelector("svg"), tip = root.querySelector(".tip");
    const state = root.querySelector(".state"), ring = root.querySelector(".ring");
    const points = [...svg.querySelectorAll("circle:not(.ring)")];
    const types = [...root.querySelectorAll(".types button")];
    const byBurden = root.querySelector(".burden");
    const colours = points.map((point) => point.getAttribute("fill"));
    const logs = data.burden.map((value) => Math.log(1 + value));
    const low = Math.min(...logs), high = Math.max(...logs);
    const chosen = new Set(), plain = state.textContent;
    let first = plain;
    let current = -1;
    const shown = (i) => !chosen.size || chosen.has(data.type[i]);
    const words = (i) => [data.names[i], data.types[data.type[i]], data.projects[data.project[i]],
      `${data.burden[i].toLocaleString("en-US")} mutations`];
    function point(i) {
      current = i;
      ring.classList.toggle("on", i >= 0);
      tip.hidden = i < 0;
      if (i < 0) { state.textContent = first; return; }
      ring.setAttribute("cx", data.x[i]);
      ring.setAttribute("cy", data.y[i]);
      tip.replaceChildren(...words(i).map((text) => {
        const line = document.createElement("div");
        line.textContent = text;
        return line;
      }));
      state.textContent = words(i).join(" · ");
      const frame = root.querySelector(".frame").getBoundingClientRect(), box = ring.getBoundingClientRect();
      const left = box.right - frame.left + 6, top = box.top - frame.top;
      const beyond = left + tip.offsetWidth > frame.width;
      tip.style.left = `${beyond ? left - 12 - box.width - tip.offsetWidth : left}px`;
      tip.style.top = `${Math.max(0, Math.min(top, frame.height - tip.offsetHeight))}px`;
    }
    function paint() {
      const dark = byBurden.getAttribute("aria-pressed") === "true";
      const ends = [Math.min(...data.burden), Math.max(...data.burden)].map((n) => n.toLocaleString("en-US"));
      first = dark ? `Palest: ${ends[0]} mutations, darkest: ${ends[1]}, on a logarithmic scale.` : plain;
      points.forEach((mark, i) => {
        mark.classList.toggle("pale", !shown(i));
        const share = (logs[i] - low) / (high - low || 1);
        mark.setAttribute("fill", dark ? `hsl(215, 70%, ${84 - 62 * share}%)` : colours[i]);
      });
      if (current < 0 || !shown(current)) point(-1);
    }
    svg.addEventListener("pointermove", (event) => {
      const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
      let best = -1, least = 400;
      for (let i = 0; i < points.length; i += 1) {
        const gap = (data.x[i] - at.x) ** 2 + (data.y[i] - at.y) ** 2;
        if (gap < least && shown(i)) { best = i; least = gap; }
      }
      if (best !== current) point(best);
    });
    svg.addEventListener("pointerleave", () => point(-1));
    svg.addEventListener("blur", () => point(-1));
    svg.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      let i = current < 0 && step < 0 ? points.length : current;
      do { i += step; } while (i >= 0 && i < points.length && !shown(i));
      if (i >= 0 && i < points.length) point(i);
    });
    types.forEach((button, number) => button.addEventListener("click", () => {
      if (!chosen.delete(number)) chosen.add(number);
      button.setAttribute("aria-pressed", String(chosen.has(number)));
      paint();
    }));
    byBurden.addEventListener("click", () => {
      byBurden.setAttribute("aria-pressed", String(byBurden.getAttribute("aria-pressed") !== "true"));
      paint();
    });
    root.dataset.live = "";
  }
  document.querySelectorAll("#EMBEDDING:not([data-live])").forEach(start);
"""
