"""The autoencoders of the genotype study on the same held-out people: code lengths, bytes and simulation.

Fitted models are kept as files, so that a killed run goes on. A file is used again only while the settings
and the code of the model are those that made it.
"""

import hashlib
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.frozen import FrozenEstimator

from latentgenomes.core.definitions import fingerprint
from latentgenomes.core.splits import grouped_split
from latentgenomes.genotypes.data.calls import HaplotypeData
from latentgenomes.genotypes.data.public import load_805
from latentgenomes.genotypes.evaluate.compression import published_bits, ratio_table
from latentgenomes.genotypes.evaluate.simulation import compare_haplotypes, linkage_decay, privacy_loss
from latentgenomes.genotypes.models.haplotype_codec import HaplotypeCodec
from latentgenomes.genotypes.models.haplotype_vae import HaplotypeVAE, published_settings
from latentgenomes.genotypes.models.vae_coding import VAECoding

#: Models of the LCT window by name.
LCT_VAES: dict[str, dict[str, Any]] = {
    "published": published_settings(),
    "improved": {},
    "improved, population given": {"conditional": True},
    "causal decoder": {"n_previous": 32},
}
#: Models of the 805 SNPs by name.
SNP805_VAES: dict[str, dict[str, Any]] = {
    "plain": {"n_latent": 32, "n_components": 16},
    "causal": {"n_previous": 32, "n_components": 16},
}
#: Temperatures of the draws; all are reported. The last came from a look at AATS with one draw of each.
SNP805_TEMPERATURES = (1.0, 1.05, 1.1)
DECAY_EDGES = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 804)
_WEIGHT_BYTES = 2  # 16 bits each


def fitted_vae(
    settings: Mapping[str, Any],
    calls: np.ndarray,
    populations: np.ndarray,
    *,
    seed: int = 0,
    folder: str | Path | None = None,
) -> HaplotypeVAE:
    """Fit a model, or read it from folder if one was fitted alike; only conditional ones see populations."""
    model = HaplotypeVAE(**settings, random_state=seed)
    labels = populations if model.conditional else None
    if folder is None:
        return model.fit(calls, labels)
    parts = [json.dumps(dict(settings), sort_keys=True), str(seed), str(calls.shape)]
    parts.append(fingerprint(HaplotypeVAE))
    state = hashlib.sha256("\n".join(parts).encode())
    state.update(np.ascontiguousarray(calls).tobytes())
    path = Path(folder) / f"vae-{state.hexdigest()[:16]}.safetensors"
    if not path.is_file():
        model.fit(calls, labels).save(path)
    return HaplotypeVAE.load(path)


def code_lengths(
    data: HaplotypeData,
    names: Sequence[str] = tuple(LCT_VAES),
    *,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    seed: int = 0,
    folder: str | Path | None = None,
) -> pd.DataFrame:
    """Bits that every model needs for the 10% of people whom it never saw, and real bytes.

    Methods are "published metric", "negative ELBO", "importance bound" (20 draws), "bytes, rounded" and
    "bytes, bits back", each after the model's name. Ratios are against 1 bit a SNP, the model known to both
    sides; model_bytes count 16 bits a weight.
    """
    chosen = LCT_VAES if settings is None else settings
    train, test = grouped_split(data.metadata["person"], test_fraction=0.1, random_state=seed)
    populations, regions = (data.metadata[c].to_numpy().astype(str) for c in ("population", "region"))
    panel, new = data.calls[train], data.calls[test]
    tables = []
    for name in names:
        model = fitted_vae(chosen[name], panel, populations[train], seed=seed, folder=folder)
        given = populations[test] if model.conditional else None
        latent = model.transform(new, given)
        bits = {
            "published metric": published_bits(new, model.inverse_transform(latent, given), latent.shape[1]),
            "negative ELBO": model.bits(new, given),
            "importance bound": model.bits(new, given, n_draws=20),
        }
        if model.n_previous:  # its reconstruction alone, without the calls before, means little
            del bits["published metric"]
        for way, own in bits.items():
            method = f"{name}: {way}"
            tables.append(ratio_table(own, regions[test], n_snps=new.shape[1], method=method))
        if not model.conditional:
            tables += [_byte_row(model, name, panel, new, bits_back) for bits_back in (False, True)]
    return pd.concat(tables, ignore_index=True)


def _byte_row(
    model: HaplotypeVAE, name: str, panel: np.ndarray, new: np.ndarray, bits_back: bool
) -> pd.DataFrame:
    """Real bytes of held-out haplotypes, decoded and compared."""
    coding = VAECoding(FrozenEstimator(model), bits_back=bits_back)
    codec = HaplotypeCodec("vae", model=coding).fit(panel)
    codec.decompress(codec.compress(new[:2]))  # compiles
    start = time.process_time()
    packed = codec.compress(new)
    middle = time.process_time()
    decoded = codec.decompress(packed)
    end = time.process_time()
    if not np.array_equal(decoded, new):
        raise RuntimeError("Decoded haplotypes must be those that were coded, but they are not. Report it.")
    net = codec.model_.net_
    layers = [layer for stack in net.decoders for layer in stack]
    layers += [layer for stack in net.encoders for layer in stack] if bits_back else []
    n_weights = sum(layer.weights.size + layer.biases.size for layer in layers) + net.causal.size
    way = "bytes, bits back" if bits_back else "bytes, rounded"
    return pd.DataFrame(
        {
            "split": 0,
            "method": f"{name}: {way}",
            "group": "all",
            "n_haplotypes": len(new),
            "bits_per_haplotype": 8 * len(packed) / len(new),
            "ratio": new.size / (8 * len(packed)),
            "bytes": len(packed),
            "model_bytes": _WEIGHT_BYTES * n_weights,
            "encoded_per_second": len(new) / (middle - start),
            "decoded_per_second": len(new) / (end - middle),
        },
        index=[0],
    )


