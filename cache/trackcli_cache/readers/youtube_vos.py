"""YouTube-VOS (2018 and 2019 have one layout): videos in which every fifth frame has masks of a few objects.

Boxes are the masks' extent; categories come from ``meta.json``. An object may be in view before its first mask,
which says nothing about earlier frames; without a mask in a later annotated frame it is absent. Frame numbers are
the file names', so annotated frames are five apart. Only ``train`` is public with masks of whole videos; ``valid``
has first frames only and is not read.

Source: Xu et al., YouTube-VOS: A Large-Scale Video Object Segmentation Benchmark, arXiv 1809.03327.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from trackcli_cache.datasets import SourceImage
from trackcli_cache.errors import DatasetError
from trackcli_cache.readers.layout import open_root, read_json_object, require_folders, sub_folders, wrong_root
from trackcli_cache.readers.mask_video import MaskBoxes, read_mask_video
from trackcli_cache.readers.trees import YOUTUBE_VOS


class YouTubeVos:
    """Reads the training videos.

    Args:
        root: The folder that holds ``train/``.
        split: ``train``.

    Raises:
        DatasetError: if it is not there or incomplete.
    """

    def __init__(self, root: Path, split: str | None = None) -> None:
        split = split or "train"
        self._root = open_root(root, YOUTUBE_VOS)
        require_folders(self._root, (f"{split}/JPEGImages", f"{split}/Annotations"), YOUTUBE_VOS)
        self._base = self._root / split
        if not (self._base / "meta.json").is_file():
            raise wrong_root("meta.json", self._base, YOUTUBE_VOS)
        self._boxes = MaskBoxes()

    @property
    def name(self) -> str:
        """``youtube-vos``."""
        return "youtube-vos"

    @property
    def root(self) -> Path:
        """The folder that holds ``train/``, absolute."""
        return self._root

    @cached_property
    def _categories(self) -> Mapping[str, Mapping[int, str]]:
        """Categories by object number by video."""
        path = self._base / "meta.json"
        videos = read_json_object(path).get("videos")
        if not isinstance(videos, dict):
            raise DatasetError(f"{path} has no videos; expected {{'videos': {{'<video>': {{'objects': …}}}}}}")
        return {video: _read_categories(entry, f"{path}, video {video}") for video, entry in videos.items()}

    def images(self) -> Iterator[SourceImage]:
        """All annotated frames with objects, video by video in order of their names."""
        empty = True
        for masks in sub_folders(self._base / "Annotations"):
            images = self._base / "JPEGImages" / masks.name
            for image in read_mask_video(masks, images, self._boxes, self._category_in(masks.name)):
                empty = False
                yield image
        if empty:
            raise wrong_root("<video>/*.png", self._base / "Annotations", YOUTUBE_VOS)

    def _category_in(self, video: str) -> Callable[[int], str | None]:
        return self._categories.get(video, {}).get


def _read_categories(entry: Any, where: str) -> dict[int, str]:
    objects = entry.get("objects") if isinstance(entry, dict) else None
    if not isinstance(objects, dict):
        raise DatasetError(f"{where} has no objects; expected {{'objects': {{'1': {{'category': …}}}}}}")
    categories: dict[int, str] = {}
    for number, item in objects.items():
        category = item.get("category") if isinstance(item, dict) else None
        if not number.isdecimal() or not isinstance(category, str):
            raise DatasetError(f"{where}: object {number!r:.80} has no number and category")
        categories[int(number)] = category
    return categories
