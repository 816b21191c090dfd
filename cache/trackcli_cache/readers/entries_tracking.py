"""Tracking datasets: videos with one target each."""

from __future__ import annotations

from trackcli_cache.entry import DatasetEntry

TRACKING: tuple[DatasetEntry, ...] = ()
