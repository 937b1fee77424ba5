"""The one training loop of the package.

A module that can be trained has two methods and knows nothing of optimisers or devices:

- ``noise(n_samples, generator) -> dict[str, Tensor]`` draws everything random of one step;
- ``terms(batch, noise) -> dict[str, Tensor]`` returns the named, unweighted parts of the
  objective, scalars in nats per sample.

`fit` trains one module. `latentgenomes.nn.ensemble.fit_ensemble` trains many at once through the same
loop, `run`, which only sees a `Learner`: something with members, rows of data and terms.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import pandas as pd
import torch
from torch import Tensor, nn
from tqdm import tqdm

Batch = Mapping[str, Tensor]
T = TypeVar("T")


@dataclass(frozen=True)
class TrainConfig:
    """Settings of the training loop.

    `max_epochs`, at most; `batch_size`, the last, incomplete batch of a shuffled epoch is left out;
    `learning_rate` of Adam, which falls linearly to the share `decay_to` at the last epoch; `patience`,
    epochs without a better validation sum before a member stops, where better is lower by `min_delta` nats
    per sample.
    """

    max_epochs: int = 500
    batch_size: int = 16
    learning_rate: float = 1e-3
    patience: int = 10
    min_delta: float = 1e-4
    decay_to: float = 1.0


class Learner(Protocol):
    """What the loop needs of the thing it trains: one module, or a stack of them."""

    n_members: int
    n_samples: int
    device: torch.device

    def parameters(self) -> list[Tensor]:
        """Tensors to optimise, each with the members first where there are several."""

    def draw(self, n_samples: int, generators: Sequence[torch.Generator]) -> dict[str, Tensor]:
        """Noise for `n_samples` of every member; for the validation data if it is negative."""

    def training_terms(self, rows: Tensor, noise: Batch) -> dict[str, Tensor]:
        """Terms on rows (n_members, batch_size) of the training data, each (n_members,)."""

    def validation_terms(self, noise: Batch) -> dict[str, Tensor]:
        """Terms on the whole validation data, each (n_members,)."""

    def remember(self, better: Tensor) -> None:
        """Keep the present weights of the members marked in `better` (n_members,) as their best."""

    def narrow(self, keep: Tensor) -> None:
        """Go on training only the members at the positions `keep`."""


def progress(iterable: Iterable[T], description: str, **options: Any) -> Iterator[T]:
    """Iterate with a progress bar after two seconds; ``LATENTGENOMES_PROGRESS=0`` switches it off."""
    quiet = os.environ.get("LATENTGENOMES_PROGRESS", "1") == "0"
    return iter(
        tqdm(iterable, desc=description, delay=2.0, leave=False, mininterval=0.5, disable=quiet, **options)
    )


def resolve_device(device: str) -> torch.device:
    """Turn "auto", "cpu" or "cuda" into a device that is there; a ValueError where it is not."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
        torch.empty(1, device=found)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(
            f"device must name a device of this machine, but {device!r} came ({error}). "
            "Use 'auto', which takes the GPU where there is one."
        ) from error
    return found


def make_generators(seeds: Sequence[int]) -> list[torch.Generator]:
    """One CPU generator per seed: draws are the same whatever device the model is on."""
    return [torch.Generator().manual_seed(int(seed)) for seed in seeds]


def run(
    learner: Learner,
    config: TrainConfig,
    *,
    seeds: Sequence[int],
    weights: Mapping[str, float] | None = None,
    validate: bool = True,
) -> pd.DataFrame:
    """Train every member of the learner and leave each with its best weights; return the tidy history.

    Each of `seeds` makes the generator of one member, which shuffles its rows and draws its noise, so what
    happens to a member does not depend on how many others are trained beside it. A member whose validation
    sum has not improved for `patience` epochs leaves the stack. `weights` weigh the terms in the training
    loss; early stopping always judges the unweighted sum. Without `validate` all epochs run and the last
    weights stay.

    The history has columns member, epoch, set, term, value (nats per sample). A member that ends without one
    finite validation sum is a FloatingPointError.
    """
    generators = make_generators(seeds)
    alive = torch.arange(learner.n_members)
    best = torch.full((learner.n_members,), float("inf"))
    waited = torch.zeros(learner.n_members, dtype=torch.long)
    fixed = learner.draw(-1, generators) if validate else {}
    optimizer = _new_optimizer(learner, config)
    records: list[dict[str, Any]] = []
    for epoch in progress(range(1, config.max_epochs + 1), "training", unit="epoch"):
        for group in optimizer.param_groups:
            done = (epoch - 1) / max(config.max_epochs - 1, 1)
            group["lr"] = config.learning_rate * (1.0 - (1.0 - config.decay_to) * done)
        trained = _train_epoch(learner, optimizer, config, generators, weights or {})
        _record(records, alive, epoch, "training", trained)
        if not validate:
            continue
        with torch.no_grad():
            judged = {k: v.cpu() for k, v in learner.validation_terms(fixed).items()}
        _record(records, alive, epoch, "validation", judged)
        total = torch.stack(list(judged.values())).sum(0)  # (n_alive,)
        better = total < best - config.min_delta
        best = torch.where(better, total, best)
        waited = torch.where(better, 0, waited + 1)
        learner.remember(better)
        stopped = waited >= config.patience
        _check_finite(best[stopped] if epoch < config.max_epochs else best)
        keep = torch.nonzero(~stopped).squeeze(-1)
        if len(keep) == 0:
            break
        if len(keep) < len(alive):
            alive, best, waited = alive[keep], best[keep], waited[keep]
            generators = [generators[i] for i in keep.tolist()]
            fixed = {name: value[keep.to(value.device)] for name, value in fixed.items()}
            optimizer = _narrow(learner, optimizer, config, keep)
    if not validate:
        learner.remember(torch.ones(len(alive), dtype=torch.bool))
    return pd.DataFrame.from_records(records, columns=["member", "epoch", "set", "term", "value"])


