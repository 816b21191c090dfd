"""One video whose frames have an indexed mask each: objects with boxes from the masks' extent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from trackcli_cache.datasets import AnnotatedObject, SourceImage
from trackcli_cache.errors import DatasetError
from trackcli_cache.natural import last_number
from trackcli_cache.readers.absences import with_absences
from trackcli_cache.readers.indexed_masks import label_boxes, read_labels
from trackcli_cache.readers.layout import files_with
from trackcli_cache.windows import BoxXyxy

THREADS = 4

FrameBoxes = tuple[tuple[int, BoxXyxy], ...]


class MaskBoxes:
    """Boxes of masks; every mask is decoded once, however often the dataset is walked through."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[FrameBoxes, ...]] = {}

    def of_video(self, masks: list[Path]) -> tuple[FrameBoxes, ...]:
        """Boxes by object number for each mask of one folder.

        Raises:
            DatasetError: if a mask cannot be read.
        """
        key = str(masks[0].parent) if masks else ""
        if key not in self._known:
            with ThreadPoolExecutor(THREADS) as pool:
                self._known[key] = tuple(pool.map(_frame_boxes, masks))
        return self._known[key]


def read_mask_video(
    masks: Path, images: Path, boxes: MaskBoxes, category_of: Callable[[int], str | None]
) -> Iterator[SourceImage]:
    """Yield the frames of one video that have a mask.

    Args:
        masks: Folder of ``00000.png`` …; the numbers are those of the video's frames.
        images: Folder of images with the same names and ``.jpg``.
        boxes: Where boxes are kept.
        category_of: What an object number is.

    Raises:
        DatasetError: if a mask cannot be read or has no number in its name.
    """
    paths = files_with(masks, ".png")
    frames = (
        SourceImage(
            images / f"{path.stem}.jpg", masks.name, _frame_number(path), tuple(_objects(path, found, category_of))
        )
        for path, found in zip(paths, boxes.of_video(paths), strict=True)
    )
    return with_absences(frames)


def _objects(mask: Path, found: FrameBoxes, category_of: Callable[[int], str | None]) -> Iterator[AnnotatedObject]:
    for number, box in found:
        yield AnnotatedObject(box, number, category_of(number), mask_path=mask, mask_label=number)


def _frame_boxes(mask: Path) -> FrameBoxes:
    return tuple(sorted(label_boxes(read_labels(mask)).items()))


def _frame_number(path: Path) -> int:
    number = last_number(path.stem)
    if number is None:
        raise DatasetError(f"{path} has no frame number in its name; expected a name such as 00000.png")
    return number
