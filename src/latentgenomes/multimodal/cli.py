"""The command of the study: embed. Everything slow is imported when it runs."""

from pathlib import Path
from typing import Annotated

import typer

from latentgenomes.core.parameters import assignments


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
    from latentgenomes.multimodal.verbs import embed_files

    paths = assignments(profiles, "embed")
    found = embed_files(paths, model=model, align=align, max_epochs=max_epochs, random_state=seed)
    found.save(out)
    known = f"{len(found.embedding)} tumours, profiles {', '.join(found.model.profile_names_)}"
    typer.echo(f"{known}; share of the variance restored: {found.restored:.3f}")


COMMANDS = (embed,)
