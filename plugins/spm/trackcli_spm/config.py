"""Settings of the head and the loss. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, cast

from pydantic import BeforeValidator, Field, ValidationError

from trackcli.composition.plan import explain
from trackcli.config.component import HeadConfig, LossConfig
from trackcli.config.recipe import Part
from trackcli.contracts.shapes import HeadWidths, LevelShape, MatchShape
from trackcli.errors import ConfigError, FitError
from trackcli.host.registry import installed
from trackcli.host.specs import HeadSpec, LossSpec

KIND = "series-parallel"
DEFAULT_COARSE = "rpn"

ANCHORS = "anchors"
"""What coarse heads predict whose terms equation 1 weighs."""


class CoarseHead(Part):
    """The head of the coarse stage, with its settings beside its name."""

    name: str = Field(default=DEFAULT_COARSE, description="A head that proposes boxes; its settings beside it")

    def config(self) -> HeadConfig:
        """Its checked configuration."""
        return cast(HeadConfig, _inner_config(HeadSpec, self.name, self.settings, "head.coarse"))


class CoarseLoss(Part):
    """A loss of the coarse stage, with its settings beside its name."""

    def config(self) -> LossConfig:
        """Its checked configuration."""
        return cast(LossConfig, _inner_config(LossSpec, self.name, self.settings, "loss.series-parallel.coarse"))


def _coarse_head(value: Any) -> CoarseHead:
    """A head by name with every setting written out, as tracker files want it; a bare name will do."""
    name, settings = _named(value, "head.coarse", DEFAULT_COARSE)
    return CoarseHead(name=name, **CoarseHead(name=name, **settings).config().model_dump(mode="json"))


def _coarse_loss(value: Any) -> CoarseLoss | None:
    if value is None:
        return None
    name, settings = _named(value, "loss.series-parallel.coarse", "")
    return CoarseLoss(name=name, **CoarseLoss(name=name, **settings).config().model_dump(mode="json"))


def _named(value: Any, key: str, default: str) -> tuple[str, dict[str, Any]]:
    """Name and settings of a part that is given as a name, a section or a part."""
    if isinstance(value, str):
        value = {"name": value}
    if not isinstance(value, Part | Mapping):
        raise ConfigError(f"{key} = {value!r} does not fit; expected a name, or a section with a name")
    settings = value.model_dump() if isinstance(value, Part) else dict(value)
    name = settings.pop("name", default)
    if not isinstance(name, str) or not name:
        raise ConfigError(f"{key}.name = {name!r} does not fit; expected a name")
    if name.rpartition(":")[2] == KIND:
        raise ConfigError(f"{key} = {name!r} does not fit; expected another one: a stage is not made of two stages")
    return name, settings


def _inner_config(
    kind: type[HeadSpec] | type[LossSpec], name: str, settings: Mapping[str, Any], key: str
) -> HeadConfig | LossConfig:
    config_class = installed().find(kind, name).load_config_class()
    try:
        return cast("HeadConfig | LossConfig", config_class(**settings))
    except ValidationError as error:
        message = explain(error, prefix=key, model=config_class)
        if error.errors()[0]["type"] == "extra_forbidden":
            # Most likely left over from the part that another one takes the place of.
            message += f" (settings of {name!r}; to choose another, replace the whole: --set {key}=NAME)"
        raise ConfigError(message) from error


class SeriesParallelConfig(HeadConfig):
    """A coarse stage proposes boxes, a fine stage scores and refines them, the results of both are fused.

    Settings that begin with ``train_`` say which boxes train the fine stage.

    Source: Wang et al. 2019 (SPM-Tracker), sections 3.3, 4.1, 4.2 and 4.3.
    """

    predicts: ClassVar[str] = KIND
    coarse: Annotated[CoarseHead, BeforeValidator(_coarse_head)] = Field(
        default_factory=lambda: _coarse_head({}),
        description="The coarse stage: any head that scores boxes, fcos, or coarse.name = 'rpn' with its settings",
    )
    structure: Literal["series-parallel", "series", "coarse"] = Field(
        default="series-parallel",
        description="What is the result: both stages fused (equation 2), the fine stage's alone, or no fine stage",
    )
    levels: tuple[str, ...] = Field(
        default=(),
        max_length=8,
        description="Backbone levels that the fine stage pools and joins; none named: the shallowest and the deepest",
    )
    roi_size: int = Field(default=6, ge=1, le=15, description="Cells per side of a pooled region")
    fine: Literal["relation", "cross-correlation"] = Field(
        default="relation", description="How a region is compared with the template: learnt, or by correlation"
    )
    relation_kernel: Literal[1, 3] = Field(
        default=1, description="Side of the relation network's convolution: 1 (paper) or 3 (its public code)"
    )
    hidden: int = Field(default=256, ge=1, le=4096, description="Width of the fine stage's layers")
    correlation_scale: float = Field(
        default=1e-3, gt=0, description="Factor on the fine correlation, which sums over thousands of products"
    )
    delta_scales: tuple[float, float, float, float] = Field(
        default=(5.0, 5.0, 10.0, 10.0),
        description="The fine stage learns x, y, width and height of its refinement times this (its public code's)",
    )
    proposals: int = Field(default=9, ge=1, le=256, description="K: boxes that the fine stage judges")
    lowest_share: float = Field(
        default=0.1, ge=0, lt=1, description="Boxes that score under this share of the best one are dropped"
    )
    nms_iou: float = Field(default=0.5, gt=0, le=1, description="Boxes that overlap a better one more are dropped")
    last_box: Literal["overlap", "score", "none"] = Field(
        default="overlap",
        description="One of the K is what fits the last box: the largest overlap (paper), the best score among "
        "overlaps over 0.8 (its public code), or no such place. With K = 1 there is none",
    )
    score_weight: float = Field(default=0.5, ge=0, le=1, description="W_cls: share of the fine score (equation 2)")
    box_weight: float = Field(default=3.0, gt=0, description="W_box: weight of the fine box (equation 2)")
    train_rois: int = Field(default=48, ge=2, le=512, description="Boxes per pair: half positive, half negative")
    train_proposals: int = Field(default=256, ge=1, le=2048, description="Coarse boxes that they are chosen from")
    train_nms_iou: float = Field(default=0.75, gt=0, le=1, description="NMS before the choice")
    train_iou: float = Field(
        default=0.5, gt=0, lt=1, description="Boxes above this IoU with the target are positive, under it negative"
    )
    train_fill: Literal["shifted", "truth", "none"] = Field(
        default="shifted",
        description="What fills positive places that the coarse stage leaves empty: shifted true boxes too, the true "
        "box alone, or nothing",
    )

    def widths(self) -> HeadWidths:
        """The coarse head's."""
        return self.coarse.config().widths()

    def check(self, matches: Mapping[str, MatchShape], levels: Mapping[str, LevelShape]) -> None:
        """The coarse head takes the responses, and the levels to pool are there."""
        self.coarse.config().check(matches, levels)
        self.chosen(levels)

    def chosen(self, levels: Mapping[str, LevelShape]) -> tuple[str, ...]:
        """The backbone levels that the fine stage pools, shallow to deep.

        Raises:
            FitError: if the backbone lacks one.
        """
        missing = [name for name in self.levels if name not in levels]
        if missing:
            raise FitError(
                f"head.levels names {missing[0]!r}, which the backbone does not give; it gives: {', '.join(levels)}"
            )
        names = tuple(levels)
        return self.levels or tuple(dict.fromkeys((names[0], names[-1])))


