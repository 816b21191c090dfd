"""The hook specifications: what a plugin may provide.

A plugin is a torch-free module named by an entry point in group ``trackcli``::

    from trackcli import MatcherSpec, hookimpl

    @hookimpl
    def trackcli_matchers():
        yield MatcherSpec(
            name="my-matcher",
            summary="What it does, in one line",
            factory="my_package.matcher:MyMatcher",
            config="my_package.config:MyMatcherConfig",
        )
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from trackcli.host.data_specs import DatasetSpec, SinkSpec
    from trackcli.host.specs import (
        BackboneSpec,
        HeadSpec,
        LossSpec,
        MatcherSpec,
        PostprocessorSpec,
        PresetSpec,
        SamplerSpec,
        TrackerSpec,
    )

PROJECT = "trackcli"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class TrackcliHooks:
    """Every hook returns an iterable of specs; plugins implement those they need."""

    @hookspec
    def trackcli_backbones(self) -> Iterable[BackboneSpec]:
        """Backbones."""
        return ()

    @hookspec
    def trackcli_matchers(self) -> Iterable[MatcherSpec]:
        """Matchers."""
        return ()

    @hookspec
    def trackcli_heads(self) -> Iterable[HeadSpec]:
        """Heads."""
        return ()

    @hookspec
    def trackcli_losses(self) -> Iterable[LossSpec]:
        """Losses."""
        return ()

    @hookspec
    def trackcli_postprocessors(self) -> Iterable[PostprocessorSpec]:
        """Candidate links, selections and track links."""
        return ()

    @hookspec
    def trackcli_presets(self) -> Iterable[PresetSpec]:
        """Presets: recipes without weights."""
        return ()

    @hookspec
    def trackcli_trackers(self) -> Iterable[TrackerSpec]:
        """Trackers that ship with weights."""
        return ()

    @hookspec
    def trackcli_datasets(self) -> Iterable[DatasetSpec]:
        """Dataset layouts that can be read."""
        return ()

    @hookspec
    def trackcli_samplers(self) -> Iterable[SamplerSpec]:
        """Samplers, which draw the pairs of a training."""
        return ()

    @hookspec
    def trackcli_sinks(self) -> Iterable[SinkSpec]:
        """Writers of tracking results, chosen by a file's suffix."""
        return ()
