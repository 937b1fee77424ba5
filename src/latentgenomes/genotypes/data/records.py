"""Any VCF, BCF or PLINK 1 file as blocks of sites, one block at a time, with its calls as they stand.

Text of a VCF is read as it stands; a BCF is turned to text by htslib. What `keep` says stays: "sites" keeps
chromosome, position, ID, REF, ALT and GT, "all" the whole file. Of a PLINK 1 set every line and call stays.
"""

import gzip
import re
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import numpy.typing as npt

from latentgenomes.core.checks import list_names
from latentgenomes.core.extras import require
from latentgenomes.genotypes.data.files import check_whole

SITES_A_BLOCK = 4096
_LEAST_SITES = 256  # of a block that ends with its chromosome
_BLOCK_CELLS = 1 << 26
_FIXED = ("chromosome", "position", "id", "ref", "alt", "quality", "filter", "info", "format")
_KEPT = ("chromosome", "id", "ref", "alt")
_HEADER = re.compile(rb"##(fileformat|contig|ALT|FORMAT=<ID=GT,|reference|assembly)")
_GT = re.compile(rb"(^|\t)[^:\t]*")
_BED_START = bytes([0x6C, 0x1B, 0x01])


@dataclass(frozen=True)
class SiteRows:
    """Some sites of a file: the text of each by name of the column, positions (None where a column ``line``
    holds them), and the calls, as lines of a VCF (empty where a site has no GT) or, of a PLINK set, as
    numbers (n_sites, n_samples, 2) of alleles, -1 missing.
    """

    columns: dict[str, list[bytes]]
    positions: npt.NDArray[np.int64] | None
    calls: list[bytes] | npt.NDArray[np.int16]


@dataclass
class CallFile:
    """A file of calls: `kind` vcf or plink, `samples`, `header` (of a VCF, or the text of a .fam), and its
    blocks.

    `left_out` counts, while the blocks are read, the sites that hold something that is not kept.
    `whole_lines` says whether the .bim ends with a line feed.
    """

    kind: str
    samples: list[str]
    header: bytes
    blocks: Iterator[SiteRows]
    whole_lines: bool = True
    left_out: Counter[str] = field(default_factory=Counter)


def open_calls(path: str | Path, *, keep: str = "sites", sites_a_block: int = SITES_A_BLOCK) -> CallFile:
    """Open a file of calls; its blocks are read as they are asked for.

    Parameters
    ----------
    path : str or pathlib.Path
        ``.vcf``, ``.vcf.gz``, ``.bcf``, or the ``.bed`` of a PLINK 1 file set.
    keep : {"sites", "all"}
        What of a VCF stays beside the calls.
    sites_a_block : int
        Sites of a block, at most.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or it is not of these kinds, is cut off, or names a sample twice.
    """
    path = Path(path)
    if keep not in ("sites", "all"):
        raise ValueError(f"keep must be 'sites' or 'all', but it is {keep!r}. Name one of these.")
    if path.suffix in (".pgen", ".pvar", ".psam"):
        raise ValueError(
            f"PLINK 2 files are not read, but {path.name} is one. Write it as .bcf (plink2 --export bcf) or "
            "as .bed (plink2 --make-bed) first."
        )
    if path.suffix == ".bed":
        return _open_plink(path, sites_a_block)
    if not path.name.endswith((".vcf", ".vcf.gz", ".bcf")):
        raise ValueError(
            f"A file must be .vcf, .vcf.gz, .bcf or .bed, but it is {path.name}. Rename or convert it."
        )
    check_whole(path)
    lines = _bcf_lines(path) if path.suffix == ".bcf" else _text_lines(path)
    header: list[bytes] = []
    for line in lines:
        if not line.startswith(b"#"):
            break
        header.append(line)
        if line.startswith(b"#CHROM"):
            break
    if not header or not header[-1].startswith(b"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"):
        raise ValueError(
            f"{path.name} must be a VCF or BCF file, with a line that begins #CHROM before the sites, but it "
            "has none. Write it again, for example with bcftools."
        )
    samples = [name.decode() for name in header[-1].split(b"\t")[9:]]
    twice = [name for name, count in Counter(samples).items() if count > 1]
    if twice:
        raise ValueError(
            f"{path.name} must name every sample once, but {len(twice)} come again: {list_names(twice)}. "
            "Rename or remove them."
        )
    kept = header[:-1] if keep == "all" else [line for line in header[:-1] if _HEADER.match(line)]
    found = CallFile("vcf", samples, b"\n".join(kept), iter(()))
    found.blocks = _blocks(path, lines, found, keep, sites_a_block)
    return found


def _text_lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as start:
        zipped = start.read(2) == b"\x1f\x8b"
    try:
        with gzip.open(path) if zipped else path.open("rb") as file:
            for line in cast(BinaryIO, file):
                yield line.rstrip(b"\r\n")
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(
            f"{path.name} must be whole, but it cannot be unpacked: {error}. Copy it again from its source."
        ) from error


