"""A recipe: which components with which settings, on which crops, trained how. The form of every configuration file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from trackcli.config.component import ComponentConfig, Normalisation
from trackcli.config.sampling import DEFAULT_SAMPLER
from trackcli.config.training import TrainConfig


class Part(BaseModel):
    """One component of a recipe: its name, and settings that its own configuration class checks."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str

    @property
    def settings(self) -> dict[str, Any]:
        """Everything but the name."""
        return dict(self.model_extra or {})


class CropConfig(ComponentConfig):
    """Template and search crops: both show the world at one scale.

    The square that holds a target w × h with its context, ``sqrt((w + p)(h + p))`` with ``p = context · (w + h)``,
    becomes ``context_size`` pixels in both crops; unless it is given, that is the template's size.
    """

    template_size: int = Field(default=127, ge=16, le=1024, description="Side of the template crop in pixels")
    search_size: int = Field(default=255, ge=32, le=2048, description="Side of the search crop in pixels")
    larger_search_sizes: tuple[Annotated[int, Field(ge=32, le=4096)], ...] = Field(
        default=(), description="Further sizes at the same scale, which track links may ask for (a wider search)"
    )
    context: float = Field(default=0.5, ge=0, le=4, description="Context around the target (SiamFC: 0.5)")

    context_size: float | None = Field(
        default=None, gt=0, description="Pixels of the target's context square in the crops; default: template_size"
    )

    @property
    def pixels_of_context(self) -> float:
        """The side of the context square in crop pixels: the scale of both crops."""
        return float(self.context_size or self.template_size)

    @property
    def search_sizes(self) -> tuple[int, ...]:
        """The finite set that ``Selection.shape_index`` points into."""
        return (self.search_size, *self.larger_search_sizes)


class Recipe(BaseModel):
    """A whole composition. Component settings are checked by the components' own configuration classes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    preset: str | None = Field(default=None, description="The preset this recipe started from")
    backbone: Part
    matcher: Part
    head: Part
    loss: tuple[Part, ...] = ()
    postprocessor: tuple[Part, ...] = ()
    crop: CropConfig = CropConfig()
    normalisation: Normalisation | None = Field(default=None, description="Default: what the backbone's weights want")
    sampler: Part = Part(name=DEFAULT_SAMPLER)
    train: TrainConfig = TrainConfig()

    @field_validator("sampler", mode="before")
    @classmethod
    def _name_sampler(cls, sampler: Any) -> Any:
        """Recipes need not name the usual sampler; those from before there were others do not."""
        return {"name": DEFAULT_SAMPLER, **sampler} if isinstance(sampler, Mapping) else sampler
