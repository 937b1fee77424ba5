"""A card for each tumour: what the classifier named, how sure it is, what spoke for it, and where it stands.

HTML with its style inside: it needs no network and no script. All cards share one drawing of the map.
"""

from hashlib import sha256
from html import escape

import numpy as np
import pandas as pd

from latentgenomes.core.style import INK, PALETTE
from latentgenomes.multimodal.figures.tumours import type_colours

_SIDE = 200  # of the small map
_MARGIN = 6
_N_ORGANS = 5
#: Colours of the verdicts: sure, not sure, strange.
VERDICT_COLOURS = {"confident": "#00714f", "uncertain": "#8a5a00", "unlike anything known": "#a03a00"}


def tumour_cards(tables: dict[str, pd.DataFrame], known: pd.DataFrame, *, most: int = 60) -> str:
    """Cards of classified tumours, the least sure first, as HTML.

    `tables` are those of `ClassifiedTumours` by name: predictions, evidence, neighbours, channels, places;
    `known` are the tumours of the map. At most `most` cards; a line says how many are left out.
    """
    order = {"unlike anything known": 0, "uncertain": 1, "confident": 2}
    predictions = tables["predictions"]
    ranked = predictions.assign(_stage=predictions["verdict"].map(order)).sort_values(
        ["_stage", "probability"], kind="stable"
    )
    shown = [sample for sample in ranked.index][:most]
    groups = {
        name: dict(tuple(tables[name].groupby("sample", sort=False))) for name in ("neighbours", "channels")
    }
    identity = "cards-" + sha256(repr([*shown, len(predictions)]).encode()).hexdigest()[:8]
    background, scale = _map(known, identity)
    cards = [
        _card(
            str(sample),
            predictions.loc[sample],
            tables["evidence"].loc[sample],
            groups["neighbours"].get(sample, pd.DataFrame()),
            groups["channels"].get(sample, pd.DataFrame()),
            _mark(tables["places"].loc[sample], scale, identity),
        )
        for sample in shown
    ]
    left = len(predictions) - len(shown)
    rest = (
        f'<p class="rest">{left} surer tumours have no card; they are in predictions.csv.</p>' if left else ""
    )
    return (
        f'<div id="{identity}" role="group" aria-label="Cards of tumours">'
        f"<style>{_STYLE.replace('CARDS', identity)}</style>{background}{''.join(cards)}{rest}</div>"
    )


def _map(known: pd.DataFrame, identity: str) -> tuple[str, tuple[np.ndarray, float]]:
    """The known tumours as one drawing to be used again, and what places a tumour on it."""
    values = known[["map_1", "map_2"]].to_numpy(dtype=np.float64)
    low, reach = values.min(axis=0), float((values.max(axis=0) - values.min(axis=0)).max()) or 1.0
    places = _placed(values, (low, reach))
    looks = type_colours(known["organ"])
    paths = []
    for organ, (shade, _) in looks.items():
        own = places[(known["organ"] == organ).to_numpy()]
        steps = "".join(f"M{x:.0f} {y:.0f}h0" for x, y in own)
        paths.append(f'<path d="{steps}" stroke="{shade}"/>')
    symbol = (
        f'<svg width="0" height="0" style="position:absolute" aria-hidden="true"><symbol id="{identity}-map" '
        f'viewBox="0 0 {_SIDE} {_SIDE}"><g fill="none" stroke-width="3" stroke-linecap="round" opacity=".45">'
        f"{''.join(paths)}</g></symbol></svg>"
    )
    return symbol, (low, reach)


def _placed(values: np.ndarray, scale: tuple[np.ndarray, float]) -> np.ndarray:
    low, reach = scale
    unit = (values - low) / reach * (_SIDE - 2 * _MARGIN) + _MARGIN
    return np.asarray(np.stack([unit[..., 0], _SIDE - unit[..., 1]], axis=-1))


def _mark(place: pd.Series, scale: tuple[np.ndarray, float], identity: str) -> str:
    x, y = _placed(place[["map_1", "map_2"]].to_numpy(dtype=np.float64), scale)
    return (
        f'<svg class="place" viewBox="0 0 {_SIDE} {_SIDE}" role="img" '
        'aria-label="Place of the tumour, a ring, among the known tumours.">'
        f'<use href="#{identity}-map"/><circle cx="{x:.0f}" cy="{y:.0f}" r="9"/></svg>'
    )


def _card(
    sample: str,
    said: pd.Series,
    why: pd.Series,
    near: pd.DataFrame,
    channels: pd.DataFrame,
    place: str,
) -> str:
    shade = VERDICT_COLOURS[said["verdict"]]
    note = str(why["note"]) if isinstance(why["note"], str) else ""
    reason = f" ({escape(note)})" if note else ""
    return (
        f'<article><header><h3>{escape(sample)}</h3><span class="verdict" style="background:{shade}">'
        f"{escape(said['verdict'])}{reason}</span></header>"
        f'<p class="said">{_sentence(said, why)}</p><div class="parts">'
        f"<section><h4>Organ</h4>{_organs(said)}</section>"
        f"<section><h4>What spoke for {escape(str(said['organ']))}</h4>{_spoke(why, channels)}</section>"
        f"<section><h4>Nearest known tumours</h4>{_near(near)}</section>"
        f"<section><h4>On the map</h4>{place}</section></div></article>"
    )


