"""What this distribution provides. Torch-free."""

from __future__ import annotations

from collections.abc import Iterable

from trackcli import HeadSpec, LossSpec, PresetSpec, hookimpl
from trackcli_hardneg.presets import HARD_NEGATIVE

PAPER = "Zhang and Zhang 2020, Hard Negative Samples Emphasis Tracker without Anchors"
HOME = "hard-negative"


@hookimpl
def trackcli_heads() -> Iterable[HeadSpec]:
    """The anchor-free head."""
    yield HeadSpec(
        name="fcos",
        summary="Anchor-free: score, centre-ness and distances per cell, levels added with learnt weights",
        factory="trackcli_hardneg.head:FcosHead",
        config="trackcli_hardneg.config:FcosConfig",
        paper=PAPER,
        home_preset=HOME,
        default_losses=("fcos",),
        default_postprocessors=("scale-penalty", "cosine-window", "select", "smooth-size", "clip"),
    )


@hookimpl
def trackcli_losses() -> Iterable[LossSpec]:
    """The head's loss, and the emphasis, which fits every head."""
    yield LossSpec(
        name="fcos",
        summary="Focal loss on scores, cross-entropy on centre-ness, IoU loss on boxes",
        factory="trackcli_hardneg.fcos_loss:FcosLoss",
        config="trackcli_hardneg.config:FcosLossConfig",
        paper=PAPER,
        home_preset=HOME,
    )
    yield LossSpec(
        name="hard-negative-emphasis",
        summary="Contrastive loss that moves hard negatives away from the exemplar; beside any other loss",
        factory="trackcli_hardneg.emphasis:HardNegativeEmphasis",
        config="trackcli_hardneg.config:EmphasisConfig",
        paper=PAPER,
        home_preset=HOME,
    )


@hookimpl
def trackcli_presets() -> Iterable[PresetSpec]:
    """The paper's recipe."""
    yield PresetSpec(
        name=HOME,
        summary="Hard negative emphasis as published: modified ResNet-50, three anchor-free levels",
        recipe=HARD_NEGATIVE,
        paper=PAPER,
    )
