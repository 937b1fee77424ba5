"""Archives of the first version: phased calls of one ALT allele a site, or a PLINK 1 set, with a panel.

They are read, and no longer written. An archive holds, all numbers little-endian:

==========  ==================================================================================
bytes       content
==========  ==================================================================================
4           ``LGVF``
1           version of the format
1           kind: 1 VCF, 2 PLINK 1
8           digest of the panel's sites, BLAKE2b
4, 4        lengths of the two parts that follow
...         names: zlib of JSON (samples, sites of the panel that the file has, text that differs)
...         calls: the container of `container`, with the fingerprint of the panel
8           digest of all bytes before it, BLAKE2b
==========  ==================================================================================

The panel is a file of the same kind, which reader and writer both hold. Of a VCF the sites, the
identifiers, the samples and GT are kept; QUAL, FILTER, INFO and other FORMAT fields are not. A PLINK file
set comes back byte for byte: its genotypes have no phase, and are coded as two rows, "two copies" and "at
least one".
"""

import base64
import hashlib
import json
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from latentgenomes.genotypes.data.calls import Calls, HaplotypeData
from latentgenomes.genotypes.data.files import (
    read_plink,
    read_vcf_haplotypes,
    write_plink,
    write_vcf_haplotypes,
)
from latentgenomes.genotypes.models.container import DIGEST_BYTES, CodecError, digest
from latentgenomes.genotypes.models.haplotype_codec import HaplotypeCodec

MAGIC, VERSION = b"LGVF", 1
KINDS = {"vcf": 1, "plink": 2}
_HEAD = struct.Struct("<4sBB8sII")
_MOST_NAMES = 1 << 28  # bytes of names, unpacked


@dataclass(frozen=True)
class _Table:
    """One file as haplotypes (n_haplotypes, n_snps), its sites by name, and what else must come back."""

    kind: str
    calls: Calls
    sites: pd.Index
    names: dict[str, Any]
    snps: pd.DataFrame


def _read(path: Path) -> _Table:
    """Table of a VCF, BCF or PLINK file."""
    if path.suffix == ".bed":
        data = read_plink(path)
        bim, fam = (path.with_suffix(suffix).read_bytes().decode() for suffix in (".bim", ".fam"))
        columns = [data.snps[column].astype(str) for column in data.snps]
        sites = pd.Index(data.snps.index.astype(str) + ":" + pd.concat(columns, axis=1).agg(":".join, axis=1))
        calls = np.repeat(data.calls, 2, axis=0)  # at least one copy, and two copies
        calls[1::2] = np.where(calls[1::2] > 0, calls[1::2] - 1, calls[1::2])
        return _Table("plink", np.minimum(calls, 1), sites, {"fam": fam, "text": bim}, data.snps)
    if path.name.endswith((".vcf", ".vcf.gz", ".bcf")):
        phased = read_vcf_haplotypes(path)
        people = phased.metadata["person"]
        names = {
            "samples": people.unique().tolist(),
            "copies": people.groupby(people, sort=False).size().tolist(),
            "text": "\n".join(phased.snps["id"]),
        }
        return _Table("vcf", phased.calls, phased.snps.index, names, phased.snps)
    raise ValueError(
        f"A file must be .vcf, .vcf.gz, .bcf or .bed, but it is {path.name}. Rename or convert it."
    )


def _panel(path: Path, kind: str) -> _Table:
    panel = _read(path)
    if panel.kind != kind:
        raise ValueError(
            f"The panel must be of the kind {kind}, as the file is, but {path.name} is of {panel.kind}. "
            "Convert one of them."
        )
    return panel


def _shared_text(panel: _Table, kept: npt.NDArray[np.bool_]) -> str:
    """The panel's lines of the sites that are kept: a file that has the same ones need not repeat them."""
    lines = panel.names["text"].splitlines(keepends=True)
    text = "".join(line for line, take in zip(lines, kept, strict=True) if take)
    return text if panel.kind == "plink" else text.removesuffix("\n")


def _site_digest(panel: _Table) -> bytes:
    return digest([panel.kind.encode(), "\n".join(panel.sites).encode()])


