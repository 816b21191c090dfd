"""The tracker that is meant where nobody names one."""

from __future__ import annotations

from pathlib import Path

from trackcli.host.registry import Registry, installed
from trackcli.host.selection import CORE
from trackcli.host.specs import TrackerSpec

DEFAULT_TRACKER = "default"
"""Name of the tracker that comes with trackcli."""


def default_tracker(registry: Registry | None = None) -> str:
    """What ``--tracker`` means unless it is given: trackcli's own, also if a plugin, file or folder has its name.

    Args:
        registry: Where to look; everything installed if None.
    """
    known = installed() if registry is None else registry
    name = known.own_name(TrackerSpec, DEFAULT_TRACKER, CORE)
    return f"{CORE}:{DEFAULT_TRACKER}" if Path(name).exists() else name
