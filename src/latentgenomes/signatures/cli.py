"""Commands of the study: count, extract and refit. Everything slow is imported when a command runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import pandas as pd

Catalogue = Annotated[Path, typer.Argument(help="Your matrix of mutation counts.")]
Context = Annotated[str, typer.Option(help="SBS96, ID83, DBS78, CN48 or SV32.")]


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
    seed: Annotated[int, typer.Option(help="Everything random follows from it.")] = 0,
) -> dict[str, object]:
    """Extract signatures from your matrix: signatures, exposures, why this many, matches to COSMIC."""
    from latentgenomes.core.provenance import replacing
    from latentgenomes.mutations.catalogues import read_catalog
    from latentgenomes.signatures.verbs import informed

    counts = read_catalog(catalog, context=context, on_empty="keep")
    empty = _empty_samples(counts, catalog)
    if known and (method, n_signatures) != (informed.DEFAULT, "auto"):
        raise ValueError(
            "--known goes with a method of its own that finds the number of signatures. "
            "Leave out --method and --n-signatures, or leave out --known."
        )
    found = informed.extract(
        counts.drop(index=empty),
        known=_known(known, context, cosmic) if known else None,
        method=method,
        n_signatures=_numbers(n_signatures),
        random_state=seed,
        folder=out / "fits",
    )
    matches = found.matches(version=cosmic)
    found.save(out)
    if empty:
        with replacing(out / "exposures.csv") as path:
            found.exposures.reindex(counts.index, fill_value=0.0).to_csv(path)
    with replacing(out / "matches.csv") as path:
        matches.to_csv(path, index=False)
    typer.echo(found.reason)
    if known:
        shown = found.verdicts[["signature", "verdict", "reference", "cosine", "samples"]]
        typer.echo(shown.round(3).to_string(index=False))
    else:
        typer.echo(matches.round(3).to_string(index=False))
    return {"cosmic": cosmic}


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
) -> None:
    """Say which known signatures each of your samples holds: COSMIC's, your own, or some of them."""
    from latentgenomes.core.provenance import replacing
    from latentgenomes.mutations.catalogues import read_catalog
    from latentgenomes.signatures.verbs.refit import refit_known

    counts = read_catalog(catalog, context=context, on_empty="keep")
    names = [name.strip() for name in only.split(",") if name.strip()]
    found = refit_known(counts, context, signatures=signatures, only=names, version=cosmic)
    for name in ("exposures", "p_values", "samples"):
        with replacing(out / f"{name}.csv") as path:
            getattr(found, name).rename_axis("sample").to_csv(path)
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


def _known(known: str, context: str, version: str) -> "pd.DataFrame":
    """Known signatures to start from: COSMIC's, or those of a file."""
    from latentgenomes.mutations.cosmic import cosmic_signatures
    from latentgenomes.mutations.profiles import read_signatures

    if known.upper() == "COSMIC":
        return cosmic_signatures(version, context, genome="GRCh38" if context == "SV32" else "GRCh37")
    if not Path(known).is_file():
        raise ValueError(f"--known takes COSMIC or a table of signatures, but there is no file {known}.")
    return read_signatures(known, context=context)


def _numbers(text: str) -> str | list[int]:
    """Numbers of signatures from "auto", "7" or "2-12"."""
    if text == "auto":
        return text
    first, dash, last = text.partition("-")
    if not first.isdigit() or (dash and not last.isdigit()):
        raise ValueError(f"--n-signatures takes auto, a number, or a range such as 2-12, but got {text!r}.")
    return list(range(int(first), int(last or first) + 1))


COMMANDS = (count, extract, refit)
