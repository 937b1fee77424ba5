"""Files of calls, written piece by piece: .vcf, .vcf.gz in blocks that can be indexed, .bcf, and PLINK 1
sets.
"""

import os
import struct
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

from latentgenomes.core.extras import require
from latentgenomes.core.provenance import replacing

_BLOCK = 0xFF00  # bytes of a block of BGZF, unpacked
_BGZF_HEAD = struct.Struct("<4BI2BH2BHH")
_SUFFIXES = (".vcf", ".vcf.gz", ".bcf")


def check_output(path: Path, kind: str) -> None:
    """Refuse a name that does not fit what is written, or a file that exists."""
    fits = path.suffix == ".bed" if kind == "plink" else path.name.endswith(_SUFFIXES)
    if not fits:
        wanted = ".bed, since it holds a PLINK 1 set" if kind == "plink" else "one of " + ", ".join(_SUFFIXES)
        raise ValueError(f"The output must end in {wanted}, but it is {path.name}. Choose another name.")
    for suffix in (".bed", ".bim", ".fam") if kind == "plink" else (path.suffix,):
        refuse_existing(path.with_suffix(suffix))


def refuse_existing(path: Path) -> None:
    """Refuse an output that is there already."""
    if path.exists():
        raise FileExistsError(f"The output must be a new file, but {path} exists. Choose another name.")


def _blocked(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Blocks of BGZF, and the empty one at the end."""
    kept = b""
    for piece in pieces:
        kept += piece
        while len(kept) >= _BLOCK:
            yield _block(kept[:_BLOCK])
            kept = kept[_BLOCK:]
    if kept:
        yield _block(kept)
    yield _block(b"")


def _block(data: bytes) -> bytes:
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    packed = packer.compress(data) + packer.flush()
    size = len(packed) + _BGZF_HEAD.size + 8
    head = _BGZF_HEAD.pack(31, 139, 8, 4, 0, 0, 255, 6, 66, 67, 2, size - 1)
    return head + packed + struct.pack("<II", zlib.crc32(data), len(data))


def write_vcf_pieces(pieces: Iterable[bytes], path: Path) -> None:
    """Write the text of a VCF, which comes in pieces, as the suffix says; the file appears whole or not at
    all.
    """
    if path.suffix == ".bcf":
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            text = Path(folder) / "calls.vcf"
            with text.open("wb") as file:
                file.writelines(pieces)
            with replacing(path) as temporary:
                _write_bcf(text, temporary)
        return
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.writelines(_blocked(pieces) if path.suffix == ".gz" else pieces)


def _write_bcf(text: Path, path: Path) -> None:
    """Convert by htslib, which takes no record of which the header lacks the chromosome, FILTER or INFO.

    It adds what is lacking to its own header as it reads; with that header the text is converted.
    """
    cyvcf2 = require("cyvcf2", extra="genotypes")
    named = text.with_name("named.vcf")
    whole = cyvcf2.VCF(os.fspath(text))
    for _ in whole:
        pass
    with text.open("rb") as old, named.open("wb") as new:
        new.write(whole.raw_header.encode())
        new.writelines(line for line in old if not line.startswith(b"#"))
    reader = cyvcf2.VCF(os.fspath(named))
    writer = cyvcf2.Writer(os.fspath(path), reader, mode="wb")
    for variant in reader:
        writer.write_record(variant)
    writer.close()


def write_plink_pieces(
    pieces: Iterable[tuple[bytes, bytes]], path: Path, fam: bytes, *, whole_lines: bool
) -> None:
    """Write a PLINK 1 set of pieces of .bed and .bim; the three files appear whole or not at all, .bed
    last.
    """
    with ExitStack() as stack:
        bed = stack.enter_context(replacing(path))
        bim = stack.enter_context(replacing(path.with_suffix(".bim")))
        stack.enter_context(replacing(path.with_suffix(".fam"))).write_bytes(fam)
        with bed.open("wb") as calls, bim.open("wb") as sites:
            calls.write(bytes([0x6C, 0x1B, 0x01]))
            ends = b""
            for bits, text in pieces:
                calls.write(bits)
                sites.write(ends + text)
                ends = b"\n"
            sites.write(ends if whole_lines else b"")
