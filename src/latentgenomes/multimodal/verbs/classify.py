"""Name the organ of a tumour from the profiles that it has, or say that it is like nothing known."""

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from latentgenomes.core.checks import check_counts, list_names
from latentgenomes.core.provenance import replacing
from latentgenomes.multimodal.data.profiles import SEPARATOR, wide_table
from latentgenomes.multimodal.data.reduction import REDUCED, TYPING_PROFILES, typing_table
from latentgenomes.multimodal.models.explanation import channel_shares, profile_shares
from latentgenomes.multimodal.models.typer import TumourClassifier
from latentgenomes.mutations.catalogues import read_catalog
from latentgenomes.mutations.channels import CHANNELS

WEIGHTS = Path(__file__).resolve().parents[1] / "data" / "typing_pcawg.safetensors"
CONFIDENT, UNCERTAIN, UNLIKE = "confident", "uncertain", "unlike anything known"
LEAST_MUTATIONS = 20
#: Unlike anything known is a tumour where fewer of the known ones, seen as if new, were as far from theirs.
LEAST_P_VALUE = 0.05
N_CARDS = 60  # tumours whose channels are told
_SMALL = ("SBS96", "ID83", "DBS78")
_TABLES = ("predictions", "evidence", "neighbours", "channels", "places")
_BY_SAMPLE = ("predictions", "evidence", "places")
_N_CHANNELS = 4  # told of each profile

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ClassifiedTumours:
    """Types of tumours, and why.

    `predictions` by sample: organ, probability, second, probability_second, verdict, and the probability of
    every organ. `evidence` by sample: mutations, profiles, p_value (of being like a known tumour), needed
    (least probability of a confident answer), note (why a verdict is what it is, where that is not plain),
    and for each profile what it adds to the organ's score. `neighbours`, `channels` and `places` (on the map)
    in long form; channels of the `N_CARDS` tumours that are least sure. `about` says which model, which data,
    under which licence.
    """

    predictions: pd.DataFrame
    evidence: pd.DataFrame
    neighbours: pd.DataFrame
    channels: pd.DataFrame
    places: pd.DataFrame
    about: dict[str, Any]

    @property
    def known(self) -> pd.DataFrame:
        """The tumours that the model was trained on, and their places on the map."""
        return known_tumours()

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """All tables by name."""
        return {name: getattr(self, name) for name in _TABLES}

    @classmethod
    def load(cls, folder: str | Path) -> "ClassifiedTumours":
        """Read what `save` wrote."""
        folder = Path(folder)
        if not (folder / "about.json").is_file():
            raise FileNotFoundError(
                f"The folder must hold what `classify` wrote, but there is no about.json in {folder}. "
                "Classify again."
            )
        tables = {name: pd.read_csv(folder / f"{name}.csv", dtype={"sample": str}) for name in _TABLES}
        tables["evidence"]["note"] = tables["evidence"]["note"].fillna("")
        for name in _BY_SAMPLE:
            tables[name] = tables[name].set_index("sample")
        about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
        return cls(**tables, about=about)

    def save(self, folder: str | Path) -> Path:
        """Write a CSV file for each table, and ``about.json``; return the folder."""
        folder = Path(folder)
        for name in _TABLES:
            with replacing(folder / f"{name}.csv") as path:
                self.tables[name].to_csv(path, index=name in _BY_SAMPLE, float_format="%.6g")
        with replacing(folder / "about.json") as path:
            path.write_text(json.dumps(self.about, indent=1) + "\n", encoding="utf-8")
        return folder


@cache
def load_classifier() -> TumourClassifier:
    """The classifier that comes with the package, trained on PCAWG; ``about_`` says where it came from."""
    return TumourClassifier.load(WEIGHTS)


@cache
def known_tumours() -> pd.DataFrame:
    """Tumours that the classifier was trained on: sample, organ, histology, project, mutations, place."""
    model = load_classifier()
    finer = {
        str(kind): model.classes_[owner] for kind, owner in zip(model.subtypes_, model.owner_, strict=True)
    }
    columns = ("sample", "histology", "project", "mutations")
    table = pd.DataFrame({name: getattr(model, f"known_{name}_") for name in columns})
    table.insert(1, "organ", table["histology"].map(finer))
    places = model.known_places_.astype(np.float64)
    return table.assign(map_1=places[:, 0], map_2=places[:, 1])