def fit(
    module: nn.Module,
    data: Batch,
    config: TrainConfig,
    *,
    seed: int,
    weights: Mapping[str, float] | None = None,
    validation: Batch | None = None,
) -> pd.DataFrame:
    """Train one module in place; it ends in evaluation mode with its best weights. Returns the history of
    `run`.

    `data` are equally long tensors by name: every batch holds the same rows of each. Without `validation`,
    held-out data for early stopping, the last weights are kept. The global random state is not touched.
    """
    learner = SingleLearner(module, data, validation)
    history = run(learner, config, seeds=[seed], weights=weights, validate=validation is not None)
    module.load_state_dict(learner.best)
    module.eval()
    return history


class SingleLearner:
    """One module behind the `Learner` interface, with a leading axis of one member."""

    def __init__(self, module: nn.Module, data: Batch, validation: Batch | None) -> None:
        self.n_members = 1
        self.n_samples = check_lengths(data)
        self.device = next(module.parameters()).device
        self.best: dict[str, Tensor] = {}
        self._module = module
        self._data = data
        self._validation = validation or {}

    def parameters(self) -> list[Tensor]:
        """Return the tensors to optimise."""
        return list(self._module.parameters())

    def draw(self, n_samples: int, generators: Sequence[torch.Generator]) -> dict[str, Tensor]:
        """Draw noise for `n_samples` of every member, or for the validation data if negative."""
        n = n_samples if n_samples >= 0 else check_lengths(self._validation)
        noise = self._module.noise(n, generators[0])  # type: ignore[operator]
        return {name: value.to(self.device).unsqueeze(0) for name, value in noise.items()}

    def training_terms(self, rows: Tensor, noise: Batch) -> dict[str, Tensor]:
        """Return the terms on rows of the training data."""
        self._module.train()
        return self._terms({name: value[rows[0]] for name, value in self._data.items()}, noise)

    def validation_terms(self, noise: Batch) -> dict[str, Tensor]:
        """Return the terms on the validation data."""
        self._module.eval()
        return self._terms(self._validation, noise)

    def remember(self, better: Tensor) -> None:
        """Keep the weights of the members that are better than before."""
        if bool(better.any()):
            self.best = {name: value.detach().clone() for name, value in self._module.state_dict().items()}

    def narrow(self, keep: Tensor) -> None:
        """Nothing to do: one member cannot be narrowed."""

    def _terms(self, batch: Batch, noise: Batch) -> dict[str, Tensor]:
        """Drop the members that have stopped."""
        terms = self._module.terms(batch, {k: v[0] for k, v in noise.items()})  # type: ignore[operator]
        return {name: value.unsqueeze(0) for name, value in terms.items()}


def check_lengths(data: Batch) -> int:
    """Return the common length of the tensors; a ValueError where they differ or there are none."""
    lengths = {name: len(value) for name, value in data.items()}
    if len(set(lengths.values())) != 1:
        raise ValueError(f"data must hold equally long tensors, but the lengths are {lengths}.")
    return next(iter(lengths.values()))


def _train_epoch(
    learner: Learner,
    optimizer: torch.optim.Optimizer,
    config: TrainConfig,
    generators: Sequence[torch.Generator],
    weights: Mapping[str, float],
) -> dict[str, Tensor]:
    """Make one pass over the shuffled data; return the mean of each term, (n_members,)."""
    n = learner.n_samples
    size = min(config.batch_size, n)
    order = torch.stack([torch.randperm(n, generator=g) for g in generators]).to(learner.device)
    sums: dict[str, Tensor] = {}
    n_steps = n // size
    for step in range(n_steps):
        rows = order[:, step * size : (step + 1) * size]
        terms = learner.training_terms(rows, learner.draw(size, generators))
        loss = torch.stack([weights.get(name, 1.0) * value.sum() for name, value in terms.items()]).sum()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        for name, value in terms.items():
            sums[name] = sums.get(name, 0.0) + value.detach()
    return {name: (value / n_steps).cpu() for name, value in sums.items()}


def _check_finite(best: Tensor) -> None:
    """Refuse members that never had a finite validation sum: they have no best weights."""
    n_lost = int((~torch.isfinite(best)).sum())
    if n_lost:
        raise FloatingPointError(
            f"The validation sum of a fit must be finite, but {n_lost} fit(s) never had one. "
            "Lower the learning rate, and look for extreme values in the data."
        )


def _new_optimizer(learner: Learner, config: TrainConfig) -> torch.optim.Optimizer:
    return torch.optim.Adam(learner.parameters(), lr=config.learning_rate, fused=True)


def _narrow(
    learner: Learner, optimizer: torch.optim.Optimizer, config: TrainConfig, keep: Tensor
) -> torch.optim.Optimizer:
    """Drop the finished members from the learner and from Adam's moments."""
    before = [optimizer.state[p] for p in learner.parameters()]
    learner.narrow(keep)
    narrowed = _new_optimizer(learner, config)
    for parameter, state in zip(learner.parameters(), before, strict=True):
        index = keep.to(parameter.device)
        narrowed.state[parameter] = {
            name: value[index].clone() if value.dim() > 0 else value for name, value in state.items()
        }
    return narrowed


def _record(
    records: list[dict[str, Any]], alive: Tensor, epoch: int, part: str, terms: Mapping[str, Tensor]
) -> None:
    for name, values in terms.items():
        for member, value in zip(alive.tolist(), values.tolist(), strict=True):
            records.append({"member": member, "epoch": epoch, "set": part, "term": name, "value": value})
