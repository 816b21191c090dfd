"""Layouts for anybody's own data."""

from __future__ import annotations

from trackcli_cache.entry import DatasetEntry

GENERIC: tuple[DatasetEntry, ...] = (
    DatasetEntry(
        name="folder",
        summary="Plain folders of sequences, of stills with boxes, or of both",
        reader="trackcli_cache.folder:FolderDataset",
        sequences=True,
    ),
)