def classify_tumours(
    profiles: pd.DataFrame, *, prior: Mapping[str, float] | None = None
) -> ClassifiedTumours:
    """Name the organ of tumours, by a model that comes with the package.

    Parameters
    ----------
    profiles : DataFrame of shape (n_samples, n_channels)
        Wide table, see `to_wide`, of any of SBS96, ID83, DBS78, CN48 and SV32: counts, NaN where a tumour
        lacks a profile. PCAWG's own CN28 and SV26 are understood, too.
    prior : mapping of str to float, optional
        How likely each organ is beforehand, >= 0, on any scale; organs that are not named are ruled out. By
        default all are equally likely.

    Returns
    -------
    ClassifiedTumours
        Verdicts are "confident" where answers of such a probability were right in 95 of 100 tumours whose
        project the model had not seen; "unlike anything known" where fewer than 5 in 100 known tumours were
        so far from their types; else "uncertain". With fewer than 20 mutations it is always "uncertain".

    Raises
    ------
    ValueError
        If no profile is shared with the model, a table holds anything but counts, or the prior names no organ
        of the model.
    """
    model = load_classifier()
    table = typing_table(_checked(profiles))
    bare = table.index[table.isna().all(axis=1)]
    if len(bare):
        raise ValueError(
            f"Every tumour must have a profile, but {len(bare)} have none: {list_names(bare.tolist())}. "
            "Leave them out."
        )
    answer = model.answer(table, None if prior is None else _log_prior(prior, model.classes_))
    total = _mutations(table)
    probability = np.exp(answer.log_probability)
    empty = total == 0
    probability[empty] = _prior_alone(prior, model.classes_)
    order = np.argsort(-probability, axis=1, kind="stable")
    rows = np.arange(len(table))
    best, second = order[:, 0], order[:, 1]
    top = probability[rows, best]
    verdict = np.select(
        [total < LEAST_MUTATIONS, answer.p_value < LEAST_P_VALUE, top >= answer.threshold],
        [UNCERTAIN, UNLIKE, CONFIDENT],
        UNCERTAIN,
    )
    organs = pd.DataFrame(probability, index=table.index, columns=[str(c) for c in model.classes_])
    first = pd.DataFrame(
        {
            "organ": model.classes_[best],
            "probability": top,
            "second": model.classes_[second],
            "probability_second": probability[rows, second],
            "verdict": verdict,
        },
        index=table.index,
    )
    predictions = pd.concat([first, organs], axis=1).rename_axis("sample")
    evidence = _evidence(model, table, best, total).assign(p_value=answer.p_value, needed=answer.threshold)
    carded = rows[np.argsort(_sureness(predictions), kind="stable")][:N_CARDS]
    known = known_tumours()
    near = known.iloc[answer.neighbours.ravel()]
    neighbours = near[["sample", "organ", "histology", "project"]].set_axis(range(len(near)), axis=0)
    neighbours = neighbours.rename(columns={"sample": "neighbour"})
    neighbours.insert(0, "sample", np.repeat(table.index.to_numpy(), answer.neighbours.shape[1]))
    neighbours.insert(1, "rank", np.tile(np.arange(1, answer.neighbours.shape[1] + 1), len(table)))
    neighbours["distance"] = answer.distances.ravel()
    return ClassifiedTumours(
        predictions,
        evidence,
        neighbours,
        _channels(model, table, best, carded),
        _places(known, answer.neighbours, answer.distances, table.index),
        {**model.about_, "prior": dict(prior) if prior is not None else "all organs equally likely"},
    )


def classify_files(paths: Mapping[str, str | Path], *, prior: str | Path | None = None) -> ClassifiedTumours:
    """Name the organ of the tumours of a reader's own matrices, one file a profile, joined by sample name.

    See `classify_tumours`; files as in `latentgenomes.mutations.catalogues.read_catalog`. `prior` is a CSV
    file with the columns organ and weight.
    """
    unknown = [name for name in paths if name not in CHANNELS]
    if unknown:
        raise ValueError(
            f"classify takes {', '.join(CHANNELS)}, but {list_names(unknown)} came. A profile that was built "
            "differently, such as another classification of copy number or rearrangements, cannot be used: "
            "leave it out."
        )
    tables = {name: read_catalog(path, context=name, on_empty="keep") for name, path in paths.items()}
    samples = pd.Index(list(dict.fromkeys(str(s) for table in tables.values() for s in table.index)))
    _say_who_lacks(tables, samples)
    return classify_tumours(wide_table(tables, samples), prior=None if prior is None else read_prior(prior))


