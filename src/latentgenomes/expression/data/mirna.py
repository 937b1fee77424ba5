"""TCGA miRNA expression: 34 cohorts of R files made into one table, once.

The R files hold three rows a sample (read count, reads per million, cross-mapped), every column a factor
whose levels are texts. Only the rows of reads per million are read, as log2(RPM + 1). A cohort lacks the
columns of miRNAs that its annotation did not name: they are NaN there, not 0.
"""

import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from latentgenomes.core.extras import require
from latentgenomes.core.registry import available, data_folder, fetch

MIRNA_COHORTS = (
    "ACC", "BLCA", "BRCA", "CESC", "CHOL", "COAD", "DLBC", "ESCA", "FPPP", "GBM", "HNSC", "KICH", "KIRC",
    "KIRP", "LAML", "LGG", "LIHC", "LUAD", "LUSC", "MESO", "OV", "PAAD", "PCPG", "PRAD", "READ", "SARC",
    "SKCM", "STAD", "TGCT", "THCA", "THYM", "UCEC", "UCS", "UVM",
)  # fmt: skip
PREPARED_MATRIX = "prepared/tcga_mirna_log2rpm.npz"
PREPARED_SAMPLES = "prepared/tcga_mirna_meta.tsv.gz"
_UNIT_ROW = "reads_per_million_miRNA_mapped"


def mirna_file(cohort: str) -> str:
    """Name in the registry of a cohort's file."""
    return f"expression/rtcga_mirna/{cohort}.miRNASeq.rda"


def r_attributes(value: Any) -> Iterator[tuple[bytes, Any]]:
    """Name and value of every attribute of an object of `rdata.parser`."""
    node = value.attributes
    while node is not None and node.tag is not None:
        symbol = node.tag.referenced_object or node.tag
        yield symbol.value.value, node.value[0]
        node = node.value[1]


def _texts(vector: Any) -> list[str]:
    return [item.value.decode("ascii") for item in vector.value]


def _factor(column: Any) -> tuple[npt.NDArray[np.int64], list[str]]:
    """Codes from 0 and the texts that they stand for."""
    return np.asarray(column.value, dtype=np.int64) - 1, _texts(dict(r_attributes(column))[b"levels"])


def read_mirna_cohort(path: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read one cohort's R file.

    rdata's own conversion builds a pandas categorical for each of about 1,000 columns, which takes minutes;
    here its parser alone is used, and of every factor only the texts that are needed are read as numbers.

    Parameters
    ----------
    path : pathlib.Path
        An ``.rda`` file that holds one data frame of factors.

    Returns
    -------
    values : pandas.DataFrame of shape (n_samples, n_mirnas)
        log2(RPM + 1) in float32, rounded to half precision as in the prepared matrix (steps of at most
        1/128).
    samples : pandas.DataFrame
        ``barcode`` and ``platform`` (``"GA"`` or ``"HiSeq"``), indexed like `values`.

    Raises
    ------
    ImportError
        If rdata is not installed.
    """
    frame = require("rdata", "expression").parser.parse_file(path).object.value[0]
    attributes = dict(r_attributes(frame))
    columns = dict(zip(_texts(attributes[b"names"]), frame.value, strict=True))
    codes, kinds = _factor(columns.pop("miRNA_ID"))
    rows = np.flatnonzero(codes == kinds.index(_UNIT_ROW))
    codes, machines = _factor(columns.pop("machine"))
    platforms = ["GA" if "Genome Analyzer" in machines[codes[row]] else "HiSeq" for row in rows]
    # R makes repeated row names unique with .1, .2; a barcode has 28 characters.
    barcodes = [name[:28] for name in _texts(attributes[b"row.names"])]
    rpm = np.empty((len(rows), len(columns)), dtype=np.float64)
    for position, column in enumerate(columns.values()):
        codes, levels = _factor(column)
        rpm[:, position] = [float(levels[code]) for code in codes[rows]]
    values = np.log2(rpm + 1).astype(np.float16).astype(np.float32)
    samples = pd.DataFrame({"barcode": [barcodes[row] for row in rows], "platform": platforms})
    return pd.DataFrame(values, columns=list(columns)), samples


def _convert(cohorts: Sequence[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    values, samples = [], []
    for cohort in cohorts:
        frame, about = read_mirna_cohort(fetch(mirna_file(cohort)))
        values.append(frame)
        samples.append(about.assign(cohort=cohort))
    table = pd.concat(values, ignore_index=True)  # a miRNA that a cohort lacks becomes NaN
    return table[sorted(table.columns)], pd.concat(samples, ignore_index=True)


def _write(path: Path, values: pd.DataFrame, samples: pd.DataFrame) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = {str(name): samples[name].to_numpy(dtype=np.str_) for name in samples}
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".part-") as folder:
        part = Path(folder) / path.name
        np.savez_compressed(
            part,
            X=values.to_numpy(dtype=np.float16),
            genes=values.columns.to_numpy(dtype=np.str_),
            **arrays,
        )
        os.replace(part, path)


def _converted(cohorts: Sequence[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The tables of the cohorts from the R files, or from the cache of an earlier conversion."""
    name = "all" if tuple(cohorts) == MIRNA_COHORTS else "-".join(cohorts)
    path = data_folder() / "converted" / f"mirna-1-{name}.npz"
    if not path.is_file():
        _write(path, *_convert(cohorts))
    with np.load(path, allow_pickle=False) as file:
        values = pd.DataFrame(file["X"].astype(np.float32), columns=file["genes"].tolist())
        samples = pd.DataFrame({key: file[key] for key in ("barcode", "platform", "cohort")})
    return values, samples


def _prepared(cohorts: Sequence[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    samples = pd.read_csv(fetch(PREPARED_SAMPLES), sep="\t", usecols=["barcode", "platform", "cohort"])
    wanted = samples["cohort"].isin(cohorts).to_numpy()
    with np.load(fetch(PREPARED_MATRIX), allow_pickle=False) as file:
        table = pd.DataFrame(file["X"][wanted].astype(np.float32), columns=file["genes"].tolist())
    return table, samples[wanted].reset_index(drop=True)


def read_mirna(cohorts: Sequence[str], *, convert: bool) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Expression and description of every sample of the cohorts.

    Parameters
    ----------
    cohorts : sequence of str
        Of `MIRNA_COHORTS`.
    convert : bool
        Convert the R files even where the prepared matrix is at hand. The first time this takes minutes; the
        result is kept in the data folder.

    Returns
    -------
    values : pandas.DataFrame of shape (n_samples, n_mirnas)
        log2(RPM + 1), float32, NaN where a cohort does not name the miRNA. miRNAs that no cohort names are
        left out.
    samples : pandas.DataFrame
        ``barcode``, ``platform`` and ``cohort``, indexed like `values`.
    """
    prepared = available(PREPARED_MATRIX) and available(PREPARED_SAMPLES) and not convert
    values, samples = (_prepared if prepared else _converted)(cohorts)
    return values.loc[:, values.notna().any()], samples
