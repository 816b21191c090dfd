"""Detection and segmentation datasets, of stills and of videos with many objects."""

from __future__ import annotations

from trackcli_cache.entry import DatasetEntry

DETECTION: tuple[DatasetEntry, ...] = ()
