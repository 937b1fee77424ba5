"""Commands of the study: compress and decompress. Everything slow is imported when a command runs."""

from pathlib import Path
from typing import Annotated

import typer

Panel = Annotated[
    Path | None,
    typer.Option(
        "-p", "--panel", help="File of the same kind that the reader holds too.", show_default=False
    ),
]


def compress(
    file: Annotated[Path, typer.Argument(help=".vcf, .vcf.gz, .bcf, or the .bed of a PLINK 1 set.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The archive, a new file.")],
    panel: Panel = None,
    keep: Annotated[
        str, typer.Option("--keep", help="What of a VCF stays: sites (with ID and GT) or all.")
    ] = "sites",
    block: Annotated[int, typer.Option("--block", help="Sites of a block; longer ones are smaller.")] = 4096,
) -> None:
    """Write a genotype file as a small archive that decodes to the same genotypes."""
    from latentgenomes.genotypes.verbs import compress_file

    done = compress_file(file, out, panel=panel, keep=keep, sites_a_block=block)
    shared = f", {done['panel_sites']} of them in the panel" if panel else ""
    typer.echo(f"{done['samples']} samples at {done['sites']} sites{shared}, in {done['bytes']} bytes")
    if done["left_out"]:
        words = ", ".join(f"{name} ({n} sites)" for name, n in done["left_out"].items())
        typer.echo(f"Left out: {words}. Keep them with --keep all.")


def decompress(
    file: Annotated[Path, typer.Argument(help="Archive that `compress` wrote.")],
    out: Annotated[
        Path, typer.Option("-o", "--out", help="A new .vcf, .vcf.gz, .bcf, or .bed of a PLINK 1 set.")
    ],
    panel: Panel = None,
    region: Annotated[
        str | None, typer.Option("-r", "--region", help="Such as 20:1000000-2000000.", show_default=False)
    ] = None,
    samples: Annotated[
        str | None, typer.Option("-s", "--samples", help="Names, apart by commas.", show_default=False)
    ] = None,
) -> None:
    """Write the genotype file that an archive holds, or a part of it."""
    from latentgenomes.genotypes.verbs import decompress_file

    names = None if samples is None else samples.split(",")
    done = decompress_file(file, out, panel=panel, region=region, samples=names)
    typer.echo(f"{done['samples']} samples at {done['sites']} sites" if "samples" in done else "decoded")


COMMANDS = (compress, decompress)
