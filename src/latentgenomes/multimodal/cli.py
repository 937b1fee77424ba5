"""Commands of the study: classify and embed. Everything slow is imported when one runs."""

from pathlib import Path
from typing import Annotated

import typer

from latentgenomes.core.parameters import assignments


def classify(
    profiles: Annotated[
        list[str], typer.Argument(metavar="NAME=FILE...", help="Such as SBS96=sbs.all ID83=id.all.")
    ],
    out: Annotated[
        Path, typer.Option("-o", "--out", help="Folder for predictions.csv and what explains them.")
    ],
    prior: Annotated[
        Path | None, typer.Option("--prior", help="CSV with the columns organ and weight: likely organs.")
    ] = None,
) -> None:
    """Name the organ of tumours from any of SBS96, ID83, DBS78, CN48, SV32, or say that it is not known."""
    from latentgenomes.multimodal.verbs.classify import classify_files

    found = classify_files(assignments(profiles, "classify"), prior=prior)
    found.save(out)
    verdicts = found.predictions["verdict"].value_counts()
    told = ", ".join(f"{number} {verdict}" for verdict, number in verdicts.items())
    typer.echo(f"{found.about['model']} ({found.about['trained on']}): {told}")
    for sample, note in found.evidence["note"][found.evidence["note"] != ""].head(10).items():
        typer.echo(f"{sample}: uncertain, {note}", err=True)


def embed(
    profiles: Annotated[
        list[str], typer.Argument(metavar="NAME=FILE...", help="Such as SBS96=sbs.all ID83=id.all.")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for embedding, attention and the model.")],
    model: Annotated[
        Path | None, typer.Option("--model", help="mutembed.safetensors of an earlier call.")
    ] = None,
    align: Annotated[
        bool, typer.Option("--align", help="Join files of other samples or another order, by name.")
    ] = False,
    max_epochs: Annotated[int, typer.Option(help="Passes over the data; without --model.")] = 500,
    seed: Annotated[int, typer.Option(help="Everything random follows from it.")] = 0,
) -> None:
    """Embed tumours from your matrices (SBS96, ID83, DBS78, CN48, SV32) with MutEmbed."""
    from latentgenomes.multimodal.verbs.embed import embed_files

    paths = assignments(profiles, "embed")
    found = embed_files(paths, model=model, align=align, max_epochs=max_epochs, random_state=seed)
    found.save(out)
    known = f"{len(found.embedding)} tumours, profiles {', '.join(found.model.profile_names_)}"
    typer.echo(f"{known}; share of the variance restored: {found.restored:.3f}")


COMMANDS = (classify, embed)
