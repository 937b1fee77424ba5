"""Causes of signatures that COSMIC gives, and the tumours in which they are to be expected.

Only signatures are listed whose cause reaches some tissues and not others, or that may be artefacts of
sequencing. Typed from COSMIC's pages of version 3.4, https://cancer.sanger.ac.uk/signatures (Tate et al.
2019, Nucleic Acids Res. 47:D941; Sondka et al. 2024, Nucleic Acids Res. 52:D1210), and from Alexandrov et al.
2020, Nature 578:94-101.
"""

from dataclasses import dataclass

import pandas as pd

#: Words for tumours, by the tissue that they belong to.
TISSUES: dict[str, tuple[str, ...]] = {
    "adrenal": (),
    "biliary": ("bile duct", "cholangiocarcinoma", "gallbladder"),
    "bladder": ("urothelial", "urothelium", "blca"),
    "blood": ("leukaemia", "leukemia", "lymphoma", "myeloma", "lymphoid", "myeloid", "cll", "aml", "dlbcl"),
    "bone": ("osteosarcoma", "ewing"),
    "brain": ("cns", "glioma", "glioblastoma", "gbm", "medulloblastoma", "astrocytoma"),
    "breast": ("brca",),
    "cervix": ("cervical",),
    "colorectal": ("colon", "rectum", "colorectum", "crc"),
    "eye": ("uveal", "retinoblastoma"),
    "head and neck": ("oral", "larynx", "pharynx", "hnsc", "hnscc", "mouth"),
    "kidney": ("renal", "kirc", "kirp"),
    "liver": ("hepatocellular", "hcc", "hepatic"),
    "lung": ("nsclc", "sclc", "luad", "lusc", "mesothelioma"),
    "oesophagus": ("esophagus", "oesophageal", "esophageal"),
    "ovary": ("ovarian",),
    "pancreas": ("pancreatic", "pdac"),
    "prostate": ("prostatic",),
    "skin": ("melanoma", "cutaneous", "basal cell", "squamous cell skin"),
    "soft tissue": ("sarcoma", "liposarcoma"),
    "stomach": ("gastric",),
    "testis": ("testicular", "germ cell"),
    "thyroid": (),
    "uterus": ("endometrium", "endometrial", "ucec"),
}


@dataclass(frozen=True)
class Aetiology:
    """A cause, and the tissues that it reaches; none for an artefact."""

    cause: str
    tissues: tuple[str, ...]


_UV = Aetiology("ultraviolet light", ("skin", "eye", "head and neck", "blood"))
_SMOKE = Aetiology(
    "tobacco smoke", ("lung", "head and neck", "oesophagus", "liver", "bladder", "kidney", "cervix")
)
_ARISTOLOCHIC = Aetiology("aristolochic acid", ("kidney", "bladder", "liver", "biliary"))
_AID = Aetiology("somatic hypermutation of lymphoid cells", ("blood",))
_ARTEFACT = Aetiology("possible artefact of sequencing", ())

#: By the name of the signature.
AETIOLOGIES: dict[str, Aetiology] = {
    "SBS4": _SMOKE,
    **dict.fromkeys(("SBS7a", "SBS7b", "SBS7c", "SBS7d", "SBS38", "DBS1", "ID13"), _UV),
    "SBS9": Aetiology("polymerase eta in lymphoid cells", ("blood",)),
    "SBS11": Aetiology("temozolomide", ("brain", "skin")),
    **dict.fromkeys(("SBS22", "SBS22a", "SBS22b"), _ARISTOLOCHIC),
    "SBS24": Aetiology("aflatoxin", ("liver", "biliary")),
    "SBS29": Aetiology("tobacco chewing", ("head and neck", "oesophagus")),
    "SBS32": Aetiology("azathioprine", ("skin", "blood")),
    "SBS42": Aetiology("haloalkanes", ("biliary", "liver")),
    **dict.fromkeys(("SBS84", "SBS85"), _AID),
    "SBS87": Aetiology("thiopurines", ("blood",)),
    "SBS88": Aetiology("colibactin", ("colorectal", "head and neck", "bladder")),
    "ID18": Aetiology("colibactin", ("colorectal", "head and neck", "bladder")),
    "SBS92": Aetiology("tobacco smoke", ("bladder", "kidney", "lung")),
    "SBS99": Aetiology("melphalan", ("blood",)),
    "DBS2": _SMOKE,
    "ID3": _SMOKE,
    **dict.fromkeys(("SBS27", "SBS43", *(f"SBS{n}" for n in range(45, 61)), "SBS95"), _ARTEFACT),
}


def tissue_of(tumours: str) -> str:
    """Tissue of a user's word for tumours, such as "breast" for "Breast-AdenoCA"; "" for an empty word.

    Raises
    ------
    ValueError
        If no tissue is known by that word.
    """
    text = tumours.casefold().replace("_", " ").replace("-", " ").strip()
    if not text:
        return ""
    for tissue, words in TISSUES.items():
        if any(f" {word} " in f" {text} " or text.startswith(word) for word in (tissue, *words)):
            return tissue
    raise ValueError(
        f"tumours must name one of {', '.join(TISSUES)}, or a tumour of one of them, but it is {tumours!r}. "
        "Leave it out if none fits."
    )


def doubts(names: pd.Series, tumours: str) -> pd.Series:
    """What speaks against known signatures, (n,), in tumours of a kind; "" where nothing does.

    `names` are those of COSMIC; without `tumours`, only possible artefacts are doubted.
    """
    tissue = tissue_of(tumours)

    def doubt(name: object) -> str:
        known = AETIOLOGIES.get(str(name))
        if known is None or tissue in known.tissues or (known.tissues and not tissue):
            return ""
        where = f" is not expected in {tissue}" if known.tissues else ""
        return f"{known.cause}{where}"

    return names.map(doubt).rename("doubt")
