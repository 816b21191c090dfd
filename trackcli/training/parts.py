"""Parts of a composition by name: what phases, freezing and learning-rate factors speak of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from torch import nn

from trackcli.composition.model import TrackerModel
from trackcli.config.suggestions import did_you_mean
from trackcli.errors import ConfigError


class Parts:
    """All parameters of a model and its losses under the names that settings use.

    A name is that of a parameter or of any module above it: ``backbone``, ``matcher``, ``head.hidden``, and
    ``loss.rpn`` for a loss's own parameters. Stages of the backbone go by the names that it gives them
    (``backbone.stem``), whatever their modules are called.
    """

    def __init__(self, model: TrackerModel, losses: nn.Module) -> None:
        self.parameters: dict[str, nn.Parameter] = {
            **dict(model.named_parameters()),
            **{f"loss.{name.removeprefix('losses.')}": value for name, value in losses.named_parameters()},
        }
        self.stages = _stages(model, self.parameters)

    def named(self, part: str, *, setting: str) -> frozenset[str]:
        """Names of the parameters of a part.

        Args:
            part: Its name.
            setting: Who asks, for the message.

        Raises:
            ConfigError: if there is no such part.
        """
        if part in self.stages:
            return self.stages[part]
        found = frozenset(name for name in self.parameters if name == part or name.startswith(f"{part}."))
        if not found:
            raise ConfigError(f"{setting} names {part!r}, which is no part of this tracker with parameters; "
                              f"{did_you_mean(part, sorted(self._choices()))}")  # fmt: skip
        return found

    def named_any(self, parts: Iterable[str], *, setting: str) -> frozenset[str]:
        """Names of the parameters of any of several parts."""
        return frozenset(name for part in parts for name in self.named(part, setting=setting))

    def longest(self, factors: Mapping[str, float], *, setting: str) -> dict[str, float]:
        """The factor of every parameter: that of the smallest part that contains it, else 1."""
        sizes: dict[str, int] = {}
        result = dict.fromkeys(self.parameters, 1.0)
        for part, factor in factors.items():
            members = self.named(part, setting=setting)
            for name in members:
                if len(members) <= sizes.get(name, len(self.parameters)):
                    sizes[name], result[name] = len(members), factor
        return result

    def _choices(self) -> set[str]:
        return {*self.stages, *_prefixes(self.parameters)}


def _prefixes(names: Iterable[str], deepest: int = 2) -> Iterator[str]:
    for name in names:
        steps = name.split(".")
        for depth in range(1, min(deepest, len(steps) - 1) + 1):
            yield ".".join(steps[:depth])


def _stages(model: TrackerModel, parameters: Mapping[str, nn.Parameter]) -> dict[str, frozenset[str]]:
    names = {id(parameter): name for name, parameter in parameters.items()}
    return {
        f"backbone.{stage}": frozenset(names[id(parameter)] for parameter in module.parameters())
        for stage, module in model.backbone.stages().items()
    }
