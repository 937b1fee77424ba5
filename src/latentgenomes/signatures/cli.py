"""Commands of the study: count, extract and refit. Everything slow is imported when a command runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import pandas as pd

    from latentgenomes.mutations.references import Reference

_NAMED = 0.9  # cosine from which a signature has the name of its match

Catalogue = Annotated[Path, typer.Argument(help="Your matrix of mutation counts.")]
Context = Annotated[str, typer.Option(help="SBS96, SBS288, SBS1536, ID83, DBS78, CN48 or SV32.")]
Build = Annotated[
    str,
    typer.Option(
        help="Build of the genome: GRCh37, GRCh38, mm9, mm10, mm39, rn6 or rn7, for COSMIC's table."
    ),
]
Exome = Annotated[
    bool, typer.Option("--exome", help="Compare with COSMIC's signatures as an exome shows them.")
]


def count(
    calls: Annotated[list[Path], typer.Argument(help="Files of calls (VCF, BCF, MAF, table), or folders.")],
    genome: Annotated[Path, typer.Option("-g", "--genome", help="FASTA of the build that was called on.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for SBS96.csv, ID83.csv and DBS78.csv.")],
    every: Annotated[bool, typer.Option("--all", help="Also calls that did not pass their filters.")] = False,
) -> None:
    """Count the mutations of your calls: one row a sample, as extract and refit read them."""
    from latentgenomes.mutations.count import count_mutations

    found = count_mutations(calls, genome, passed=not every)
    found.save(out)
    totals = {context: int(table.to_numpy().sum()) for context, table in found.tables.items()}
    n_samples = len(next(iter(found.tables.values())))
    typer.echo(f"samples {n_samples:,}")
    for context, total in totals.items():
        typer.echo(f"{context} {total:,}")
    for note in found.notes:
        typer.echo(note)


def extract(
    catalog: Catalogue,
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for tables and the model; resumes there.")],
    method: Annotated[
        str,
        typer.Option(help="consensus, negative_binomial, gamma_poisson, klnmf, vaems, muse_xae or signer."),
    ] = "consensus",
    n_signatures: Annotated[str, typer.Option(help="auto, a number, or a range such as 2-12.")] = "auto",
    known: Annotated[
        str | None,
        typer.Option(help="COSMIC, or a table of known signatures: start from these, and add new ones."),
    ] = None,
    context: Context = "SBS96",
    cosmic: Annotated[str, typer.Option(help="Version of COSMIC to name signatures by.")] = "3.4",
    build: Build = "GRCh37",
    exome: Exome = False,
    tumours: Annotated[
        str, typer.Option(help="Tissue or tumour, such as breast: marks names that are not expected there.")
    ] = "",
    seed: Annotated[int, typer.Option(help="Everything random follows from it.")] = 0,
) -> dict[str, object]:
    """Extract signatures from your matrix: signatures, exposures, why this many, matches to COSMIC."""
    from latentgenomes.core.provenance import replacing
    from latentgenomes.mutations.aetiologies import doubts
    from latentgenomes.mutations.finer import read_any_catalog
    from latentgenomes.mutations.references import Reference
    from latentgenomes.signatures.verbs import informed
    from latentgenomes.signatures.verbs.downstream import save_extraction_tables
    from latentgenomes.signatures.verbs.drawings import save_extraction_figures

    counts = read_any_catalog(catalog, context=context, on_empty="keep")
    empty = _empty_samples(counts, catalog)
    _refuse_one_sample(counts, catalog, context)
    doubts(counts.index.to_series().iloc[:0], tumours)  # a wrong word is said before the work
    if known and (method, n_signatures) != (informed.DEFAULT, "auto"):
        raise ValueError(
            "--known goes with a method of its own that finds the number of signatures. "
            "Leave out --method and --n-signatures, or leave out --known."
        )
    reference = Reference(cosmic, build, exome)
    theirs = _reference(reference, context)
    found = informed.extract(
        counts.drop(index=empty),
        known=_known(known, context, reference) if known else None,
        method=method,
        n_signatures=_numbers(n_signatures),
        random_state=seed,
        folder=out / "fits",
    )
    found.save(out)
    if empty:
        with replacing(out / "exposures.csv") as path:
            found.exposures.reindex(counts.index, fill_value=0.0).to_csv(path)
    if found.intervals_at_hand:
        with replacing(out / "intervals.csv") as path:
            found.intervals().to_csv(path, index=False)
    typer.echo(found.reason)
    matches = None
    if theirs is not None:
        matches = found.matches(theirs)
        doubt = doubts(matches["reference"], tumours).where(matches["cosine"] >= _NAMED, "")
        with replacing(out / "matches.csv") as path:
            matches.assign(doubt=doubt).to_csv(path, index=False)
        _say_reach(counts, theirs)
    if known:
        shown = found.verdicts[["signature", "verdict", "reference", "cosine", "samples"]]
        typer.echo(shown.round(3).to_string(index=False))
    elif matches is not None:
        verdicts = found.support.dropna().reset_index(names="signature")
        shown = matches.merge(verdicts, how="left") if len(verdicts) else matches
        typer.echo(shown.round(3).to_string(index=False))
    save_extraction_tables(found, out, reference)
    save_extraction_figures(found, out / "figures", theirs, matches)
    return {"cosmic": cosmic, "build": build, "exome": exome, "tumours": tumours}


def refit(
    catalog: Catalogue,
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the tables.")],
    signatures: Annotated[
        Path | None,
        typer.Option("-s", "--signatures", help="Your signatures: one row each, channels in columns."),
    ] = None,
    only: Annotated[
        str, typer.Option(help="Names of the signatures to use, with commas between; empty for all.")
    ] = "",
    context: Context = "SBS96",
    cosmic: Annotated[str, typer.Option(help="Version of COSMIC, without your own signatures.")] = "3.4",
    build: Build = "GRCh37",
    exome: Exome = False,
) -> None:
    """Say which known signatures each of your samples holds: COSMIC's, your own, or some of them."""
    from latentgenomes.core.provenance import replacing
    from latentgenomes.mutations.finer import read_any_catalog
    from latentgenomes.signatures.verbs.downstream import save_refit_tables
    from latentgenomes.signatures.verbs.drawings import save_refit_figures
    from latentgenomes.signatures.verbs.refit import refit_known

    counts = read_any_catalog(catalog, context=context, on_empty="keep")
    names = [name.strip() for name in only.split(",") if name.strip()]
    found = refit_known(
        counts, context, signatures=signatures, only=names, version=cosmic, build=build, exome=exome
    )
    for name in ("exposures", "p_values", "samples"):
        with replacing(out / f"{name}.csv") as path:
            getattr(found, name).rename_axis("sample").to_csv(path)
    with replacing(out / "intervals.csv") as path:
        found.intervals(0.9).to_csv(path, index=False)
    save_refit_tables(found.exposures, found.signatures, out)
    save_refit_figures(found.exposures, out / "figures")
    held = found.presence.sum().loc[lambda number: number > 0].sort_values(ascending=False)
    typer.echo(held.rename("samples").rename_axis("signature").to_string())


