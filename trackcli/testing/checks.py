"""What the contracts have in common: saying what is wrong, comparing tensors, importing in a fresh interpreter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor

HEAVY = ("torch", "cv2", "h5py", "av")
"""Modules that listing plugins must not import."""

_IMPORT_TIMEOUT = 120
_TELL = "import importlib, json, sys; importlib.import_module(sys.argv[1]); print(json.dumps(sorted(sys.modules)))"


def expect(holds: bool | Tensor, message: str) -> None:
    """Fail with a message that says what to change.

    Raises:
        AssertionError: unless ``holds``; raised by hand since pytest rewrites assertions in test files only.
    """
    if not bool(holds):
        raise AssertionError(message)


def heavy_imports(module: str) -> list[str]:
    """Which of :data:`HEAVY` a fresh interpreter holds after importing ``module``.

    Raises:
        AssertionError: if the module cannot be imported, with the last line of the reason.
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, "-c", _TELL, module],
        capture_output=True,
        text=True,
        check=False,
        timeout=_IMPORT_TIMEOUT,
        env=environment,
    )
    reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
    expect(done.returncode == 0, f"importing {module} alone fails: {reason}; a plugin's modules import by themselves")
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    return [name for name in HEAVY if name in loaded]


def leaves(value: object, prefix: str = "") -> dict[str, Tensor]:
    """All tensors in nested dataclasses, mappings and sequences, by dotted path."""
    if isinstance(value, Tensor):
        return {prefix: value}
    found: dict[str, Tensor] = {}
    for name, item in _items(value):
        found.update(leaves(item, f"{prefix}.{name}" if prefix else name))
    return found


def _items(value: object) -> Iterable[tuple[str, Any]]:
    if is_dataclass(value):
        return [(entry.name, getattr(value, entry.name)) for entry in fields(value)]
    if isinstance(value, Mapping):
        return [(str(name), item) for name, item in value.items()]
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [(str(index), item) for index, item in enumerate(value)]
    return []


def expect_finite(tensors: Mapping[str, Tensor], what: str) -> None:
    """Every value of every tensor is a number."""
    for name, tensor in tensors.items():
        expect(torch.isfinite(tensor).all(), f"{what} {name} holds NaN or infinity; clamp before log, exp and division")


def expect_shape(tensor: Tensor, shape: Sequence[int], what: str, hint: str) -> None:
    """The tensor has exactly this shape."""
    expect(
        tuple(tensor.shape) == tuple(shape),
        f"{what} has shape {tuple(tensor.shape)}; expected {tuple(shape)}; {hint}",
    )


def expect_same(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor], message: str, tolerance: float = 0) -> None:
    """Both hold the same names and values, to a share of the largest value."""
    expect(found.keys() == wanted.keys(), f"{message}: {sorted(found)} against {sorted(wanted)}")
    for name, tensor in wanted.items():
        expect(
            found[name].shape == tensor.shape,
            f"{message}: {name} has shape {tuple(found[name].shape)} against {tuple(tensor.shape)}",
        )
        difference = (found[name].detach().double() - tensor.detach().double()).abs()
        most = float(difference.max()) if difference.numel() else 0.0
        scale = float(tensor.detach().double().abs().max()) if tensor.numel() else 0.0
        expect(most <= tolerance * max(scale, 1.0), f"{message}: {name} differs by {most:.3g}")


def response_centers(maps: Tensor, images: Tensor, cells: Iterable[int]) -> list[tuple[float, float]]:
    """Where in the image the cells on a map's diagonal look: the centre of gravity of their gradient.

    Args:
        maps: ``(B, C, H, W)``, computed from ``images``.
        images: ``(B, 3, S, S)``, a leaf that requires its gradient.
        cells: Positions on the diagonal: cell j is the one in row j and column j.

    Returns:
        x and y in continuous crop pixels, per cell.
    """
    centers = []
    for cell in cells:
        (gradient,) = torch.autograd.grad(maps[:, :, cell, cell].square().sum(), images, retain_graph=True)
        weight = gradient.abs().sum(dim=(0, 1)).double()
        middle = torch.arange(images.shape[-1], dtype=torch.float64) + 0.5
        x, y = (weight.sum(0) * middle).sum() / weight.sum(), (weight.sum(1) * middle).sum() / weight.sum()
        centers.append((float(x), float(y)))
    return centers
