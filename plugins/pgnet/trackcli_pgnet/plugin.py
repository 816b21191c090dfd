"""What this distribution provides. Torch-free."""

from __future__ import annotations

from collections.abc import Iterable

from trackcli import LossSpec, MatcherSpec, PostprocessorSpec, PresetSpec, hookimpl
from trackcli_pgnet.presets import PG_NET, PG_NET_LONG_TERM

PAPER = "Liao et al. 2020, PG-Net: Pixel to Global Matching Network for Visual Tracking"
HOME = "pg-net"


@hookimpl
def trackcli_matchers() -> Iterable[MatcherSpec]:
    """Pixel to global matching."""
    yield MatcherSpec(
        name="pg-corr",
        summary="Pixel-to-global correlation: each search pixel against the whole template",
        factory="trackcli_pgnet.pg_corr:PixelToGlobalMatcher",
        config="trackcli_pgnet.config:PgCorrConfig",
        paper=PAPER,
        home_preset=HOME,
    )


@hookimpl
def trackcli_losses() -> Iterable[LossSpec]:
    """A loss on every stage."""
    yield LossSpec(
        name="multi-loss",
        summary="Another loss, rpn unless told otherwise, on the fused output and on every stage",
        factory="trackcli_pgnet.multi_loss:MultiLoss",
        config="trackcli_pgnet.config:MultiLossConfig",
        paper=PAPER,
        home_preset=HOME,
    )


@hookimpl
def trackcli_postprocessors() -> Iterable[PostprocessorSpec]:
    """Searching wider for what was lost."""
    yield PostprocessorSpec(
        name="long-term",
        summary="Search a larger region, at the same scale, while the target is lost",
        factory="trackcli_pgnet.long_term:LongTerm",
        config="trackcli_pgnet.config:LongTermConfig",
        paper="Li et al. 2019, SiamRPN++, public code of its long-term variant; reported by PG-Net on VOT2018-LT",
        home_preset="pg-net-long-term",
        stage="track",
    )


@hookimpl
def trackcli_presets() -> Iterable[PresetSpec]:
    """The paper's recipes."""
    yield PresetSpec(
        name=HOME,
        summary="PG-Net as published: modified ResNet-50, pixel-to-global correlation, a loss per stage",
        recipe=PG_NET,
        paper=PAPER,
    )
    yield PresetSpec(
        name="pg-net-long-term",
        summary="PG-Net for sequences in which the target disappears: a wider search after a loss",
        recipe=PG_NET_LONG_TERM,
        paper=PAPER,
    )
