"""The options that describe a recipe, as layers with their origins. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trackcli.config.layers import read_config_file
from trackcli.config.origins import COMPLETE, COMPONENTS, Layer
from trackcli.errors import UsageError

if TYPE_CHECKING:
    from trackcli.composition.files import TrackerFile

SMOKE_SETTINGS = {"steps": 20, "batch": 4}
"""Enough to see that everything works; far too little to learn to track."""

FINE_TUNING_FACTOR = 0.1
"""On the rates that a tracker was trained with, when another run starts from it."""

_RATES = ("learning_rate", "final_rate", "warmup_rate")
_SCHEDULE = {"steps": ("steps", "epochs"), "batch": ("batch",)}


def option_layers(
    preset: str, files: Sequence[Path], named: Mapping[str, str], lists: Mapping[str, Sequence[str]]
) -> list[Layer]:
    """Preset, configuration files and named components, lowest first.

    Raises:
        ConfigError: for a file that cannot be used.
        UsageError: for a preset below a whole recipe, which says all that a preset would.
    """
    configs = [Layer(f"--config {file}", read_config_file(file)) for file in files]
    whole = [layer.origin for layer in configs if layer.data.get(COMPLETE) is True]
    if preset and whole:
        raise UsageError(f"--preset {preset} has no effect: {whole[0]} is a whole recipe; leave one of them out")
    return [
        *([Layer(f"--preset {preset}", {"preset": preset})] if preset else []),
        *configs,
        *(Layer(f"--{kind} {name}", {kind: {"name": name}}) for kind, name in named.items() if name),
        *(
            Layer(" ".join(f"--{kind} {name}" for name in names), {kind: [{"name": name} for name in names]})
            for kind, names in lists.items()
            if names
        ),
    ]


def names_recipe(layers: Sequence[Layer], assignments: Sequence[str]) -> bool:
    """Whether the user says what recipe to start from: a preset, or a whole recipe in a file."""
    said = any(layer.has(("preset",)) or layer.data.get(COMPLETE) is True for layer in layers)
    return said or any(text.partition("=")[0].strip() == "preset" for text in assignments)


def recipe_of_tracker(tracker: TrackerFile, name: str) -> list[Layer]:
    """The recipe of the tracker that a run starts from, with lower rates: its weights are good already."""
    recipe = tracker.recipe.model_dump(mode="json", exclude_none=True)
    rates = {key: FINE_TUNING_FACTOR * getattr(tracker.recipe.train, key) for key in _RATES}
    return [
        Layer(f"--init-from {name}", {COMPLETE: True, **recipe, COMPONENTS: dict(tracker.components)}),
        Layer(f"--init-from {name}, rates times {FINE_TUNING_FACTOR:g}", {"train": rates}),
    ]


def recipe_of_run(file: Path) -> list[Layer]:
    """The recipe that a run folder remembers."""
    return [Layer(f"--resume, {file}", read_config_file(file))]


def with_epochs(layers: Sequence[Layer]) -> list[Layer]:
    """On the command line ``--epochs`` alone means epochs, even where the preset counts steps."""
    return [*layers, Layer("--epochs", {"train": {"steps": None}})]


def with_smoke_settings(layers: Sequence[Layer]) -> list[Layer]:
    """Few and small steps, over presets and whole recipes and below what the user says about them."""
    whole = [index for index, layer in enumerate(layers) if layer.data.get(COMPLETE) is True]
    start = max(whole, default=-1) + 1
    above = layers[start:]
    settings: dict[str, Any] = {
        key: value
        for key, value in SMOKE_SETTINGS.items()
        if not any(layer.has(("train", said)) for layer in above for said in _SCHEDULE[key])
    }
    return [*layers[:start], Layer("smoke run without --data", {"train": settings}), *above]
