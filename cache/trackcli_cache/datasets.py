"""What a dataset reader yields: images with the objects annotated in them, in a stable order, nothing decoded yet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from trackcli_cache.windows import BoxXyxy


@dataclass(frozen=True, eq=False)
class AnnotatedObject:
    """One object in one image.

    Attributes:
        box_xyxy: Float source pixels, half-open. Without meaning when ``absent``.
        track_id: Tells the objects of a sequence apart; the same object keeps it from frame to frame.
        category: The dataset's name for what it is, or ``None``.
        polygons: Outlines in source pixels, each ``(N, 2)`` float64 x, y; several when the object is in parts.
        mask_path: A mask image of the same size whose non-zero pixels are the object, read only when it is needed.
        absent: Not in view in this frame.
    """

    box_xyxy: BoxXyxy
    track_id: int
    category: str | None = None
    polygons: tuple[NDArray[np.float64], ...] = ()
    mask_path: Path | None = None
    absent: bool = False


@dataclass(frozen=True, eq=False)
class SourceImage:
    """One image of a dataset, not decoded.

    Attributes:
        path: The image file, under the reader's root.
        sequence: Name of the video, or of the collection a still belongs to.
        frame_number: Place in the sequence; larger is later. Differences are in frames of the original video.
        objects: Everything that is annotated, absent objects included.
        still: The sequence is a collection of unrelated images and not a video.
    """

    path: Path
    sequence: str
    frame_number: int
    objects: tuple[AnnotatedObject, ...]
    still: bool = False


class DatasetReader(Protocol):
    """Reads one layout of dataset. Cheap: it parses annotations and leaves images alone.

    ``images()`` may be called several times and yields the same images in the same order each time; all images of
    a sequence follow one another.
    """

    @property
    def name(self) -> str:
        """Name of the layout, as on the command line."""
        ...

    @property
    def root(self) -> Path:
        """Folder that all paths lie under."""
        ...

    def images(self) -> Iterator[SourceImage]:
        """All annotated images, in a stable order.

        Raises:
            DatasetError: if an annotation cannot be read; the message names file and line.
        """
        ...