def decompress_file(path: str | Path, panel: str | Path, out: str | Path) -> dict[str, int]:
    """Write the genotype file that an archive holds, and count its haplotypes and snps.

    Parameters
    ----------
    path : str or pathlib.Path
        The archive.
    panel : str or pathlib.Path
        The panel with which it was written.
    out : str or pathlib.Path
        ``.vcf``, or the ``.bed`` of a PLINK 1 file set. It appears whole or not at all.

    Raises
    ------
    CodecError
        If the archive is cut, altered or foreign, or was written with another panel.
    FileExistsError, ValueError
        If the output exists, or cannot be written.
    """
    out = Path(out)
    kind, sites, names, data = _open(Path(path))
    for suffix in (".bed", ".bim", ".fam") if kind == "plink" else (out.suffix,):
        _new(out.with_suffix(suffix))
    known = _panel(Path(panel), kind)
    if _site_digest(known) != sites:
        raise CodecError(
            f"The archive must be written with the sites of {Path(panel).name}, but it was written with "
            "others. Pass the panel that compressed it."
        )
    kept = np.ones(len(known.sites), dtype=bool)
    if names["kept"] is not None:
        bits = np.frombuffer(base64.b64decode(names["kept"]), dtype=np.uint8)
        kept = np.unpackbits(bits)[: len(kept)].astype(bool)
    calls = HaplotypeCodec().fit(known.calls[:, kept]).decompress(data)
    text = _shared_text(known, kept) if names["text"] is None else names["text"]
    if kind == "plink":
        copies = np.where(calls[::2] < 0, -1, calls[::2] + calls[1::2]).astype(np.int8)
        write_plink(copies, out, bim=text, fam=names["fam"])
    else:
        write_vcf_haplotypes(_phased(calls, names, known.snps[kept].assign(id=text.split("\n"))), out)
    return {"haplotypes": len(calls), "snps": int(kept.sum())}


def _phased(calls: Calls, names: dict[str, Any], snps: pd.DataFrame) -> HaplotypeData:
    people = np.repeat(names["samples"], names["copies"])
    numbers = [copy for n in names["copies"] for copy in range(1, n + 1)]
    index = pd.Index([f"{person}.{copy}" for person, copy in zip(people, numbers, strict=True)])
    return HaplotypeData(calls, pd.DataFrame({"person": people}, index=index), snps)


def _new(path: Path) -> Path:
    if path.exists():
        raise FileExistsError(f"The output must be a new file, but {path} exists. Choose another name.")
    return path


def _open(path: Path) -> tuple[str, bytes, dict[str, Any], bytes]:
    """Kind, digest of the panel's sites, names and container of an archive; anything else is refused."""
    if not path.is_file():
        raise FileNotFoundError(f"path must be an archive, but there is none at {path}. Check the spelling.")
    data = path.read_bytes()
    if data[:4] != MAGIC:
        raise CodecError(
            f"An archive must start with {MAGIC!r}, but {path.name} starts with {data[:4]!r}. Pass what "
            "latentgenomes compress wrote."
        )
    seal = hashlib.blake2b(data[:-DIGEST_BYTES], digest_size=DIGEST_BYTES).digest()
    if len(data) < _HEAD.size + DIGEST_BYTES or seal != data[-DIGEST_BYTES:]:
        raise CodecError(
            f"The last {DIGEST_BYTES} bytes of an archive must be the digest of all before them, but those "
            f"of {path.name} are not: the file was cut or altered. Copy it again from its source."
        )
    _, version, kind, sites, n_names, n_calls = _HEAD.unpack_from(data)
    if version != VERSION or kind not in KINDS.values():
        raise CodecError(
            f"An archive must be of version {VERSION} and kind 1 or 2, but {path.name} is of {version} and "
            f"{kind}. Decode it with the version of the package that wrote it."
        )
    if len(data) != _HEAD.size + n_names + n_calls + DIGEST_BYTES:
        raise CodecError(
            f"{path.name} must hold {n_names} and {n_calls} bytes after its header, but it does not. "
            "Compress again."
        )
    unzip = zlib.decompressobj()
    names = unzip.decompress(data[_HEAD.size : _HEAD.size + n_names], _MOST_NAMES)
    if not unzip.eof:
        raise CodecError(
            f"{path.name} must hold at most {_MOST_NAMES} bytes of names, but holds more. Report it."
        )
    words = {number: word for word, number in KINDS.items()}
    return words[kind], sites, json.loads(names), data[_HEAD.size + n_names : -DIGEST_BYTES]
