"""What a name is: a gene, of which kind, a patient, a date that a spreadsheet made of a gene, or unknown.

The list of human genes is in ``data/published/gene_names.tsv.gz``: 44,430 symbols of HGNC with their previous
symbols, aliases, Ensembl and Entrez ids.

==============  ==========================================================================================
kind            rule
==============  ==========================================================================================
``Ensembl``     ENSG and eleven digits, also of another species or with a version
``miRNA``       ``hsa-miR-21-5p``, ``hsa-let-7a``
``pair``        TCGA's ``TP53|7157``
``Entrez``      digits that are an Entrez id, unless the names are numbers in a row
``symbol``      present symbol, in any case
``old symbol``  previous symbol
``date``        ``2-Sep``, ``Sep-02``, ``2023-09-02``: what a spreadsheet makes of SEPT2
``patient``     barcode of TCGA, accession of GEO or SRA, UUID, or a word for a patient and a number
``alias``       another name of a gene; counts for nothing where axes are told apart
==============  ==========================================================================================
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import pandas as pd

from latentgenomes.core.checks import list_names
from latentgenomes.core.resources import locate

GENE_NAMES = "data/published/gene_names.tsv.gz"
KINDS_OF_GENES = ("Ensembl", "miRNA", "pair", "Entrez", "symbol", "old symbol", "date")

ENSEMBL = re.compile(r"(ENS[A-Z]*G\d{11})(\.\d+)?(_PAR_Y)?")
MIRNA = re.compile(r"[a-z]{3,4}-(mir|miR|let|lin|bantam)-?.+", re.ASCII)
PAIR = re.compile(r"(?P<symbol>[^|]+)\|(?P<entrez>\d+)")  # TCGA's SYMBOL|ENTREZ
_DIGITS = re.compile(r"\d+")
_PATIENT = re.compile(
    r"TCGA[-.]\w\w[-.]\w{4}.*|(GSM|SRR|ERR|DRR|SRS|ERS|SAM[NED]A?)\d+|MB-?\d{4}"
    r"|[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}"
    r"|(patient|sample|donor|subject|case|tumou?r|individual|id|pt|p|s)[-_. ]?\d+[a-z]?",
    re.IGNORECASE,
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DATES = (
    re.compile(r"(?P<day>\d{1,2})[-/ ](?P<month>[A-Za-z]{3})(?:[a-z]*)(?:[-/ ]\d{2,4})?"),
    re.compile(r"(?P<month>[A-Za-z]{3})(?:[a-z]*)[-/ ](?P<day>\d{1,2})"),
    re.compile(r"\d{4}-(?P<number>\d{2})-(?P<day>\d{2})( 00:00:00)?"),
)
_STEMS = {"mar": ("MARCH", "MARC"), "sep": ("SEPT", "SEP"), "oct": ("OCT",), "nov": ("NOV",), "dec": ("DEC",)}
_SHARE = 0.5  # an axis is of genes when so many of its names are
_FEW = 0.1


@dataclass(frozen=True)
class GeneNames:
    """Lookups of the list of genes: present symbol of every other name, and all ids. A name of several genes
    is in none but `shared`; a present symbol beats a previous one, that an alias.
    """

    symbols: frozenset[str]
    folded: dict[str, str]
    previous: dict[str, str]
    aliases: dict[str, str]
    ensembl: dict[str, str]
    entrez: dict[str, str]
    shared: frozenset[str]


def _lookup(symbols: Sequence[str], names: Iterable[str]) -> tuple[dict[str, str], set[str]]:
    """Symbol of every name that has one symbol, and the names that have several."""
    found: dict[str, str] = {}
    several = set()
    for symbol, cell in zip(symbols, names, strict=True):
        for name in cell.split("|") if cell else ():
            if found.setdefault(name, symbol) != symbol:
                several.add(name)
    return {name: symbol for name, symbol in found.items() if name not in several}, several


@cache
def gene_list() -> GeneNames:
    """The list of human genes that the package carries."""
    return gene_names(
        pd.read_csv(locate(GENE_NAMES), sep="\t", comment="#", dtype=str, keep_default_na=False)
    )


def gene_names(table: pd.DataFrame) -> GeneNames:
    """Lookups of a table with the columns of HGNC's complete set: symbol, ensembl_gene_id, entrez_id,
    prev_symbol, alias_symbol; several values of one gene are separated by ``|``.
    """
    whole = table.reindex(columns=["symbol", "ensembl_gene_id", "entrez_id", "prev_symbol", "alias_symbol"])
    text = whole.astype(object).where(whole.notna(), "").astype(str)
    symbols = text["symbol"].tolist()
    previous, old = _lookup(symbols, text["prev_symbol"])
    aliases, other = _lookup(symbols, text["alias_symbol"])
    entrez = text["entrez_id"].str.replace(r"\.0\b", "", regex=True)  # read as floats
    return GeneNames(
        frozenset(symbols),
        {symbol.upper(): symbol for symbol in symbols},
        previous,
        aliases,
        _lookup(symbols, text["ensembl_gene_id"])[0],
        _lookup(symbols, entrez)[0],
        frozenset((old | other) - set(symbols) - set(previous)),
    )


def dates(name: str) -> list[str]:
    """Present symbols of the genes that a spreadsheet may have turned into this date; none if it is none."""
    for form in _DATES:
        match = form.fullmatch(name.strip())
        if match is None:
            continue
        parts = match.groupdict()
        month = parts.get("month")
        key = month.lower() if month else _MONTHS[min(max(int(parts["number"]), 1), 12) - 1]
        if key not in _MONTHS:
            continue
        known, day = gene_list(), int(parts["day"])
        names = [f"{stem}{day}" for stem in _STEMS.get(key, (key.upper(),))]
        found = [known.previous.get(word) or known.aliases.get(word) for word in names]
        return list(dict.fromkeys(symbol for symbol in found if symbol))
    return []


def kinds(names: Sequence[str]) -> list[str]:
    """Kind of every name; see the head of this module. ``"unknown"`` for the rest."""
    known = gene_list()
    numbered = _in_a_row(names)

    def kind(name: str) -> str:
        if ENSEMBL.fullmatch(name):
            return "Ensembl"
        if MIRNA.fullmatch(name):
            return "miRNA"
        if (match := PAIR.fullmatch(name)) is not None:
            return (
                "pair" if match["entrez"] in known.entrez or match["symbol"] in known.symbols else "unknown"
            )
        if _DIGITS.fullmatch(name):
            return "Entrez" if name in known.entrez and not numbered else "unknown"
        if name.upper() in known.folded:
            return "symbol"
        if _PATIENT.fullmatch(name):  # P1 and S12 are old names of genes, too
            return "patient"
        if name in known.previous:
            return "old symbol"
        if dates(name):
            return "date"
        return "alias" if name in known.aliases or name in known.shared else "unknown"

    return [kind(name) for name in names]


def _in_a_row(names: Sequence[str]) -> bool:
    """Whether names are numbers that count up by one: a numbering, not Entrez ids."""
    if len(names) < 2 or not all(_DIGITS.fullmatch(name) for name in names[:3]):
        return False
    numbers = [int(name) for name in names if _DIGITS.fullmatch(name)]
    steps = sum(after - before == 1 for before, after in pairwise(numbers))
    return 2 * steps > len(names)


def genes_in_rows(
    rows: Sequence[str], columns: Sequence[str], *, option: str = "orientation"
) -> tuple[bool, str]:
    """Whether the rows are genes, and why. ValueError, with the name of the option, where the names do not
    tell.
    """
    found = [pd.Series(kinds(axis)) for axis in (rows, columns)]
    genes = [float(axis.isin(KINDS_OF_GENES).mean()) for axis in found]
    patients = [float((axis == "patient").mean()) for axis in found]
    for own, other in ((0, 1), (1, 0)):
        word, there = ("rows", "columns") if own == 0 else ("columns", "rows")
        if genes[own] >= _SHARE and genes[other] <= _FEW:
            return own == 0, f"{genes[own]:.0%} of the {word} are names of genes ({_most(found[own])})"
        if patients[other] >= 1 - _FEW and genes[other] <= _FEW and patients[own] <= _FEW:
            return own == 0, f"the {there} are patients ({list_names(list((rows, columns)[other])[:2])})"
    raise ValueError(
        f"Either rows or columns must have names of genes, but the names do not tell: {genes[0]:.0%} of "
        f"{len(rows)} rows ({list_names(list(rows)[:3])}, ...) and {genes[1]:.0%} of {len(columns)} columns "
        f"({list_names(list(columns)[:3])}, ...) are. Say which with --{option} genes_in_rows or "
        "genes_in_columns (orientation=... in Python)."
    )


def _most(found: pd.Series) -> str:
    """The kind of most names of genes."""
    return str(found[found.isin(KINDS_OF_GENES)].mode().iloc[0])


def gene_name_kind(names: Sequence[str]) -> str:
    """Kind of most of the names: ``"Ensembl"``, ``"Entrez"``, ``"miRNA"`` or else ``"HGNC"``."""
    counts = {
        "Ensembl": sum(ENSEMBL.fullmatch(name) is not None for name in names),
        "Entrez": sum(_DIGITS.fullmatch(name) is not None for name in names),
        "miRNA": sum(MIRNA.fullmatch(name) is not None for name in names),
    }
    kind = max(counts, key=lambda k: counts[k])
    return kind if 2 * counts[kind] > len(names) else "HGNC"


def present_symbols(names: Sequence[str], known: GeneNames | None = None) -> list[str | None]:
    """Present symbol of every name, of whatever kind: None for what is unknown or of several genes. An
    Ensembl id of no known gene stays, without its version, and so does the name of a miRNA.
    """
    table = known or gene_list()

    def symbol(name: str) -> str | None:
        if (match := ENSEMBL.fullmatch(name)) is not None:
            return table.ensembl.get(match[1], match[1])
        if MIRNA.fullmatch(name):
            return name
        if (match := PAIR.fullmatch(name)) is not None:
            return table.entrez.get(match["entrez"]) or symbol(match["symbol"])
        if _DIGITS.fullmatch(name):
            return table.entrez.get(name)
        if name in table.symbols:
            return name
        known_as = table.previous.get(name) or table.aliases.get(name) or table.folded.get(name.upper())
        if known_as is not None:
            return known_as
        meant = dates(name)
        return meant[0] if len(meant) == 1 else None

    return [symbol(name) for name in names]


def naming_notes(names: Sequence[str]) -> list[str]:
    """What is said about names of genes: their kinds, the dates among them, and the unknown, by name."""
    found = pd.Series(kinds(names), index=list(names))
    counts = found[found.isin(KINDS_OF_GENES)].value_counts()
    notes = [f"gene names found: {', '.join(f'{kind} {n:,}' for kind, n in counts.items()) or 'unknown'}"]
    if (found == "date").any():
        meant = {name: dates(name) for name in found.index[found == "date"]}
        words = [f"{name} ({' or '.join(symbols)})" for name, symbols in meant.items()]
        notes.append(
            f"{len(words)} names are dates that a spreadsheet made of genes: {_listed(words)}; they keep "
            "their names here"
        )
    others = found.index[~found.isin([*KINDS_OF_GENES, "alias"])].tolist()
    if others:
        notes.append(
            f"{len(others)} of {len(names)} names are no known human gene: {_listed(others)}; they are "
            "treated as genes under these names"
        )
    return notes


def _listed(words: Sequence[str]) -> str:
    rest = len(words) - 10
    return ", ".join(words[:10]) + (f" and {rest} more" if rest > 0 else "")


def read_gene_names(id_table: pd.DataFrame | str | Path, kind: str) -> GeneNames:
    """Lookups of a reader's own table, such as HGNC's complete set; ValueError if a column is missing."""
    table = id_table if isinstance(id_table, pd.DataFrame) else pd.read_csv(id_table, sep="\t", dtype=str)
    ids = {"Ensembl": "ensembl_gene_id", "Entrez": "entrez_id"}
    missing = [name for name in ("symbol", ids.get(kind, "prev_symbol")) if name not in table]
    if missing:
        raise ValueError(
            f"id_table must have the columns of HGNC's complete set, but {missing[0]!r} is not among "
            f"{list_names(table.columns.tolist())}. Download it from "
            "https://www.genenames.org/download/archive (hgnc_complete_set.txt)."
        )
    return gene_names(table)
