"""Videos in which every object is boxed wherever it is seen: no box means out of view."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from trackcli_cache.datasets import AnnotatedObject, SourceImage


def with_absences(frames: Iterable[SourceImage]) -> Iterator[SourceImage]:
    """Add an absent object to each frame of one video for every object seen in an earlier frame but not in this one.

    Frames before an object's first appearance say nothing about it: what is to be tracked is not known there.
    Frames that end up without any object are left out.
    """
    seen: dict[int, str | None] = {}
    for frame in frames:
        here = {item.track_id for item in frame.objects}
        gone = tuple(
            AnnotatedObject((0.0, 0.0, 0.0, 0.0), track_id, category, absent=True)
            for track_id, category in seen.items()
            if track_id not in here
        )
        seen.update((item.track_id, item.category) for item in frame.objects if not item.absent)
        if frame.objects or gone:
            yield replace(frame, objects=frame.objects + gone)