def _bcf_lines(path: Path) -> Iterator[bytes]:
    try:
        reader = require("cyvcf2", extra="genotypes").VCF(str(path))
        yield from reader.raw_header.rstrip("\n").encode().split(b"\n")
        for variant in reader:
            yield str(variant).rstrip("\n").encode()
    except ImportError:
        raise
    except Exception as error:
        raise ValueError(
            f"{path.name} must be a whole BCF file, but it cannot be read: {error}. Write it again, for "
            "example with bcftools."
        ) from error


def _blocks(
    path: Path, lines: Iterator[bytes], found: CallFile, keep: str, sites_a_block: int
) -> Iterator[SiteRows]:
    n_samples = len(found.samples)
    most = max(1, min(sites_a_block, _BLOCK_CELLS // max(2 * n_samples, 1)))
    rows: list[list[bytes]] = []
    n_fields = 10 if n_samples else 8
    for line in lines:
        if not line:
            continue
        fields = line.split(b"\t", 9)
        if len(fields) < n_fields:
            raise ValueError(
                f"{path.name} must be a whole VCF file, but a line has {len(fields)} columns: "
                f"{line[:40].decode(errors='replace')!r}. Check it, for example with bcftools view."
            )
        ends = len(rows) >= _LEAST_SITES and fields[0] != rows[-1][0]
        if rows and (len(rows) == most or ends):
            yield _rows(path, rows, found, keep)
            rows = []
        rows.append(fields)
    if rows:
        yield _rows(path, rows, found, keep)


def _position(path: Path, text: bytes) -> int:
    if not text.isdigit() or len(text) > 10 or str(int(text)).encode() != text:
        raise ValueError(
            f"{path.name} must give whole positions, but one is {text.decode(errors='replace')!r}. Check it."
        )
    return int(text)


def _rows(path: Path, rows: list[list[bytes]], found: CallFile, keep: str) -> SiteRows:
    by_name = {name: [row[i] if i < len(row) else b"" for row in rows] for i, name in enumerate(_FIXED)}
    positions = np.array([_position(path, text) for text in by_name.pop("position")], dtype=np.int64)
    calls = [row[9] if len(row) > 9 else b"" for row in rows]
    with_gt = [form == b"GT" or form.startswith(b"GT:") for form in by_name["format"]]
    if keep == "all":
        columns = by_name
        columns["rest"] = [
            b"" if form == b"GT" else _GT.sub(rb"\1", text) if gt else text
            for form, gt, text in zip(by_name["format"], with_gt, calls, strict=True)
        ]
    else:
        columns = {name: by_name[name] for name in _KEPT}
        for name in ("quality", "filter", "info"):
            found.left_out["QUAL" if name == "quality" else name.upper()] += sum(
                value != b"." for value in by_name[name]
            )
        for form, n in Counter(by_name["format"]).items():
            for key in form.split(b":"):
                if key not in (b"GT", b"", b"."):
                    found.left_out[key.decode(errors="replace")] += n
    calls = [text if gt else b"" for text, gt in zip(calls, with_gt, strict=True)]
    return SiteRows(columns, positions, calls)


def _open_plink(path: Path, sites_a_block: int) -> CallFile:
    for suffix in (".bed", ".bim", ".fam"):
        if not path.with_suffix(suffix).is_file():
            raise FileNotFoundError(
                f"A PLINK 1 file set needs .bed, .bim and .fam, but there is no {path.with_suffix(suffix)}. "
                "Put the three side by side."
            )
    fam, lines = path.with_suffix(".fam").read_bytes(), path.with_suffix(".bim").read_bytes()
    people, sites = fam.split(b"\n"), lines.split(b"\n")
    people, sites = (part[:-1] if part[-1] == b"" else part for part in (people, sites))
    width = -(-len(people) // 4)
    with path.open("rb") as file:
        start = file.read(3)
    if start != _BED_START or path.stat().st_size != 3 + width * len(sites):
        raise ValueError(
            f"{path.name} must be a PLINK 1 file set, SNP after SNP, with {len(sites)} SNPs of {len(people)} "
            "samples, but it is not. Write it again with plink --make-bed."
        )
    samples = [(line.split() + [b"", b""])[1].decode() for line in people]
    most = max(1, min(sites_a_block, _BLOCK_CELLS // max(2 * len(people), 1)))
    rows = _plink_blocks(path, sites, len(people), most)
    return CallFile("plink", samples, fam, rows, whole_lines=lines.endswith(b"\n") or not lines)


def _plink_blocks(path: Path, sites: list[bytes], n_samples: int, most: int) -> Iterator[SiteRows]:
    width = -(-n_samples // 4)
    pairs = np.array([[1, 1], [-1, -1], [0, 1], [0, 0]], dtype=np.int16)  # of the codes 0 to 3
    with path.open("rb") as file:
        file.seek(3)
        for first in range(0, len(sites), most):
            lines = sites[first : first + most]
            raw = np.frombuffer(file.read(width * len(lines)), dtype=np.uint8).reshape(len(lines), width)
            codes = (raw[:, :, None] >> np.arange(0, 8, 2, dtype=np.uint8)) & 3
            codes = codes.reshape(len(lines), -1)[:, :n_samples]
            yield SiteRows({"line": lines}, None, pairs[codes])