def _sentence(said: pd.Series, why: pd.Series) -> str:
    percent = f"{100 * said['probability']:.0f}%"
    rest = f"{100 * said['probability_second']:.0f}%"
    lead = f"<b>{escape(str(said['organ']))}</b> {percent}, then {escape(str(said['second']))} {rest}."
    share = 100 * float(why["p_value"])
    strange = f"{share:.0f}% of known tumours are as far from their types."
    return f"{lead} {int(why['mutations']):,} mutations from {escape(str(why['profiles']))}. {strange}"


def _bar(label: str, value: float, text: str, shade: str, *, most: float = 1.0) -> str:
    width = 100 * min(abs(value) / most, 1.0) if most else 0.0
    bar = f'<i style="width:{width:.0f}%;background:{shade}"></i>'
    return f'<tr><th scope="row">{escape(label)}</th><td>{bar}</td><td>{escape(text)}</td></tr>'


def _organs(said: pd.Series) -> str:
    organs = said.drop(["organ", "probability", "second", "probability_second", "verdict"]).astype(float)
    rows = [
        _bar(str(organ), value, f"{100 * value:.0f}%", PALETTE[0])
        for organ, value in organs.sort_values(ascending=False, kind="stable").head(_N_ORGANS).items()
    ]
    return f"<table>{''.join(rows)}</table>"


def _spoke(why: pd.Series, channels: pd.DataFrame) -> str:
    """Shares of the profiles as bars, with their loudest channels below."""
    names = [name for name in str(why["profiles"]).split("+") if name]
    values = {name: float(why[name]) for name in names}
    most = max(map(abs, values.values()), default=1.0) or 1.0
    rows = []
    for name, value in values.items():
        rows.append(_bar(name, value, f"{value:+.2f}", PALETTE[0 if value >= 0 else 5], most=most))
        own = channels[channels["profile"] == name] if len(channels) else channels
        loud = own[own["effect"] > 0].head(3) if len(own) else own
        if value > 0 and len(loud):
            pairs = zip(loud["channel"], loud["count"], strict=True)
            words = ", ".join(f"{channel} ({int(count)})" for channel, count in pairs)
            rows.append(f'<tr class="small"><td colspan="3">{escape(words)}</td></tr>')
    return f"<table>{''.join(rows)}</table>"


def _near(near: pd.DataFrame) -> str:
    if near.empty:
        return "<p>none</p>"
    counted = near["histology"].value_counts(sort=True)
    first = near.iloc[0]
    items = "".join(f"<li>{number} {escape(str(kind))}</li>" for kind, number in counted.head(5).items())
    return (
        f'<ul>{items}</ul><p class="small">Nearest: {escape(str(first["neighbour"]))}, '
        f"{escape(str(first['histology']))}, {escape(str(first['project']))}</p>"
    )


_STYLE = f"""
#CARDS {{ --panel:#ffffff; --ink:{INK}; --quiet:#5c5c5c; --rule:#d5d5d5; --track:#ececec;
  color:var(--ink); font:15px/1.45 system-ui,sans-serif; }}
@media (prefers-color-scheme: dark) {{
  html:not([data-theme]) body:not([data-jp-theme-light]) #CARDS {{
    --panel:#1c1f24; --ink:#ececec; --quiet:#b4b8bd; --rule:#3b4148; --track:#31363d; }} }}
html[data-theme="dark"] #CARDS, body[data-jp-theme-light="false"] #CARDS {{
  --panel:#1c1f24; --ink:#ececec; --quiet:#b4b8bd; --rule:#3b4148; --track:#31363d; }}
#CARDS * {{ box-sizing:border-box; }}
#CARDS article {{ background:var(--panel); border:1px solid var(--rule); border-radius:.4rem;
  padding:.8rem 1rem; margin:0 0 1rem; }}
#CARDS header {{ display:flex; flex-wrap:wrap; gap:.3rem .8rem; align-items:baseline; }}
#CARDS h3 {{ margin:0; font-size:1.1rem; overflow-wrap:anywhere; color:var(--ink); }}
#CARDS h4 {{ margin:.5rem 0 .3rem; font-size:.95rem; color:var(--quiet); font-weight:600; }}
#CARDS .verdict {{ color:#ffffff; border-radius:1rem; padding:.05rem .7rem; font-size:.9rem; }}
#CARDS .said {{ margin:.4rem 0; }}
#CARDS .parts {{ display:grid; grid-template-columns:repeat(auto-fit,minmax(11rem,1fr)); gap:.2rem 1.4rem; }}
#CARDS table {{ width:100%; border-collapse:collapse; margin:0; border:0; background:none; display:table; }}
#CARDS tr {{ background:none; border:0; }}
#CARDS :is(th,td) {{ padding:.1rem .3rem .1rem 0; text-align:left; font-weight:400; border:0;
  vertical-align:middle; background:none; color:var(--ink); font-size:.9rem; }}
#CARDS th {{ width:5.2rem; }}
#CARDS td:nth-child(2) {{ background:var(--track); border-radius:.2rem; padding:0; }}
#CARDS td:last-child:not([colspan]) {{ width:3.2rem; text-align:right; }}
#CARDS td i {{ display:block; height:.8rem; border-radius:.2rem; }}
#CARDS .small, #CARDS .small td {{ font-size:.82rem; color:var(--quiet); overflow-wrap:anywhere; }}
#CARDS ul {{ margin:0 0 .3rem; padding-left:1.1rem; font-size:.9rem; }}
#CARDS p.small {{ margin:.2rem 0; }}
#CARDS svg.place {{ width:100%; max-width:12rem; background:#ffffff; border:1px solid var(--rule);
  border-radius:.3rem; }}
#CARDS circle {{ fill:none; stroke:#111111; stroke-width:3.5; }}
"""
