"""What this distribution provides. Torch-free."""

from __future__ import annotations

from collections.abc import Iterable

from trackcli import HeadSpec, LossSpec, PresetSpec, hookimpl
from trackcli_spm.presets import SPM_TRACKER

PAPER = "Wang et al. 2019, SPM-Tracker: Series-Parallel Matching for Real-Time Visual Object Tracking"
HOME = "spm-tracker"


@hookimpl
def trackcli_heads() -> Iterable[HeadSpec]:
    """Both stages."""
    yield HeadSpec(
        name="series-parallel",
        summary="Two stages: any head proposes boxes, a relation network judges and refines them, both are fused",
        factory="trackcli_spm.head:SeriesParallelHead",
        config="trackcli_spm.config:SeriesParallelConfig",
        paper=PAPER,
        home_preset=HOME,
        default_losses=("series-parallel",),
        default_postprocessors=("cosine-window", "select", "smooth-size", "hold", "clip"),
    )


@hookimpl
def trackcli_losses() -> Iterable[LossSpec]:
    """Both stages' loss."""
    yield LossSpec(
        name="series-parallel",
        summary="Coarse stage: every object of the category counts; fine stage: only the target does",
        factory="trackcli_spm.loss:SeriesParallelLoss",
        config="trackcli_spm.config:SeriesParallelLossConfig",
        paper=PAPER,
        home_preset=HOME,
    )


@hookimpl
def trackcli_presets() -> Iterable[PresetSpec]:
    """The paper's recipe."""
    yield PresetSpec(
        name=HOME,
        summary="SPM-Tracker as published: padded AlexNet, region proposals, nine of them judged again",
        recipe=SPM_TRACKER,
        paper=PAPER,
    )
