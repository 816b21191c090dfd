"""What this distribution provides. Torch-free."""

from __future__ import annotations

from collections.abc import Iterable

from trackcli import HeadSpec, LossSpec, MatcherSpec, PostprocessorSpec, PresetSpec, hookimpl
from trackcli_ibfp.presets import IBFP, IBFP_SMALL

PAPER = "Pi et al. 2021, Instance-based Feature Pyramid for Visual Object Tracking"
HOME = "ibfp"


@hookimpl
def trackcli_matchers() -> Iterable[MatcherSpec]:
    """The pyramid."""
    yield MatcherSpec(
        name="ibu-pyramid",
        summary="Instance-based upsampling: deep levels guide shallow ones, channels selected by the search region",
        factory="trackcli_ibfp.pyramid:IbuPyramid",
        config="trackcli_ibfp.config:IbuPyramidConfig",
        paper=PAPER,
        home_preset=HOME,
    )


@hookimpl
def trackcli_heads() -> Iterable[HeadSpec]:
    """The centre head."""
    yield HeadSpec(
        name="center",
        summary="Anchor-free: a centre map, and distances to the box's sides",
        factory="trackcli_ibfp.head:CenterHead",
        config="trackcli_ibfp.config:CenterConfig",
        paper=PAPER,
        home_preset=HOME,
        default_losses=("focal-hinge",),
        default_postprocessors=("scale-penalty", "cosine-window", "select", "smooth-size", "clip"),
    )


@hookimpl
def trackcli_losses() -> Iterable[LossSpec]:
    """The head's loss."""
    yield LossSpec(
        name="focal-hinge",
        summary="Focal hinge loss of the centre map against a Gaussian, L1 on boxes of points near the centre",
        factory="trackcli_ibfp.focal_hinge:FocalHingeLoss",
        config="trackcli_ibfp.config:FocalHingeConfig",
        paper=PAPER,
        home_preset=HOME,
    )


@hookimpl
def trackcli_postprocessors() -> Iterable[PostprocessorSpec]:
    """What is learnt while tracking; for any head."""
    yield PostprocessorSpec(
        name="online-update",
        summary="A classifier per target that learns while tracking, mixed into the score of any head",
        factory="trackcli_ibfp.online_update:OnlineUpdate",
        config="trackcli_ibfp.config_online:OnlineUpdateConfig",
        paper="Pi et al. 2021 (IBFP), section III.E; Danelljan et al. 2019 (ATOM), section 3.3",
        home_preset=HOME,
        stage="candidates",
    )
    yield PostprocessorSpec(
        name="template-tuning",
        summary="Fit the matcher's kernel to the first frame by a few gradient steps",
        factory="trackcli_ibfp.template_tuning:TemplateTuning",
        config="trackcli_ibfp.config_online:TemplateTuningConfig",
        paper=PAPER,
        home_preset=HOME,
        stage="candidates",
    )


@hookimpl
def trackcli_presets() -> Iterable[PresetSpec]:
    """The paper's recipe, and a small one."""
    yield PresetSpec(
        name=HOME,
        summary="IBFP as published: ResNet-18 to stride 32, two IBU modules, centre head, online updating",
        recipe=IBFP,
        paper=PAPER,
    )
    yield PresetSpec(
        name="ibfp-small",
        summary="IBFP for a CPU: one IBU module from stride 16 to 8, a narrower head, fast online updating",
        recipe=IBFP_SMALL,
        paper=PAPER,
    )
