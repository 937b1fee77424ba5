r"""Pretraining by steps, with a learning rate that rises and falls once, and checkpoints.

`train` counts epochs and stops when held-out data say so. Pretraining differs: its noise never
repeats, its length is chosen beforehand, and it may take long, so that it must be able to go on after it was
killed. Step i draws its rows and its noise from a generator of its own, seeded by the seed and i. A run that
went on therefore ends with the same weights as one that was never stopped.

The learning rate at step i of N, with a warm-up of W steps, is

.. math::
    \lambda_i = \lambda \min\left(1, \frac{i}{W}\right) \cdot \frac{1 + \cos(\pi\, i / N)}{2} .

| symbol | name in code | shape |
|---|---|---|
| $i$ | `step` | scalar, from 1 |
| $N$ | `n_steps` | scalar |
| $W$ | `warmup` | scalar, as a share of N |
| $\lambda$ | `learning_rate` | scalar |

References
----------
Loshchilov & Hutter 2019, arXiv 1711.05101 (AdamW), and 2017, arXiv 1608.03983 (cosine).
"""

import hashlib
import json
import math
import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from latentgenomes.nn.train import check_lengths, progress

_MOMENTS = ("step", "exp_avg", "exp_avg_sq")


@dataclass(frozen=True)
class PretrainConfig:
    """Settings of `pretrain`. The learning rate rises over the share `warmup` of the steps, in [0, 1). Every
    `save_every` steps the history is recorded, and a checkpoint where there is a file for it.
    """

    n_steps: int = 5000
    batch_size: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 0.03
    warmup: float = 0.05
    save_every: int = 100

    def rate(self, step: int) -> float:
        """Learning rate of a step, from 1."""
        rise = min(1.0, step / max(self.warmup * self.n_steps, 1.0))
        return self.learning_rate * rise * (1 + math.cos(math.pi * step / self.n_steps)) / 2


def pretrain(
    module: nn.Module,
    data: Mapping[str, Tensor],
    config: PretrainConfig,
    *,
    seed: int,
    checkpoint: str | Path | None = None,
    stop_at: int | None = None,
) -> pd.DataFrame:
    """Train a module with `noise` and `terms` in place; it ends in evaluation mode. The run goes on from the
    file `checkpoint` if it exists, and stops after step `stop_at`, with the learning rate of the whole run.
    The history has ``step``, ``term``, ``value`` (mean since the last record) and ``seconds`` of processor
    time. ValueError if the checkpoint is of another run, FloatingPointError if the loss is not finite.
    """
    n = check_lengths(data)
    device = next(module.parameters()).device
    optimizer = torch.optim.AdamW(
        module.parameters(),
        lr=config.learning_rate,
        betas=(0.9, 0.98),
        weight_decay=config.weight_decay,
        fused=True,
    )
    run = _run_name(module, data, config, seed)
    begun, records = _resume(checkpoint, run, module, optimizer)
    before = records[-1]["seconds"] if records else 0.0
    start = time.process_time()
    sums: dict[str, float] = {}
    last = config.n_steps if stop_at is None else min(stop_at, config.n_steps)
    module.train()
    for step in progress(range(begun + 1, last + 1), "pretraining", unit="step"):
        state = np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)[0]
        generator = torch.Generator().manual_seed(int(state >> np.uint64(1)))
        rows = torch.randint(n, (min(config.batch_size, n),), generator=generator)
        drawn = module.noise(len(rows), generator)  # type: ignore[operator]
        batch = {name: value[rows.to(device)] for name, value in data.items()}
        noise = {name: value.to(device) for name, value in drawn.items()}
        terms = module.terms(batch, noise)  # type: ignore[operator]
        _descend(module, optimizer, terms, config.rate(step))
        for name, value in terms.items():
            sums[name] = sums.get(name, 0.0) + float(value.detach())
        if step % config.save_every == 0 or step == last:
            seconds = before + time.process_time() - start
            n_steps = step - (records[-1]["step"] if records else 0)
            for name, total in sums.items():
                records.append({"step": step, "term": name, "value": total / n_steps, "seconds": seconds})
            sums = {}
            if checkpoint is not None:
                _save(Path(checkpoint), run, module, optimizer, records)
    module.eval()
    return pd.DataFrame.from_records(records, columns=["step", "term", "value", "seconds"])


def _descend(
    module: nn.Module, optimizer: torch.optim.Optimizer, terms: Mapping[str, Tensor], rate: float
) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate
    loss = torch.stack(list(terms.values())).sum()
    if not bool(torch.isfinite(loss)):
        raise FloatingPointError(
            f"The loss of pretraining must be finite, but it is {float(loss.detach())}. Lower the learning "
            "rate, and look for extreme values in the data."
        )
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(module.parameters(), 1.0)
    optimizer.step()


def _run_name(module: nn.Module, data: Mapping[str, Tensor], config: PretrainConfig, seed: int) -> str:
    """Digest of everything that a checkpoint must share with the run that goes on from it."""
    digest = hashlib.sha256(json.dumps([asdict(config), seed]).encode())
    for name, value in sorted([*data.items(), *module.state_dict().items()]):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _save(
    path: Path, run: str, module: nn.Module, optimizer: torch.optim.Optimizer, records: list[dict[str, Any]]
) -> None:
    tensors = {f"module.{name}": value.detach().cpu().clone() for name, value in module.state_dict().items()}
    for number, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{name}": state[name].detach().cpu().clone() for name in _MOMENTS}
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        part = Path(folder) / path.name
        save_file(tensors, part, metadata={"run": run, "records": json.dumps(records)})
        os.replace(part, path)


def _resume(
    checkpoint: str | Path | None, run: str, module: nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[int, list[dict[str, Any]]]:
    """Steps made and records of the checkpoint, whose state module and optimiser take; 0 without a file."""
    if checkpoint is None or not Path(checkpoint).is_file():
        return 0, []
    try:
        with safe_open(Path(checkpoint), framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(
            f"{checkpoint} is not a whole checkpoint ({error}). Delete it to start again."
        ) from error
    if header.get("run") != run:
        raise ValueError(
            f"A checkpoint must be of the same run, but {checkpoint} was written with other settings, data "
            "or seed. Delete it to start again, or name another file."
        )
    parts = {name.removeprefix("module."): tensors[name] for name in tensors if name.startswith("module.")}
    module.load_state_dict(parts)
    state = optimizer.state_dict()
    n_parameters = sum(len(group["params"]) for group in state["param_groups"])
    # A parameter that takes no part in the loss has no moments.
    state["state"] = {
        number: {name: tensors[f"optimizer.{number}.{name}"] for name in _MOMENTS}
        for number in range(n_parameters)
        if f"optimizer.{number}.step" in tensors
    }
    optimizer.load_state_dict(state)
    records = json.loads(header["records"])
    return records[-1]["step"], records