class SeriesParallelLossConfig(LossConfig):
    """``λ₁ L_cm_cls + λ₂ L_cm_b + λ₃ L_fm_cls + λ₄ L_fm_b``: cross-entropy and smooth L1 in both stages.

    Source: Wang et al. 2019 (SPM-Tracker), sections 3.2 and 4.2, equation 1.
    """

    takes: ClassVar[tuple[str, ...]] = (KIND,)
    generalised: bool = Field(
        default=True, description="Whether the coarse stage shall find every object of the target's category"
    )
    positive_iou: float = Field(default=0.6, gt=0, lt=1, description="Coarse: anchors from this IoU on are positive")
    negative_iou: float = Field(
        default=0.3, gt=0, lt=1, description="Coarse: anchors under this IoU are negative; between, ignored"
    )
    positives: int = Field(default=16, ge=1, description="Coarse: most positive anchors per pair")
    anchors: int = Field(default=64, ge=2, description="Coarse: most anchors per pair")
    coarse_score_weight: float = Field(default=1.0, ge=0, description="λ₁; another coarse loss has weights of its own")
    coarse_box_weight: float = Field(default=2.0, ge=0, description="λ₂; another coarse loss has weights of its own")
    fine_score_weight: float = Field(default=1.0, ge=0, description="λ₃")
    fine_box_weight: float = Field(default=1.0, ge=0, description="λ₄")
    coarse: Annotated[CoarseLoss | None, BeforeValidator(_coarse_loss)] = Field(
        default=None,
        description="Another loss for the coarse stage, with its settings beside its name; unset: the one above for "
        "anchors, for another coarse head that head's own",
    )

    def check_head(self, head: HeadConfig) -> None:
        """Refuse λ₁ and λ₂ that would weigh nothing: equation 1 has them for the terms of anchors.

        Raises:
            FitError: naming the weights of the coarse stage's loss.
        """
        other = self._other_coarse(head)
        for name in ("coarse_score_weight", "coarse_box_weight"):
            value, usual = getattr(self, name), type(self).model_fields[name].default
            if other and value != usual:
                weights = _weights_of(other)
                raise FitError(
                    f"loss.series-parallel.{name} = {value:g} weighs a term of the loss for anchors, but the coarse "
                    f"stage has loss {other!r}; leave it at {usual:g} and set a weight of that loss "
                    f"({', '.join(weights)}): "
                    f"--set 'loss.series-parallel.coarse={{name = \"{other}\", {weights[-1]} = …}}'"
                )

    def _other_coarse(self, head: HeadConfig) -> str:
        """Name of the loss that the coarse stage has in place of that for anchors; empty: none."""
        if self.coarse is not None:
            return self.coarse.name
        if not isinstance(head, SeriesParallelConfig) or head.coarse.config().predicts == ANCHORS:
            return ""
        return default_coarse_loss(head.coarse.name)


def default_coarse_loss(head: str) -> str:
    """Name of the first default loss of a coarse head.

    Raises:
        FitError: for a head that has none.
    """
    registry = installed()
    entry = registry.find_provided(HeadSpec, head)
    assert isinstance(entry.spec, HeadSpec)
    if not entry.spec.default_losses:
        raise FitError(
            f"head {head!r} names no loss of its own; expected one for the coarse stage, e.g. "
            "--set loss.series-parallel.coarse=point"
        )
    return registry.own_name(LossSpec, entry.spec.default_losses[0], entry.distribution)


def _weights_of(loss: str) -> list[str]:
    """The settings of a loss that weigh its terms."""
    fields = installed().find(LossSpec, loss).load_config_class().model_fields
    return [name for name in fields if name.endswith("weight")]
