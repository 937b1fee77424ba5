"""Mutation channels in catalogue order, and the spellings by which files name them.

Every channel list is generated from the rule that defines it. Catalogue order is the row order of COSMIC's
tables. In SBS96 that is 5' base, substitution, 3' base; `SBS96_BY_SUBSTITUTION` has the order of the usual
bar plot: substitution, 5' base, 3' base.

References
----------
Alexandrov et al. 2020, Nature 578:94-101 (SBS96, DBS78, ID83); Steele et al. 2022, Nature 606:984-991 (CN48);
Nik-Zainal et al. 2016, Nature 534:47-54 (SV32).
"""

import difflib
from collections.abc import Iterable
from functools import lru_cache
from itertools import product

BASES = "ACGT"
_COMPLEMENT = str.maketrans("ACGT", "TGCA")

#: The six substitution classes of the pyrimidine strand, in the order of the usual bar plot.
SBS_SUBSTITUTIONS: tuple[str, ...] = tuple(f"{ref}>{alt}" for ref in "CT" for alt in BASES if alt != ref)
#: The ten reference dinucleotides, one of each reverse-complement pair and the four palindromes.
DBS_REFERENCES: tuple[str, ...] = ("AC", "AT", "CC", "CG", "CT", "GC", "TA", "TC", "TG", "TT")


def reverse_complement(sequence: str) -> str:
    """Bases of the other strand, read in its own direction."""
    return sequence.translate(_COMPLEMENT)[::-1]


def _dbs78() -> tuple[str, ...]:
    # Both bases change. A palindromic reference reads the same on both strands, so each pair of alternatives
    # that are reverse complements is one channel: the first of the two after a purine, the last after a
    # pyrimidine.
    channels = []
    for ref in DBS_REFERENCES:
        for alt in ("".join(pair) for pair in product(BASES, repeat=2)):
            if alt[0] == ref[0] or alt[1] == ref[1]:
                continue
            both = (alt, reverse_complement(alt))
            chosen = min(both) if ref[0] in "AG" else max(both)
            if ref != reverse_complement(ref) or alt == chosen:
                channels.append(f"{ref}>{alt}")
    return tuple(channels)


def _id83() -> tuple[str, ...]:
    single = [f"1:{kind}:{base}:{n}" for kind in ("Del", "Ins") for base in "CT" for n in range(6)]
    repeats = [f"{size}:{kind}:R:{n}" for kind in ("Del", "Ins") for size in range(2, 6) for n in range(6)]
    # A microhomology is shorter than its deletion; the last class of each is open ("5 or more").
    homology = [f"{size}:Del:M:{n}" for size in range(2, 6) for n in range(1, size if size < 5 else 6)]
    return tuple(single + repeats + homology)


def _cn48() -> tuple[str, ...]:
    sizes = ("0-100kb", "100kb-1Mb", "1Mb-10Mb", "10Mb-40Mb", ">40Mb")
    homdel = [f"0:homdel:{size}" for size in ("0-100kb", "100kb-1Mb", ">1Mb")]
    loh = [f"{total}:LOH:{size}" for total in ("1", "2", "3-4", "5-8", "9+") for size in sizes]
    het = [f"{total}:het:{size}" for total in ("2", "3-4", "5-8", "9+") for size in sizes]
    return tuple(homdel + loh + het)


def _sv32() -> tuple[str, ...]:
    sizes = ("1-10Kb", "10-100Kb", "100Kb-1Mb", "1Mb-10Mb", ">10Mb")
    channels = []
    for place in ("clustered", "non-clustered"):
        channels += [f"{place}_{kind}_{size}" for kind in ("del", "tds", "inv") for size in sizes]
        channels.append(f"{place}_trans")
    return tuple(channels)


SBS96: tuple[str, ...] = tuple(
    f"{five}[{change}]{three}" for five, change, three in product(BASES, SBS_SUBSTITUTIONS, BASES)
)
SBS96_BY_SUBSTITUTION: tuple[str, ...] = tuple(
    f"{five}[{change}]{three}" for change, five, three in product(SBS_SUBSTITUTIONS, BASES, BASES)
)
DBS78: tuple[str, ...] = _dbs78()
ID83: tuple[str, ...] = _id83()
CN48: tuple[str, ...] = _cn48()
SV32: tuple[str, ...] = _sv32()

#: Channels of every context, in catalogue order.
CHANNELS: dict[str, tuple[str, ...]] = {
    "SBS96": SBS96,
    "ID83": ID83,
    "DBS78": DBS78,
    "CN48": CN48,
    "SV32": SV32,
}


