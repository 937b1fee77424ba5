"""Many restarts trained at once, as one stacked batch.

Restarts of a small network cost mostly the overhead of launching operations, not arithmetic. Here
their weights are stacked along a first axis and every operation runs once for all of them
(``torch.func.vmap``). Each member keeps its own initial weights, its own data (a bootstrap or a
thinning, if wanted), its own shuffling and noise, and its own best weights. The members do not
interact: the gradient of the summed losses is each member's own gradient.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from latentgenomes.nn.train import Batch, TrainConfig, check_lengths, run

M = TypeVar("M", bound=nn.Module)


def seeded(build: Callable[[], M], seeds: Sequence[int]) -> list[M]:
    """Build one module per seed without touching the global random state, from which `build` draws."""
    modules = []
    for seed in seeds:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(seed))
            modules.append(build())
    return modules


def bootstrap_counts(counts: np.ndarray, seed: int) -> np.ndarray:
    """Redraw each sample's mutations with replacement: a multinomial with the sample's own profile.

    Whole counts (n_samples, n_channels) in and out, row sums kept, as SigProfilerExtractor resamples (Islam
    et al. 2022, Cell Genomics 2:100179).
    """
    whole = _whole(counts)
    totals = whole.sum(1)
    shares = whole / np.maximum(totals, 1)[:, None]
    shares[totals == 0, 0] = 1.0
    return np.random.default_rng(seed).multinomial(totals, shares).astype(counts.dtype)


def _whole(counts: np.ndarray) -> np.ndarray:
    whole = np.rint(counts).astype(np.int64)
    if not np.array_equal(whole, counts):
        raise ValueError(
            "Resampling needs whole counts, but some are fractional. "
            "Pass raw counts, or fit without resampling (resample=None)."
        )
    return whole


def fit_ensemble(
    modules: Sequence[nn.Module],
    data: Sequence[Batch],
    config: TrainConfig,
    *,
    seeds: Sequence[int],
    weights: Mapping[str, float] | None = None,
    validation: Sequence[Batch] | None = None,
) -> pd.DataFrame:
    """Train modules of one architecture in place as one stack; each ends with its best weights.

    The arguments are those of `latentgenomes.nn.train.fit`, one per member; all data are of one length, and a
    tensor that all members share (the same object) is stored once. Returns the history of `run`.
    """
    given = {"modules": len(modules), "data": len(data), "seeds": len(seeds)}
    given |= {"validation": len(validation)} if validation is not None else {}
    if len(set(given.values())) != 1 or not modules:
        raise ValueError(f"fit_ensemble needs one of each per member, but {given} came.")
    learner = StackedLearner(modules, data, validation)
    history = run(learner, config, seeds=seeds, weights=weights, validate=validation is not None)
    for member, module in enumerate(modules):
        module.load_state_dict({name: value[member] for name, value in learner.best.items()})
        module.eval()
    return history


class StackedLearner:
    """A stack of modules behind the interface `latentgenomes.nn.train.Learner`."""

    def __init__(
        self, modules: Sequence[nn.Module], data: Sequence[Batch], validation: Sequence[Batch] | None
    ) -> None:
        self.n_members = len(modules)
        self.n_samples = check_lengths(data[0])
        self.device = next(modules[0].parameters()).device
        self._params, self._buffers = stack_module_state(list(modules))
        self._skeleton = copy.deepcopy(modules[0]).to("meta")
        self._data = _stack(data)
        self._validation = _stack(validation) if validation is not None else {}
        self._members = torch.arange(self.n_members, device=self.device)
        self._alive = self._members  # positions, in the caller's order, of those still in training
        self.best = {k: v.detach().clone() for k, v in {**self._params, **self._buffers}.items()}

    def parameters(self) -> list[Tensor]:
        """Return the tensors to optimise."""
        return list(self._params.values())

    def draw(self, n_samples: int, generators: Sequence[torch.Generator]) -> dict[str, Tensor]:
        """Draw noise for `n_samples` of every member, or for the validation data if negative."""
        n = n_samples if n_samples >= 0 else next(iter(self._validation.values())).shape[1]
        draws = [self._skeleton.noise(n, g) for g in generators]  # type: ignore[operator]
        return {name: torch.stack([d[name] for d in draws]).to(self.device) for name in draws[0]}

    def training_terms(self, rows: Tensor, noise: Batch) -> dict[str, Tensor]:
        """Return the terms on rows of the training data."""
        self._skeleton.train()
        own = self._members.unsqueeze(-1)  # (n_members, 1), beside rows (n_members, batch_size)
        batch = {k: v[0][rows] if len(v) == 1 else v[own, rows] for k, v in self._data.items()}
        return self._terms(batch, noise)

    def validation_terms(self, noise: Batch) -> dict[str, Tensor]:
        """Return the terms on the validation data."""
        self._skeleton.eval()
        n = len(self._members)
        return self._terms({k: v.expand(n, *v.shape[1:]) for k, v in self._validation.items()}, noise)

    def remember(self, better: Tensor) -> None:
        """Keep the weights of the members that are better than before."""
        chosen = better.to(self.device)
        positions = self._alive[chosen]
        for name, value in {**self._params, **self._buffers}.items():
            self.best[name][positions] = value.detach()[chosen]

    def narrow(self, keep: Tensor) -> None:
        """Drop the members that have stopped."""
        index = keep.to(self.device)
        self._alive = self._alive[index]
        self._params = {k: v.detach()[index].requires_grad_() for k, v in self._params.items()}
        self._buffers = {k: v[index] for k, v in self._buffers.items()}
        self._data = {k: v if len(v) == 1 else v[index] for k, v in self._data.items()}
        self._validation = {k: v if len(v) == 1 else v[index] for k, v in self._validation.items()}
        self._members = torch.arange(len(index), device=self.device)

    def _terms(self, batch: Batch, noise: Batch) -> dict[str, Tensor]:
        def member(params: Batch, buffers: Batch, batch: Batch, noise: Batch) -> dict[str, Tensor]:
            return functional_call(self._skeleton, (params, buffers), (batch, noise))  # type: ignore[arg-type]

        return vmap(member)(self._params, self._buffers, batch, noise)


def _stack(data: Sequence[Batch]) -> dict[str, Tensor]:
    """Stack each tensor over the members, (n_members, n, ...), or (1, n, ...) where all share it."""
    stacked = {}
    for name, first in data[0].items():
        shared = all(member[name] is first for member in data)
        stacked[name] = first.unsqueeze(0) if shared else torch.stack([member[name] for member in data])
    return stacked