def _empty_samples(counts: "pd.DataFrame", catalog: Path) -> list[str]:
    """Samples without a mutation, named on stderr; ValueError when all are."""
    from latentgenomes.core.checks import list_names

    empty = [str(sample) for sample in counts.index[~counts.any(axis=1)]]
    if len(empty) == len(counts):
        raise ValueError(
            f"{catalog.name} must hold mutations, but all of its {len(counts)} samples have none. "
            "Check the file."
        )
    if empty:
        typer.echo(
            f"Left out of the extraction, with exposures of 0: {len(empty)} of {len(counts)} samples have no "
            f"mutation ({list_names(empty)}).",
            err=True,
        )
    return empty


def _refuse_one_sample(counts: "pd.DataFrame", catalog: Path, context: str) -> None:
    """ValueError for a catalogue of one sample, with the command that helps."""
    if int(counts.any(axis=1).sum()) == 1:
        raise ValueError(
            f"{catalog.name} holds 1 sample with mutations, and an extraction compares samples. "
            f"Refit known signatures to it: latentgenomes refit {catalog} --context {context} -o DIR"
        )


def _reference(reference: "Reference", context: str) -> "pd.DataFrame | None":
    """COSMIC's signatures to name the result by; without any, that is said on stderr."""
    try:
        return reference.signatures(context)
    except ValueError as error:
        typer.echo(f"Signatures will have no names of COSMIC's: {error}", err=True)
        return None


def _known(known: str, context: str, reference: "Reference") -> "pd.DataFrame":
    """Known signatures to start from: COSMIC's, or those of a file."""
    from latentgenomes.mutations.finer import FINER
    from latentgenomes.mutations.profiles import read_signatures

    if context in FINER:
        raise ValueError(
            f"--known takes signatures of the channels of the catalogue, and there are none of {context}. "
            "Use --context SBS96, which sums them, or leave out --known."
        )
    if known.upper() == "COSMIC":
        return reference.signatures(context)
    if not Path(known).is_file():
        raise ValueError(f"--known takes COSMIC or a table of signatures, but there is no file {known}.")
    return read_signatures(known, context=context)


def _say_reach(counts: "pd.DataFrame", known: "pd.DataFrame") -> None:
    """Say what the catalogue allows, where it allows little."""
    from latentgenomes.mutations.finer import collapse_channels
    from latentgenomes.signatures.verbs.reach import reach

    allows = reach(collapse_channels(counts), known)
    if allows.narrow:
        typer.echo(str(allows))


def _numbers(text: str) -> str | list[int]:
    """Numbers of signatures from "auto", "7" or "2-12"."""
    if text == "auto":
        return text
    first, dash, last = text.partition("-")
    if not first.isdigit() or (dash and not last.isdigit()):
        raise ValueError(f"--n-signatures takes auto, a number, or a range such as 2-12, but got {text!r}.")
    return list(range(int(first), int(last or first) + 1))


COMMANDS = (count, extract, refit)
