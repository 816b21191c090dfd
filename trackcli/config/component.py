"""Base classes of component configurations: settings, and what the component provides and needs. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat

from trackcli.contracts.shapes import HeadWidths, LevelShape, MatchShape


class ComponentConfig(BaseModel):
    """Settings of one component: frozen, unknown keys are errors, numbers are finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @classmethod
    def migrate(cls, settings: dict[str, Any], version: str) -> dict[str, Any]:
        """Bring settings from a tracker file into today's form; a component whose settings changed overrides this.

        Args:
            settings: What an older or newer version of the component's distribution wrote; unchecked, yours to change.
            version: That version, ``"0.1.0"``.

        Example:
            >>> if "width" in settings:  # until 0.2
            ...     settings["channels"] = settings.pop("width")
        """
        return settings


class Normalisation(ComponentConfig):
    """How pixels become the network's input; it belongs to the weights and travels with them.

    ``input = (pixel · scale - mean) / std``, channel by channel in ``channels`` order.
    """

    channels: str = Field(default="rgb", pattern="^(rgb|bgr)$", description="Channel order of the input")
    scale: float = Field(default=1 / 255, gt=0, description="Factor applied to pixels 0..255")
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[PositiveFloat, PositiveFloat, PositiveFloat] = (0.229, 0.224, 0.225)


class BackboneConfig(ComponentConfig):
    """A backbone declares its levels and the normalisation that its usual weights want."""

    def levels(self) -> dict[str, LevelShape]:
        """The levels it gives, shallow to deep."""
        raise TypeError(f"{type(self).__name__} must define levels()")

    def normalisation(self) -> Normalisation:
        """The input its usual weights were trained with."""
        return Normalisation()


class MatcherConfig(ComponentConfig):
    """A matcher declares which levels it uses and the responses it gives for them."""

    def resolve(self, widths: HeadWidths) -> Self:
        """Fill in what is ``auto`` from the head's needs."""
        return self

    def matches(self, levels: Mapping[str, LevelShape]) -> dict[str, MatchShape]:
        """The responses by level name.

        Raises:
            FitError: naming the level that is missing or does not fit, and what would.
        """
        raise TypeError(f"{type(self).__name__} must define matches()")

    def adjusted(self, levels: Mapping[str, LevelShape]) -> dict[str, LevelShape]:
        """The adjusted features that come with the responses, for losses that learn on them; none by default."""
        return {}


class HeadConfig(ComponentConfig):
    """A head declares the kind of predictions it makes and checks the responses it is given."""

    predicts: ClassVar[str]

    def widths(self) -> HeadWidths:
        """Output channels per cell."""
        raise TypeError(f"{type(self).__name__} must define widths()")

    def check(self, matches: Mapping[str, MatchShape], levels: Mapping[str, LevelShape]) -> None:
        """Accept or refuse the matcher's responses and, for heads that pool them, the backbone's levels.

        Raises:
            FitError: saying what the head needs.
        """


class LossConfig(ComponentConfig):
    """A loss declares the kinds of predictions it takes; an empty tuple means any."""

    takes: ClassVar[tuple[str, ...]] = ()
    weight: float = Field(default=1.0, ge=0, description="Factor on all terms of this loss")

    def check(self, adjusted: Mapping[str, LevelShape]) -> None:
        """Accept or refuse the matcher's adjusted features.

        Raises:
            FitError: saying what the loss needs.
        """

    def check_head(self, head: HeadConfig) -> None:
        """Accept or refuse the settings of a head whose predictions it takes.

        Raises:
            FitError: naming the settings that disagree.
        """


class PostprocessorConfig(ComponentConfig):
    """A candidate link, selection or track link."""

    def check(self, levels: Mapping[str, LevelShape], search_sizes: tuple[int, ...]) -> None:
        """Accept or refuse the backbone's levels and the search sizes.

        Raises:
            FitError: saying what the link needs.
        """