def read_prior(path: str | Path) -> dict[str, float]:
    """Weights by organ from a CSV file with the columns organ and weight."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"The prior must be a file, but there is none at {path}. Check the spelling.")
    table = pd.read_csv(path)
    if list(table.columns[:2]) != ["organ", "weight"] or table["organ"].duplicated().any():
        raise ValueError(
            f"{path.name} must have the columns organ and weight and each organ once, but its columns are "
            f"{', '.join(map(repr, table.columns))}. Write a line such as Breast,2."
        )
    weights = pd.to_numeric(table["weight"], errors="coerce").fillna(-1.0)
    return dict(zip(table["organ"].astype(str), weights.astype(float), strict=True))


def _checked(profiles: pd.DataFrame) -> pd.DataFrame:
    """Counts, whole and >= 0, but for absent profiles; samples named once."""
    names = list(dict.fromkeys(str(column).partition(SEPARATOR)[0] for column in profiles.columns))
    if not set(names) & set(REDUCED):
        raise ValueError(
            f"profiles must share a profile with the model, {', '.join(CHANNELS)}, but they hold "
            f"{list_names(names) or 'none'}. Name the columns as in SBS96|A[C>A]A, see to_wide."
        )
    check_counts(profiles.fillna(0.0), name="profiles", on_empty="keep")
    return profiles


def _say_who_lacks(tables: Mapping[str, pd.DataFrame], samples: pd.Index) -> None:
    """Refuse files without a common sample, and warn of tumours that lack a profile that others have."""
    names = [set(table.index.astype(str)) for table in tables.values()]
    for number, (name, own) in enumerate(zip(tables, names, strict=True)):
        others = set().union(*names[:number], *names[number + 1 :])
        if len(names) > 1 and not own & others:
            raise ValueError(
                f"The files must name the same samples, but no sample of {name} is in another file; its "
                f"first is {min(own)!r}, theirs {min(others)!r}. Make the names agree."
            )
    lacking = {name: len(samples) - len(own) for name, own in zip(tables, names, strict=True)}
    if any(lacking.values()):
        told = ", ".join(f"{number} without {name}" for name, number in lacking.items() if number)
        warnings.warn(
            f"Of {len(samples)} tumours, joined by name, some lack a profile: {told}.",
            UserWarning,
            stacklevel=3,
        )


def _log_prior(prior: Mapping[str, float], organs: npt.NDArray[Any]) -> Floats:
    weights = np.array([float(prior.get(str(organ), 0.0)) for organ in organs])
    unknown = [name for name in prior if name not in set(map(str, organs))]
    if (
        unknown
        or not np.isfinite(list(prior.values())).all()
        or min(prior.values()) < 0
        or weights.sum() <= 0
    ):
        raise ValueError(
            f"The prior must give organs of the model a weight >= 0, and one of them more, but "
            f"{list_names(unknown) if unknown else 'its weights'} cannot be used. The organs are "
            f"{', '.join(map(str, organs))}."
        )
    with np.errstate(divide="ignore"):
        return np.log(weights / weights.sum())


def _prior_alone(prior: Mapping[str, float] | None, organs: npt.NDArray[Any]) -> Floats:
    if prior is None:
        return np.full(len(organs), 1.0 / len(organs))
    return np.exp(_log_prior(prior, organs))


def _mutations(table: pd.DataFrame) -> npt.NDArray[np.int64]:
    """Small mutations of each tumour, or, where it has no profile of these, events of the others."""
    profile = table.columns.str.partition(SEPARATOR).get_level_values(0)
    small = table.loc[:, profile.isin(_SMALL)]
    other = table.loc[:, ~profile.isin(_SMALL)]
    return np.where(small.isna().all(axis=1), other.sum(axis=1), small.sum(axis=1)).astype(np.int64)


def _evidence(
    model: TumourClassifier, table: pd.DataFrame, best: npt.NDArray[np.int64], total: npt.NDArray[np.int64]
) -> pd.DataFrame:
    shares = profile_shares(model, table.to_numpy(), best)
    there = ~np.isnan(shares)
    note = np.select(
        [total == 0, total < LEAST_MUTATIONS],
        ["no mutation: the probabilities are the prior", f"fewer than {LEAST_MUTATIONS} mutations"],
        "",
    )
    names = np.array(model.profile_names_)
    about = {"mutations": total, "profiles": ["+".join(names[own]) for own in there], "note": note}
    spoke = pd.DataFrame(shares, index=table.index, columns=list(names))
    return pd.concat([pd.DataFrame(about, index=table.index), spoke], axis=1).rename_axis("sample")


def _sureness(predictions: pd.DataFrame) -> Floats:
    """Increasing with how sure an answer is: unlike anything known, then uncertain, then confident."""
    stage = predictions["verdict"].map({UNLIKE: 0.0, UNCERTAIN: 2.0, CONFIDENT: 4.0})
    return np.asarray(stage + predictions["probability"], dtype=np.float64)


def _channels(
    model: TumourClassifier, table: pd.DataFrame, best: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]
) -> pd.DataFrame:
    """The channels of each profile that spoke loudest for the organ, and loudest against it."""
    records = []
    for row in rows:
        shares = channel_shares(model, table.iloc[row].to_numpy(), int(best[row]))
        for (name, channels), share in zip(TYPING_PROFILES.items(), shares, strict=True):
            order = np.argsort(share, kind="stable")
            chosen = dict.fromkeys([*order[::-1][:_N_CHANNELS].tolist(), *order[:1].tolist()])
            records += [
                {
                    "sample": table.index[row],
                    "profile": name,
                    "channel": channels[i],
                    "count": int(table.iloc[row][f"{name}{SEPARATOR}{channels[i]}"]),
                    "effect": float(share[i]),
                }
                for i in chosen
            ]
    return pd.DataFrame(records, columns=["sample", "profile", "channel", "count", "effect"])


def _places(
    known: pd.DataFrame, near: npt.NDArray[np.int64], distances: Floats, samples: pd.Index
) -> pd.DataFrame:
    """Where tumours stand on the map of the known ones: the mean of their nearest, weighted by nearness."""
    weight = 1.0 / (distances + 1e-3)
    weight /= weight.sum(axis=1, keepdims=True)
    where = {axis: (known[axis].to_numpy()[near] * weight).sum(axis=1) for axis in ("map_1", "map_2")}
    return pd.DataFrame(where, index=samples).rename_axis("sample")
