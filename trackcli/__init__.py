"""trackcli: compose, train, run and evaluate single-object visual trackers from plugins.

``import trackcli`` stays light: the hook marker and the spec classes that plugin authors need are here; ``load`` and
``compose`` bring torch in when they are first used (PEP 562).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trackcli.host.data_specs import DatasetSpec, SinkSpec
from trackcli.host.hooks import hookimpl
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

if TYPE_CHECKING:
    from trackcli.tracking.tracker import compose, load

__version__ = "0.1.0"

__all__ = [
    "BackboneSpec",
    "DatasetSpec",
    "HeadSpec",
    "LossSpec",
    "MatcherSpec",
    "PostprocessorSpec",
    "PresetSpec",
    "SamplerSpec",
    "SinkSpec",
    "TrackerSpec",
    "compose",
    "hookimpl",
    "load",
]


def __getattr__(name: str) -> Any:
    if name in {"compose", "load"}:
        from trackcli.tracking import tracker

        return getattr(tracker, name)
    raise AttributeError(f"module 'trackcli' has no attribute {name!r}")
