"""Commands of the study: compress and decompress. Everything slow is imported when a command runs."""

from pathlib import Path
from typing import Annotated

import typer

Panel = Annotated[
    Path, typer.Option("-p", "--panel", help="Panel that both sides hold: .vcf, .vcf.gz, .bcf or .bed.")
]


def compress(
    file: Annotated[Path, typer.Argument(help="Phased .vcf, .vcf.gz or .bcf, or the .bed of a PLINK 1 set.")],
    panel: Panel,
    out: Annotated[Path, typer.Option("-o", "--out", help="The archive, a new file.")],
) -> None:
    """Write a genotype file as a small archive that decodes to the same genotypes."""
    from latentgenomes.genotypes.verbs import compress_file

    done = compress_file(file, panel, out)
    raw = done["haplotypes"] * done["snps"] / 8
    typer.echo(
        f"{done['haplotypes']} haplotypes of {done['snps']} SNPs in {done['bytes']} bytes, "
        f"{done['call_bytes']} of them for calls: {raw / done['call_bytes']:.1f} times less than one bit each"
    )


def decompress(
    file: Annotated[Path, typer.Argument(help="Archive that `compress` wrote.")],
    panel: Panel,
    out: Annotated[Path, typer.Option("-o", "--out", help="A new .vcf, or the .bed of a new PLINK 1 set.")],
) -> None:
    """Write the genotype file that an archive holds; the panel must be the one that compressed it."""
    from latentgenomes.genotypes.verbs import decompress_file

    done = decompress_file(file, panel, out)
    typer.echo(f"{done['haplotypes']} haplotypes of {done['snps']} SNPs")


COMMANDS = (compress, decompress)
