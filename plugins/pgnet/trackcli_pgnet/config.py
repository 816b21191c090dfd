"""Settings of the plugin's components. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, cast

from pydantic import BeforeValidator, Field, ValidationError

from trackcli.builtin.config import CorrelationConfig
from trackcli.composition.plan import explain
from trackcli.config.component import LossConfig, PostprocessorConfig
from trackcli.config.recipe import Part
from trackcli.contracts.shapes import LevelShape
from trackcli.errors import ConfigError, FitError
from trackcli.host.registry import installed
from trackcli.host.specs import LossSpec
from trackcli_pgnet.forms import Form


class PgCorrConfig(CorrelationConfig):
    """Pixel-to-global correlation: adjust (1×1), crop the template's centre, PG-corr, join with the search (1×1).

    Source: Liao et al. 2020 (PG-Net), sections 3.2 and 3.3.
    """

    shared: bool = Field(default=True, description="One correlation for classification and regression (section 3.3)")
    form: Form | Literal["auto"] = Field(
        default="auto",
        description="How the sum is worked out, with the same result; auto: as costs least in training, or in tracking",
    )
    similarity: Literal["mean", "sum"] = Field(
        default="mean",
        description="Mean over the template's cells, which begins as large as the search features beside it, or the "
        "sum that equation 4 prints",
    )


DEFAULT_EACH = "rpn"


class EachLoss(Part):
    """The loss that is applied to every output, with its settings beside its name."""

    name: str = Field(default=DEFAULT_EACH, description="A loss that takes the head's output; its settings beside it")


def _whole_part(value: Any) -> EachLoss:
    """A loss by name with every setting written out, as tracker files want it; a bare name will do."""
    if isinstance(value, str):
        value = {"name": value}
    if not isinstance(value, Part | Mapping):
        raise ConfigError(f"loss.multi-loss.each = {value!r} does not fit; expected the name of a loss, e.g. rpn")
    settings = value.model_dump() if isinstance(value, Part) else dict(value)
    name = settings.pop("name", DEFAULT_EACH)
    if not isinstance(name, str):
        raise ConfigError(f"loss.multi-loss.each.name = {name!r} does not fit; expected the name of a loss, e.g. rpn")
    return EachLoss(name=name, **_inner_config(name, settings).model_dump(mode="json"))


def _inner_config(name: str, settings: Mapping[str, Any]) -> LossConfig:
    if name.rpartition(":")[2] == "multi-loss":
        raise ConfigError("loss.multi-loss.each.name = 'multi-loss' does not fit; expected another loss, e.g. rpn")
    config_class = installed().find(LossSpec, name).load_config_class()
    try:
        return cast(LossConfig, config_class(**settings))
    except ValidationError as error:
        raise ConfigError(explain(error, prefix="loss.multi-loss.each", model=config_class)) from error


class _TakesWhatEachTakes:
    """The kinds of predictions: of a configuration those that its loss takes, of the class those of the default."""

    def __get__(self, config: MultiLossConfig | None, owner: type[MultiLossConfig]) -> tuple[str, ...]:
        if config is None:
            return cast(tuple[str, ...], installed().find(LossSpec, DEFAULT_EACH).load_config_class().takes)
        return config.inner().takes


class MultiLossConfig(LossConfig):
    """One loss on the fused output and on each stage, all added up.

    Source: Liao et al. 2020 (PG-Net), section 3.4, equations 5, 6 and 9.
    """

    takes: ClassVar[tuple[str, ...]] = cast(tuple[str, ...], _TakesWhatEachTakes())
    each: Annotated[EachLoss, BeforeValidator(_whole_part)] = Field(
        default_factory=lambda: _whole_part({}),
        description="The loss and its settings: each.name = 'rpn', each.box_weight = 1.2 (λ), …",
    )
    fused: bool = Field(default=True, description="Whether the fused output has a loss (equation 6)")

    def inner(self) -> LossConfig:
        """The checked configuration of the loss that is applied."""
        return _inner_config(self.each.name, self.each.settings)

    def check(self, adjusted: Mapping[str, LevelShape]) -> None:
        """As the loss that is applied."""
        self.inner().check(adjusted)


class LongTermConfig(PostprocessorConfig):
    """Search a larger region, at the same scale, from when the score falls until it is high again.

    Source: Li et al. 2019 (SiamRPN++), the long-term variant of its public code: 255 pixels become 831.
    """

    lost_below: float = Field(default=0.8, ge=0, le=1, description="Lost from this score down; the last box is held")
    found_above: float = Field(default=0.998, ge=0, le=1, description="A lost target is found from this score up")
    sizes: int = Field(default=1, ge=1, le=8, description="How many of crop.larger_search_sizes are used, in order")
    frames_per_size: int = Field(
        default=1, ge=1, description="Lost frames after which the next larger size is taken, if there are several"
    )

    def check(self, levels: Mapping[str, LevelShape], search_sizes: tuple[int, ...]) -> None:
        """The larger sizes must be there, and the thresholds in order."""
        if self.found_above < self.lost_below:
            raise FitError(
                f"long-term.found_above {self.found_above:g} is below lost_below {self.lost_below:g}; a target would "
                "be lost and found at once: use --set postprocessor.long-term.found_above=…"
            )
        if len(search_sizes) <= self.sizes:
            given = ", ".join(str(size) for size in search_sizes[1:]) or "none"
            raise FitError(
                f"postprocessor 'long-term' uses {self.sizes} larger search size{'s' * (self.sizes > 1)}, but "
                f"crop.larger_search_sizes gives {given}; use --set crop.larger_search_sizes='[831]'"
            )
