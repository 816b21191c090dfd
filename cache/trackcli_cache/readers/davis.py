"""DAVIS 2017: videos in which several objects have a mask in every frame.

Boxes are the masks' extent. An object whose mask has no pixel in a frame after it was seen is absent. Objects have
numbers, no categories; number 255 is void. Several objects may be one thing (a rider and a horse are two).

Source: Pont-Tuset et al., The 2017 DAVIS Challenge on Video Object Segmentation, arXiv 1704.00675; the layout is
that of ``DAVIS-2017-trainval-480p.zip``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from trackcli_cache.datasets import SourceImage
from trackcli_cache.errors import DatasetError
from trackcli_cache.readers.layout import inner_path, open_root, read_lines, require_folders, wrong_root
from trackcli_cache.readers.mask_video import MaskBoxes, read_mask_video
from trackcli_cache.readers.trees import DAVIS

RESOLUTION = "480p"


class Davis:
    """Reads one split of 2017.

    Args:
        root: The folder that holds ``JPEGImages/``, ``Annotations/`` and ``ImageSets/``.
        split: ``train`` or ``val``.

    Raises:
        DatasetError: if these, or a sequence of the split, are not there.
    """

    def __init__(self, root: Path, split: str | None = None) -> None:
        self._root = open_root(root, DAVIS, ("DAVIS",))
        require_folders(self._root, (f"JPEGImages/{RESOLUTION}", f"Annotations/{RESOLUTION}"), DAVIS)
        listing = self._root / "ImageSets" / "2017" / f"{split or 'train'}.txt"
        if not listing.is_file():
            raise wrong_root(f"ImageSets/2017/{listing.name}", self._root, DAVIS)
        self._masks = [
            inner_path(self._root / "Annotations" / RESOLUTION, name, f"{listing}, line {number}")
            for number, name in enumerate(read_lines(listing), start=1)
        ]
        for folder in self._masks:
            if not folder.is_dir():
                raise DatasetError(f"{listing} names {folder.name}, but there is no {folder}; unpack the dataset again")
        self._boxes = MaskBoxes()

    @property
    def name(self) -> str:
        """``davis``."""
        return "davis"

    @property
    def root(self) -> Path:
        """The folder that holds ``JPEGImages/``, absolute."""
        return self._root

    def images(self) -> Iterator[SourceImage]:
        """All frames with objects, in the order of the split's list."""
        for masks in self._masks:
            images = self._root / "JPEGImages" / RESOLUTION / masks.name
            yield from read_mask_video(masks, images, self._boxes, lambda _: None)
