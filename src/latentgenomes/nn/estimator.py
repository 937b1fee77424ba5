"""What every estimator of the package shares: device, seeds, and files that hold no code.

A saved estimator is one safetensors file: arrays and weights as tensors, everything else as JSON
in the header. Reading it never unpickles, so a file from a stranger can be wrong but cannot run
anything.
"""

import io
import json
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import nn

from latentgenomes.core.provenance import replacing
from latentgenomes.nn.train import resolve_device

FORMAT = "latentgenomes-1"
_MODULE = "module_"


class TorchEstimator(BaseEstimator, ABC):
    """Abstract estimator: ``device`` and ``random_state`` are among its parameters.

    A subclass fits, and sets fitted attributes ending in ``_``. The attribute ``module_``, where
    there is one, is an `nn.Module` that `_build_module` can build again from the parameters.
    """

    device: str
    random_state: int | np.random.RandomState | None

    @abstractmethod
    def _build_module(self) -> nn.Module | None:
        """Return an untrained module of the fitted shape, or None if the model has none."""

    def _seeds(self, n_seeds: int) -> list[int]:
        """Seeds drawn from `random_state`; the first k are the same whatever `n_seeds`."""
        return [int(s) for s in check_random_state(self.random_state).randint(2**31 - 1, size=n_seeds)]

    def _device(self) -> torch.device:
        return resolve_device(self.device)

    def save(self, path: str | Path) -> Path:
        """Write the fitted estimator to one safetensors file, atomically.

        A parameter or attribute that is neither a tensor nor JSON is a ValueError.
        """
        check_is_fitted(self)
        tensors: dict[str, torch.Tensor] = {}
        fitted: dict[str, Any] = {}
        for name, value in vars(self).items():
            if name == _MODULE:
                tensors |= {f"{_MODULE}.{k}": v.detach().cpu() for k, v in value.state_dict().items()}
            elif name.endswith("_") and not name.startswith("_"):
                fitted[name] = _encode(name, value, tensors)
        header = {
            "format": FORMAT,
            "class": type(self).__name__,
            "parameters": self._json(self.get_params(deep=False)),
            "fitted": self._json(fitted),
        }
        with replacing(path) as part:
            save_file({k: v.contiguous() for k, v in tensors.items()}, part, metadata=header)
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read an estimator that `save` wrote; a ValueError for another class, or a file that is cut off."""
        try:
            with safe_open(Path(path), framework="pt") as file:
                header = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, json.JSONDecodeError) as error:
            raise ValueError(
                f"{path} is not a whole safetensors file ({error}). Save the model again."
            ) from error
        if header.get("format") != FORMAT or header.get("class") != cls.__name__:
            raise ValueError(
                f"{path} must hold a {cls.__name__} in format {FORMAT}, but it holds "
                f"{header.get('class', 'something else')} in format {header.get('format', 'unknown')}."
            )
        estimator = cls(**json.loads(header["parameters"]))
        for name, value in json.loads(header["fitted"]).items():
            setattr(estimator, name, _decode(value, tensors))
        weights = {
            k.removeprefix(f"{_MODULE}."): v for k, v in tensors.items() if k.startswith(f"{_MODULE}.")
        }
        module = estimator._build_module()
        if module is not None:
            module.load_state_dict(weights, assign=True)  # keeps the file's dtype
            setattr(estimator, _MODULE, module.to(estimator._device()).eval())
        return estimator

    def _json(self, value: Any) -> str:
        try:
            return json.dumps(value)
        except TypeError as error:
            raise ValueError(
                f"{type(self).__name__} can be saved when its parameters are numbers, strings, lists "
                f"or None, but one is not ({error}). Use an int as random_state."
            ) from error


def _encode(name: str, value: Any, tensors: dict[str, torch.Tensor]) -> dict[str, Any]:
    """Split one fitted attribute into JSON and, for numeric arrays, a tensor."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        tensors[name] = torch.from_numpy(np.ascontiguousarray(value))
        return {"tensor": name}
    if isinstance(value, np.ndarray):
        return {"labels": value.tolist()}
    if isinstance(value, pd.DataFrame):
        return {"frame": value.to_json(orient="table", double_precision=15)}
    if isinstance(value, np.generic):
        return {"value": value.item()}
    return {"value": value}


def _decode(entry: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Any:
    """Undo `_encode`."""
    if "tensor" in entry:
        return tensors[entry["tensor"]].numpy()
    if "labels" in entry:
        return np.array(entry["labels"], dtype=object)
    if "frame" in entry:
        return pd.read_json(io.StringIO(entry["frame"]), orient="table", precise_float=True)
    return entry["value"]
