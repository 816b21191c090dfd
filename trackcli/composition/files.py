"""Tracker files: safetensors with a JSON header that names components, settings, versions and provenance.

The header holds component *names*, never import paths; the tensors hold numbers, never code.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from trackcli_cache.files import write_whole

from trackcli.composition.build import build_model
from trackcli.composition.defaults import to_recipe
from trackcli.composition.model import TrackerModel
from trackcli.composition.plan import Plan, plan
from trackcli.composition.raw_header import HEADER_KEY
from trackcli.composition.record import component_versions, recipe_data
from trackcli.composition.versions import settle
from trackcli.config.recipe import Recipe
from trackcli.errors import InputDataError
from trackcli.host.registry import Registry

FORMAT_VERSION = 1
MAX_HEADER_CHARACTERS = 1 << 20


@dataclass(frozen=True)
class TrackerFile:
    """What a tracker file says beside its weights.

    Attributes:
        recipe: The complete recipe; loss and training settings included, for the record.
        components: Name → distribution and version that provided it when the file was written.
        provenance: Free facts: data, seed, steps, figures.
    """

    recipe: Recipe
    components: Mapping[str, str] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)


def save_tracker(path: Path, model: TrackerModel, planned: Plan, provenance: Mapping[str, Any]) -> None:
    """Write a tracker file (float weights as fp16) beside its final name, then rename it."""
    header = {
        "format": FORMAT_VERSION,
        "recipe": recipe_data(planned),
        "components": component_versions(planned),
        "provenance": dict(provenance),
    }
    tensors = {name: _half(tensor) for name, tensor in model.state_dict().items()}
    write_whole(path, save(tensors, metadata={HEADER_KEY: json.dumps(header)}))


def read_header(path: Path) -> TrackerFile:
    """Read what a tracker file says, without its weights.

    Raises:
        InputDataError: if the file is missing, no safetensors file, or not one of trackcli's.
        ConfigError: if its recipe is not sound.
    """
    if not path.is_file():
        raise InputDataError(f"tracker file {path} does not exist; expected a .safetensors file written by trackcli")
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(HEADER_KEY, "")
    except (SafetensorError, OSError) as error:
        raise InputDataError(
            f"{path} is no safetensors file ({error}); expected a tracker written by trackcli"
        ) from error
    if not text:
        raise InputDataError(f"{path} has no trackcli header; expected a tracker written by `trackcli train`")
    if len(text) > MAX_HEADER_CHARACTERS:
        raise InputDataError(
            f"{path} has a header of {len(text)} characters; expected at most {MAX_HEADER_CHARACTERS}: "
            "no tracker written by trackcli is like that"
        )
    try:
        header = json.loads(text)
        version, recipe = header["format"], header["recipe"]
        components, provenance = dict(header["components"]), dict(header["provenance"])
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise InputDataError(f"{path} has a damaged trackcli header ({error}); train or download it again") from error
    if version != FORMAT_VERSION:
        raise InputDataError(
            f"{path} has format {version}; this trackcli reads format {FORMAT_VERSION}: update trackcli"
        )
    return TrackerFile(to_recipe(recipe), components, provenance)


def load_tracker(path: Path, registry: Registry) -> tuple[TrackerModel, Plan, TrackerFile]:
    """Build the tracker that a file describes and give it its weights.

    Names, settings and every tensor's shape are checked against the configuration before anything is allocated.

    Raises:
        InputDataError: if the file cannot be used or its tensors do not fit its recipe.
        PluginError: if a component is not installed, saying what to install.
        UnknownNameError: likewise, for a file that does not say who provided it.

    Warns:
        VersionWarning: if another minor version of a component wrote the file.
    """
    described = read_header(path)
    planned = plan(settle(described.recipe, described.components, registry, file=path), registry)
    with torch.device("meta"):
        expected = {name: tuple(tensor.shape) for name, tensor in build_model(planned).state_dict().items()}
    with safe_open(path, framework="pt") as file:
        found = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118  # no mapping
        _check_shapes(path, expected, found)
        weights = {name: _full(file.get_tensor(name)) for name in found}
    model = build_model(planned)
    model.load_state_dict(weights)
    return model, planned, described


def _check_shapes(path: Path, expected: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]]) -> None:
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise InputDataError(
                f"{path}: tensor {name} has shape {found.get(name, 'none')}; its recipe needs "
                f"{expected.get(name, 'none')}; the file is damaged or was changed by hand"
            )


def _half(tensor: Tensor) -> Tensor:
    """Floats as fp16, unless they are too large for it (batch-norm variances may be)."""
    plain = tensor.detach().cpu().contiguous()
    half = plain.to(torch.float16) if plain.is_floating_point() else plain
    return half if torch.equal(half.isfinite(), plain.isfinite()) else plain


def _full(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def count_parameters(module: nn.Module) -> int:
    """Number of learnt values."""
    return sum(parameter.numel() for parameter in module.parameters())


def count_stored(path: Path) -> int:
    """Number of values in a tracker file, counted from its header: nothing is allocated."""
    with safe_open(path, framework="pt") as file:
        return sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118  # no mapping
