"""All objects of several caches, as flat arrays: what samplers draw from. A million records take some tens of MB."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trackcli_cache.datasets import Mark
from trackcli_cache.reader import CropCache

HIDDEN = Mark.FULLY_OCCLUDED | Mark.OUT_OF_VIEW | Mark.IGNORED
"""Marks of targets that cannot be learnt from."""


@dataclass(frozen=True, eq=False)
class ObjectTable:
    """O objects with their R records; an object's records are in order of their frames.

    Attributes:
        caches: ``(O,)`` index of the cache.
        starts: ``(O + 1,)`` object ``i`` owns the records ``starts[i]`` to ``starts[i + 1] - 1`` of the next three.
        records: ``(R,)`` index of the record in its cache.
        frames: ``(R,)`` its frame number.
        sizes: ``(R,)`` the target's sqrt(w·h) in source pixels.
        outlined: ``(R,)`` bool, whether the target's outline is known.
        categories: ``(O,)`` index into ``names``, -1 where there is none.
        names: Categories of all caches.
        scenes: ``(O,)`` number of the video, or of the still image; objects of one scene may see each other.
    """

    caches: NDArray[np.int32]
    starts: NDArray[np.int64]
    records: NDArray[np.int64]
    frames: NDArray[np.int64]
    sizes: NDArray[np.float64]
    outlined: NDArray[np.bool_]
    categories: NDArray[np.int32]
    names: tuple[str, ...]
    scenes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.caches)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """``(O,)`` number of records of each object."""
        return np.diff(self.starts)


def list_objects(caches: Sequence[CropCache], *, min_size: float) -> ObjectTable:
    """Collect the objects of several caches.

    Args:
        caches: The caches; an index into this sequence is what ``ObjectTable.caches`` holds.
        min_size: Records of targets smaller than this, sqrt(w·h) in source pixels, are left out, as are hidden ones.
    """
    names = {name: number for number, name in enumerate(sorted({name for each in caches for name in each.categories}))}
    tables = [_of_cache(index, cache, names, min_size) for index, cache in enumerate(caches)]
    scene_counts = np.cumsum([0, *(int(table.scenes.max(initial=-1)) + 1 for table in tables)])
    return ObjectTable(
        caches=np.concatenate([table.caches for table in tables]),
        starts=np.concatenate([[0], np.cumsum(np.concatenate([table.lengths for table in tables]))]),
        records=np.concatenate([table.records for table in tables]),
        frames=np.concatenate([table.frames for table in tables]),
        sizes=np.concatenate([table.sizes for table in tables]),
        outlined=np.concatenate([table.outlined for table in tables]),
        categories=np.concatenate([table.categories for table in tables]),
        names=tuple(names),
        scenes=np.concatenate([table.scenes + first for table, first in zip(tables, scene_counts, strict=False)]),
    )


def _of_cache(index: int, cache: CropCache, names: Mapping[str, int], min_size: float) -> ObjectTable:
    sizes = np.sqrt(cache.target_sizes.prod(axis=1))
    large = np.flatnonzero((sizes >= min_size) & ((cache.columns.marks & HIDDEN) == 0))
    still = np.array([entry.still for entry in cache.sequences], bool)[cache.sequence_ids[large]]
    # A still's objects are all different, whatever their track ids; a video's are told apart by them.
    track = np.where(still, large, cache.track_ids[large])
    order = np.lexsort((cache.frame_numbers[large], track, cache.sequence_ids[large]))
    records, track, still = large[order], track[order], still[order]
    sequence, frames = cache.sequence_ids[records], cache.frame_numbers[records]
    first = np.flatnonzero(_changes(sequence, track))
    scene_frames = np.where(still, frames, 0)[first]
    to_global = np.array([*(names[name] for name in cache.categories), -1], np.int32)
    _, scenes = np.unique(np.stack((sequence[first], scene_frames), axis=1), axis=0, return_inverse=True)
    return ObjectTable(
        caches=np.full(len(first), index, np.int32),
        starts=np.append(first, len(records)).astype(np.int64),
        records=records.astype(np.int64),
        frames=frames,
        sizes=sizes[records],
        outlined=np.asarray(cache.has_polygon)[records],
        categories=to_global[cache.category_ids[records[first]]],  # -1 picks the last, -1
        names=tuple(names),
        scenes=scenes.reshape(-1).astype(np.int64),
    )


def _changes(*columns: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
    """Rows that differ from the one before; the first does."""
    changed = np.zeros(len(columns[0]), bool)
    changed[:1] = True
    for column in columns:
        changed[1:] |= column[1:] != column[:-1]
    return changed
