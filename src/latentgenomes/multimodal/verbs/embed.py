"""Embed a reader's own tumours: fit MutEmbed on them, or use one that was fitted before."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from latentgenomes.core.checks import list_names
from latentgenomes.core.provenance import replacing
from latentgenomes.multimodal.data.profiles import SEPARATOR, read_profiles, to_wide
from latentgenomes.multimodal.models.mutembed import MutEmbed

MODEL_FILE = "mutembed.safetensors"


@dataclass(frozen=True)
class EmbeddedTumours:
    """Embeddings of tumours, >= 0, a row for each, and the model that made them.

    `attention` is what each profile receives in the first layer, averaged over the profiles that the tumour
    has: rows sum to 1; 0 for an absent profile. `restored` is the share of the variance of the standardised
    frequencies that the decoders restore.
    """

    embedding: pd.DataFrame
    attention: pd.DataFrame
    restored: float
    model: MutEmbed

    def save(self, folder: str | Path) -> Path:
        """Write ``embedding.csv``, ``attention.csv`` and ``mutembed.safetensors``; return the folder."""
        folder = Path(folder)
        for name, table in (("embedding", self.embedding), ("attention", self.attention)):
            with replacing(folder / f"{name}.csv") as path:
                table.to_csv(path, index_label="sample", float_format="%.8g")
        self.model.save(folder / MODEL_FILE)
        return folder


def match_columns(profiles: pd.DataFrame, model: MutEmbed) -> pd.DataFrame:
    """A wide table in the columns of a fitted model; those that only the model knows are absent, NaN."""
    if not hasattr(model, "feature_names_in_"):
        raise ValueError(
            "model must have been fitted on a table with column names such as SBS96|A[C>A]A, but it was "
            "fitted on an array. Fit it on a wide table."
        )
    known = list(model.feature_names_in_)
    unknown = [str(column) for column in profiles.columns if column not in known]
    if unknown:
        names = list(dict.fromkeys(name.partition(SEPARATOR)[0] for name in unknown))
        raise ValueError(
            f"The model knows the profiles {', '.join(model.profile_names_)}, but {list_names(names)} came "
            "with channels that it does not know. Leave them out, or fit a model on your tumours."
        )
    return profiles.reindex(columns=known)


def embed_tumours(
    profiles: pd.DataFrame,
    *,
    model: MutEmbed | None = None,
    n_latent: int = 64,
    max_epochs: int = 500,
    random_state: int = 0,
) -> EmbeddedTumours:
    """Embed tumours with a model fitted on them, or with one fitted before.

    Embeddings of two models cannot be compared. To compare new tumours with old ones, pass the model of the
    old ones.

    Parameters
    ----------
    profiles : DataFrame of shape (n_samples, n_channels)
        Wide table, see `to_wide`: counts, NaN where a profile is absent.
    model : MutEmbed, optional
        Fitted before. Profiles that it knows and that did not come count as absent.
    n_latent, max_epochs, random_state : int
        See `MutEmbed`; used only where no model is given.

    Raises
    ------
    ValueError
        If the table is not what the model needs, or the model was fitted without column names.
    """
    if model is None:
        model = MutEmbed(n_latent=n_latent, max_epochs=max_epochs, random_state=random_state).fit(profiles)
    table = match_columns(profiles, model)
    embedding = pd.DataFrame(
        model.transform(table), index=table.index, columns=list(model.get_feature_names_out())
    )
    received = np.nanmean(model.attention(table)[:, 0], axis=1)  # (n, k, k) -> (n, k)
    attention = pd.DataFrame(received, index=table.index, columns=model.profile_names_)
    return EmbeddedTumours(embedding, attention, model.score(table), model)


def embed_files(
    paths: Mapping[str, str | Path],
    *,
    model: str | Path | None = None,
    align: bool = False,
    max_epochs: int = 500,
    random_state: int = 0,
) -> EmbeddedTumours:
    """Embed the tumours of a reader's own matrices, one file for each profile: see `read_profiles`.

    `model` is ``mutembed.safetensors`` of an earlier call. With `align`, files that list other samples or
    another order are joined by sample name.
    """
    if model is not None and not Path(model).is_file():
        raise FileNotFoundError(f"model must be a file that `embed` wrote, but there is none at {model}.")
    fitted = None if model is None else MutEmbed.load(model)
    wide = to_wide(read_profiles(paths, align=align))
    return embed_tumours(wide, model=fitted, max_epochs=max_epochs, random_state=random_state)