def compare_simulations(
    names: Sequence[str] = tuple(SNP805_VAES),
    *,
    n_repeats: int = 3,
    n_samples: int = 5000,
    seed: int = 0,
    folder: str | Path | None = None,
) -> pd.DataFrame:
    """Artificial haplotypes of the 805 SNPs beside those of the published GAN and RBM, and real against real.

    Each model, fitted to 90% of people, is drawn from N(0, I), and from the mixture of latent variables with
    each of `SNP805_TEMPERATURES`. The columns of `compare_haplotypes` are against all 5008 real haplotypes.
    """
    real = load_805()
    train, test = grouped_split(real.metadata["person"], test_fraction=0.1, random_state=seed)
    rows: list[dict[str, Any]] = []

    def add(source: str, repeat: int, drawn: np.ndarray, against: np.ndarray, private: bool) -> None:
        row: dict[str, Any] = {"source": source, "repeat": repeat}
        row |= compare_haplotypes(against, drawn, random_state=repeat)
        if private:
            parts = real.calls[train], real.calls[test], drawn
            row["privacy_loss"] = privacy_loss(*parts, random_state=repeat)
        rows.append(row)

    for repeat, (first, second) in enumerate(_halves(real, n_repeats)):
        add("real against real", repeat, real.calls[second], real.calls[first], False)
    for source in ("gan", "rbm"):
        add(source.upper(), 0, load_805(source).calls, real.calls, False)
    populations = real.metadata["population"].to_numpy().astype(str)
    for name in names:
        model = fitted_vae(SNP805_VAES[name], real.calls[train], populations[train], seed=seed, folder=folder)
        for aggregate, temperature in [(True, t) for t in SNP805_TEMPERATURES] + [(False, 1.0)]:
            source = f"VAE {name}, {'mixture' if aggregate else 'N(0, I)'}"
            source += "" if temperature == 1 else f", T = {temperature:g}"
            for repeat in range(n_repeats):
                drawn = model.sample(
                    n_samples, aggregate=aggregate, temperature=temperature, random_state=repeat
                )
                add(source, repeat, drawn, real.calls, True)
    return pd.DataFrame(rows)


def _halves(real: HaplotypeData, n_repeats: int) -> Iterable[tuple[np.ndarray, np.ndarray]]:
    people = real.metadata["person"]
    return (grouped_split(people, test_fraction=0.5, random_state=repeat) for repeat in range(n_repeats))


def learnt_bits(
    names: Sequence[str] = tuple(SNP805_VAES), *, seed: int = 0, folder: str | Path | None = None
) -> pd.DataFrame:
    """Bits (of a draw of the negative ELBO) that each model needs for haplotypes of its panel, and for new
    ones.
    """
    real = load_805()
    train, test = grouped_split(real.metadata["person"], test_fraction=0.1, random_state=seed)
    populations = real.metadata["population"].to_numpy().astype(str)
    rows = []
    for name in names:
        model = fitted_vae(SNP805_VAES[name], real.calls[train], populations[train], seed=seed, folder=folder)
        known, new = (float(model.bits(real.calls[part]).mean()) for part in (train, test))
        rows.append({"method": f"VAE {name}", "panel": known, "new": new})
    return pd.DataFrame(rows)


def simulated_decay(
    name: str = "causal", *, n_samples: int = 5000, seed: int = 0, folder: str | Path | None = None
) -> pd.DataFrame:
    """`decay_table` of the real 805 SNPs, GAN, RBM, and one model's mixture at the last temperature."""
    real = load_805()
    train, _ = grouped_split(real.metadata["person"], test_fraction=0.1, random_state=seed)
    populations = real.metadata["population"].to_numpy().astype(str)
    model = fitted_vae(SNP805_VAES[name], real.calls[train], populations[train], seed=seed, folder=folder)
    drawn = model.sample(n_samples, temperature=SNP805_TEMPERATURES[-1], random_state=seed)
    published = {source.upper(): load_805(source).calls for source in ("gan", "rbm")}
    return decay_table({"real": real.calls, **published, f"VAE {name}": drawn})


def decay_table(drawn: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Linkage by distance in SNPs of every source: source, lower, upper, n_pairs, mean_r2."""
    parts = [linkage_decay(calls, DECAY_EDGES).assign(source=source) for source, calls in drawn.items()]
    return pd.concat(parts, ignore_index=True)[["source", "lower", "upper", "n_pairs", "mean_r2"]]
