"""How the field draws each classification: order of the bars, their colours, strips above, names below.

Orders and colours are those of COSMIC's and SigProfiler's plots, so that a reader recognises a signature.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from matplotlib.colors import to_hex, to_rgb

from latentgenomes.core.style import SUBSTITUTION_COLOURS
from latentgenomes.mutations.channels import (
    CHANNELS,
    CN48,
    DBS78,
    DBS_REFERENCES,
    ID83,
    SBS96_BY_SUBSTITUTION,
    SV32,
)

_DBS_COLOURS = (
    "#03bdef", "#0366cc", "#a2cf63", "#016601", "#ff9999", "#e42926", "#ffb266", "#ff8001", "#cc99ff",
    "#4c0199",
)  # fmt: skip
_ID_COLOURS = (
    "#fdbe6f", "#ff8002", "#b0dd8b", "#36a12e", "#fdcab5", "#fc8a6a", "#f14432", "#bc191a",
    "#d0e1f2", "#94c4df", "#4a98c9", "#1764ab", "#e2e2ef", "#b6b6d8", "#8683bd", "#62409b",
)  # fmt: skip
_SV_COLOURS = {"del": "#800000", "tds": "#ff8c00", "inv": "#6a5acd", "trans": "#696969"}
_CN_COLOURS = {
    "0": "#0000cd", "1": "#545454", "2": "#228b22", "3-4": "#7d26cd", "5-8": "#cd8500", "9+": "#8b0a50",
}  # fmt: skip


@dataclass(frozen=True)
class Span:
    """A run of neighbouring bars with a name, and a shorter one for narrow axes."""

    name: str
    first: int
    n_bars: int
    colour: str = ""
    short: str = ""


@dataclass(frozen=True)
class Layout:
    """Everything about a classification's plot that does not depend on the data.

    `channels` stand in the order of the bars, with one of `colours` each. `strips` are coloured, above the
    bars, with their names; `heads` name groups of strips. `feet` name groups of bars: what `names`, below
    each bar, mean there; a single one is the label of the axis. `edges`: bars need an outline, because some
    are nearly white.
    """

    context: str
    channels: tuple[str, ...]
    colours: tuple[str, ...]
    strips: tuple[Span, ...]
    heads: tuple[Span, ...]
    feet: tuple[Span, ...]
    names: tuple[str, ...]
    edges: bool = False


def layout_of(labels: Iterable[str]) -> Layout:
    """Find the layout of the classification that shares the most labels; SBS96 where none shares any."""
    given = set(labels)
    return LAYOUTS[max(LAYOUTS, key=lambda context: len(given.intersection(CHANNELS[context])))]


def _spans(
    rows: Iterable[tuple[str, int]], colours: Sequence[str] = (), short: Sequence[str] = ()
) -> tuple[Span, ...]:
    """Spans side by side, from names and sizes."""
    spans: list[Span] = []
    for number, (name, n_bars) in enumerate(rows):
        first = spans[-1].first + spans[-1].n_bars if spans else 0
        brief = short[number] if short else name
        spans.append(Span(name, first, n_bars, colours[number] if colours else "", brief))
    return tuple(spans)


def _by_strip(strips: Iterable[Span]) -> tuple[str, ...]:
    return tuple(strip.colour for strip in strips for _ in range(strip.n_bars))


def _shades(colour: str, n_shades: int) -> list[str]:
    """From nearly white to the colour itself: larger events are darker."""
    red, green, blue = to_rgb(colour)
    shares = [0.12 + 0.88 * step / (n_shades - 1) for step in range(n_shades)]
    return [to_hex((1 - s + s * red, 1 - s + s * green, 1 - s + s * blue)) for s in shares]


def _sbs96() -> Layout:
    strips = _spans([(name, 16) for name in SUBSTITUTION_COLOURS], list(SUBSTITUTION_COLOURS.values()))
    names = tuple(f"{channel[0]}{channel[2]}{channel[-1]}" for channel in SBS96_BY_SUBSTITUTION)
    feet = _spans([("Trinucleotide before the mutation", 96)])
    return Layout("SBS96", SBS96_BY_SUBSTITUTION, _by_strip(strips), strips, (), feet, names)


def _dbs78() -> Layout:
    sizes = [sum(channel.startswith(ref) for channel in DBS78) for ref in DBS_REFERENCES]
    rows = [(f"{ref}>NN", n) for ref, n in zip(DBS_REFERENCES, sizes, strict=True)]
    strips = _spans(rows, _DBS_COLOURS, DBS_REFERENCES)
    names = tuple(channel[3:] for channel in DBS78)
    return Layout(
        "DBS78",
        DBS78,
        _by_strip(strips),
        strips,
        (),
        _spans([("Dinucleotide after the mutation", 78)]),
        names,
    )


def _id83() -> Layout:
    lengths = ["2", "3", "4", "5+"]
    rows = [(base, 6) for base in "CTCT"] + [(length, 6) for length in lengths * 2]
    rows += list(zip(lengths, (1, 2, 3, 5), strict=True))
    strips = _spans(rows, _ID_COLOURS)
    heads = _spans(
        [
            ("1 bp deletion", 12),
            ("1 bp insertion", 12),
            (">1 bp deletion at repeats", 24),
            (">1 bp insertion at repeats", 24),
            ("Microhomology", 11),
        ],
        short=("-1", "+1", "-2 or more", "+2 or more", "MH"),
    )
    feet = _spans(
        [("Homopolymer length", 24), ("Number of repeat units", 48), ("Length", 11)],
    )
    names = []
    for channel in ID83:
        _, kind, motif, number = channel.split(":")
        repeat_lost = kind == "Del" and motif != "M"  # the deleted unit itself is counted
        count = int(number) + repeat_lost
        names.append(f"{count}+" if number == "5" else str(count))
    return Layout("ID83", ID83, _by_strip(strips), strips, heads, feet, tuple(names))


def _cn48() -> Layout:
    totals = list(_CN_COLOURS)
    rows = [("0", 3)] + [(total, 5) for total in totals[1:]] + [(total, 5) for total in totals[2:]]
    strips = _spans(rows, [_CN_COLOURS[total] for total, _ in rows])
    heads = _spans(
        [("HD", 3), ("Loss of heterozygosity", 25), ("Heterozygous", 20)], short=("HD", "LOH", "Het")
    )
    colours = tuple(shade for total, n in rows for shade in _shades(_CN_COLOURS[total], n))
    names = tuple(channel.split(":")[2] for channel in CN48)
    return Layout("CN48", CN48, colours, strips, heads, _spans([("Segment size", 48)]), names, edges=True)


def _sv32() -> Layout:
    words = {"del": "Deletion", "tds": "Tandem dup.", "inv": "Inversion", "trans": "Transl."}
    rows = [(kind, 1 if kind == "trans" else 5) for kind in [*_SV_COLOURS, *_SV_COLOURS]]
    strips = _spans([(words[kind], n) for kind, n in rows], [_SV_COLOURS[kind] for kind, _ in rows])
    colours: list[str] = []
    for kind, n in rows:
        colours += [_SV_COLOURS[kind]] if n == 1 else _shades(_SV_COLOURS[kind], n)
    names = tuple("" if channel.endswith("trans") else channel.split("_")[2] for channel in SV32)
    heads = _spans([("Clustered", 16), ("Non-clustered", 16)])
    feet = _spans([("Rearrangement size", 32)])
    return Layout("SV32", SV32, tuple(colours), strips, heads, feet, names, edges=True)


#: Layout of every classification.
LAYOUTS: dict[str, Layout] = {
    layout.context: layout for layout in (_sbs96(), _id83(), _dbs78(), _cn48(), _sv32())
}
