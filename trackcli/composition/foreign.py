"""Foreign weights: load a state dict from elsewhere into a module and say what fitted and what did not."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from trackcli.contracts.components import Backbone
from trackcli.contracts.weights import AdaptedWeights
from trackcli.errors import InputDataError

_WRAPPERS = ("state_dict", "model", "model_state_dict")
_PREFIXES = ("module.", "backbone.", "features.")


@dataclass(frozen=True)
class LoadReport:
    """Which names found their place.

    Attributes:
        loaded: Names of the module that were filled.
        missing: Names of the module for which the file has nothing.
        unused: Names of the file that the module does not have.
        misfits: Names present in both, with different shapes: "name: file shape, module shape".
        notes: What was changed so that they fit.
    """

    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    unused: tuple[str, ...]
    misfits: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def summary(self) -> str:
        """One line for the person."""
        text = "; ".join((f"{len(self.loaded)} tensors loaded", *self.notes))
        for label, names in (("missing", self.missing), ("unused", self.unused), ("of another shape", self.misfits)):
            if names:
                shown = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
                text += f"; {len(names)} {label}: {shown}"
        return text

    def as_data(self) -> dict[str, Any]:
        """Every name, as plain data."""
        return {
            "loaded": list(self.loaded),
            "missing": list(self.missing),
            "unused": list(self.unused),
            "misfits": list(self.misfits),
            "notes": list(self.notes),
        }


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Read ``.safetensors``, or a ``.pth``/``.pt`` pickle that holds tensors only.

    Raises:
        InputDataError: if the file is missing or holds anything but tensors.
    """
    if not path.is_file():
        raise InputDataError(f"weights file {path} does not exist; expected .safetensors, .pth or .pt")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about the pickle's protocol; what matters is an error
            data = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, OSError, RuntimeError, ValueError, EOFError) as error:
        raise InputDataError(
            f"weights file {path} cannot be read ({_first_line(error)}); expected tensors only"
        ) from error
    except Exception as error:  # pickle.UnpicklingError, whose text advises to load unsafely, and what pickles raise
        raise InputDataError(
            f"weights file {path} is no plain state dict ({type(error).__name__}); expected tensors only"
        ) from error
    for wrapper in _WRAPPERS:
        if isinstance(data, dict) and isinstance(data.get(wrapper), dict):
            data = data[wrapper]
    if not isinstance(data, dict):
        raise InputDataError(f"weights file {path} holds {type(data).__name__}; expected a state dict")
    return {str(name): value for name, value in data.items() if isinstance(value, Tensor)}


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def load_foreign(module: nn.Module, weights: Mapping[str, Tensor]) -> LoadReport:
    """Copy what fits by name and shape; names may carry a wrapper's prefix (``module.``, ``backbone.``).

    A backbone adapts the weights first. Counters such as ``num_batches_tracked`` are never reported as missing.

    Raises:
        InputDataError: for weights that the backbone refuses.
    """
    adapted = _without_prefix(weights, module)
    weights = adapted.weights
    own = module.state_dict()
    fitting = {name: value for name, value in weights.items() if name in own and own[name].shape == value.shape}
    misfits = [
        f"{name}: {tuple(value.shape)} in the file, {tuple(own[name].shape)} here"
        for name, value in weights.items()
        if name in own and own[name].shape != value.shape
    ]
    module.load_state_dict({name: value.to(own[name].dtype) for name, value in fitting.items()}, strict=False)
    missing = [name for name in own if name not in weights and not name.endswith("num_batches_tracked")]
    unused = [name for name in weights if name not in own]
    return LoadReport(tuple(fitting), tuple(missing), tuple(unused), tuple(misfits), adapted.notes)


def _without_prefix(weights: Mapping[str, Tensor], module: nn.Module) -> AdaptedWeights:
    """The weights, adapted, with the prefix off that makes most of them fit: one, or two as ``module.backbone.``."""
    own = module.state_dict()
    best = _adapted(weights, module)
    for prefix in (*_PREFIXES, *map("".join, permutations(_PREFIXES, 2))):
        stripped = _adapted({name.removeprefix(prefix): value for name, value in weights.items()}, module)
        if sum(name in own for name in stripped.weights) > sum(name in own for name in best.weights):
            best = stripped
    return best


def _adapted(weights: Mapping[str, Tensor], module: nn.Module) -> AdaptedWeights:
    return module.adapt_weights(weights) if isinstance(module, Backbone) else AdaptedWeights(dict(weights))