def channels_of(context: str) -> tuple[str, ...]:
    """Channels of SBS96, ID83, DBS78, CN48 or SV32 in catalogue order; a ValueError for another context."""
    if context not in CHANNELS:
        raise ValueError(
            f"context must be one of {', '.join(CHANNELS)}, but it is {context!r}. Name one of these."
        )
    return CHANNELS[context]


def substitution(label: str) -> str:
    """Substitution class of an SBS96 channel, such as ``C>A`` for ``A[C>A]A``."""
    if label not in SBS96:
        raise ValueError(
            f"label must be an SBS96 channel such as 'A[C>A]A', but it is {label!r}. "
            "Translate other spellings with normalize_label first."
        )
    return label[2:5]


def _sbs_spellings(label: str) -> Iterable[str]:
    five, change, three = label[0], label[2:5], label[6]
    triplet, alt = five + change[0] + three, change[2]
    yield from (f"{change}{mark}{triplet}" for mark in (",", ":", " ", "_", ";", "\t"))
    yield f"{triplet}>{alt}"
    yield f"{triplet}>{five}{alt}{three}"
    yield f"{five}.{change[0]}.{alt}.{three}"  # R's make.names("A[C>A]A")
    yield f"{change[0]}_{alt}.{triplet}"


def _id_spellings(label: str) -> Iterable[str]:
    size, kind, motif, number = label.split(":")
    motif = {"R": "repeats", "M": "MH"}.get(motif, motif)
    for long_size in {size, size.replace("5", "5+")}:
        for long_number in {number, number.replace("5", "5+")}:
            yield from (mark.join((kind, motif, long_size, long_number)) for mark in ("_", ",", ":"))


def _dbs_spellings(label: str) -> Iterable[str]:
    ref, alt = label.split(">")
    yield from (f"{ref}{mark}{alt}" for mark in ("", ",", ":", "_", " ", "."))


@lru_cache
def _spellings(context: str) -> dict[str, str]:
    generators = {"SBS96": _sbs_spellings, "ID83": _id_spellings, "DBS78": _dbs_spellings}
    table = {label.casefold(): label for label in channels_of(context)}
    if context in generators:
        for label in channels_of(context):
            table |= {spelling.casefold(): label for spelling in generators[context](label)}
    return table


def normalize_label(label: str, context: str) -> str | None:
    """Catalogue name of a channel, whatever the usual spelling it comes in; None for anything else.

    For SBS96 ``A[C>A]A``, ``C>A,ACA``, ``C>A:ACA``, ``C>A ACA``, ``C_A.ACA``, ``ACA>A`` or ``ACA>AAA``; for
    ID83 ``1:Del:C:0`` or ``DEL_C_1_0``; for DBS78 ``AC>CA`` or ``ACCA``; else the name in `CHANNELS`, in any
    case. The columns of a table that spreads a name over several are joined with a comma. A
    substitution on the purine strand is None: a file that holds one may count it apart from its pyrimidine
    partner.
    """
    return _spellings(context).get(label.strip().strip("\"'").strip().casefold())


@lru_cache
def _other_spellings(context: str) -> dict[str, str]:
    """Spellings on the strand whose names are not in the catalogue, with the names that are."""
    generators = {"SBS96": _sbs_spellings, "DBS78": _dbs_spellings}
    if context not in generators:
        return {}
    known, table = _spellings(context), {}
    for label in channels_of(context):
        if context == "SBS96":
            five, ref, alt, three = (reverse_complement(label[i]) for i in (0, 2, 4, 6))
            other = f"{three}[{ref}>{alt}]{five}"
        else:
            other = f"{reverse_complement(label[:2])}>{reverse_complement(label[3:])}"
        for spelling in (other, *generators[context](other)):
            if spelling.casefold() not in known:
                table[spelling.casefold()] = label
    return table


def other_strand(label: str, context: str) -> str | None:
    """Catalogue name of a substitution that is written on the strand without one, such as ``T[G>T]T``.

    Parameters
    ----------
    label : str
        In one of the spellings of `normalize_label`.
    context : str
        SBS96 or DBS78; other contexts have no second strand.

    Returns
    -------
    str or None
        Name of the same change in ``CHANNELS[context]``, or None for anything else.

    Raises
    ------
    ValueError
        If there is no such context.
    """
    channels_of(context)
    return _other_spellings(context).get(label.strip().strip("\"'").strip().casefold())


def nearest_label(label: str, context: str) -> str | None:
    """Channel that an unknown label may stand for: the same on the other strand, or a like spelling."""
    other = other_strand(label, context)
    if other is not None:
        return other
    table = _spellings(context)
    near = difflib.get_close_matches(label.strip().casefold(), table, n=1, cutoff=0.6)
    return table[near[0]] if near else None
