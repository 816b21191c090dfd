"""ImageNet VID (ILSVRC 2015): videos in which every object of 30 classes is boxed and followed.

Boxes: the files were written by a video annotation tool in the manner of VATIC, whose corners are 0-based pixel
edges (``xmin`` of 0 is common, which rules out counting from 1). They are taken as they are: width is ``xmax -
xmin``, as in SiamFC's and pysot's preparation of this dataset.

Marks: ``<occluded>`` becomes ``OCCLUDED``. ``<generated>`` (interpolated rather than drawn) is read over: such
boxes are as good as others. The annotation is meant to be complete, so an object seen before and without a box is
absent.

Source: Russakovsky et al., ImageNet Large Scale Visual Recognition Challenge, IJCV 2015; the layout is that of
``ILSVRC2015_VID.tar.gz``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from trackcli_cache.datasets import AnnotatedObject, Mark, SourceImage
from trackcli_cache.errors import DatasetError
from trackcli_cache.natural import last_number
from trackcli_cache.readers.absences import with_absences
from trackcli_cache.readers.annotation_xml import XmlObject, read_xml_objects
from trackcli_cache.readers.imagenet_names import category_of
from trackcli_cache.readers.layout import files_with, open_root, require_folders, sub_folders, wrong_root
from trackcli_cache.readers.trees import IMAGENET_VID

TOP_FOLDERS = ("ILSVRC2015", "ILSVRC")
"""What the official archive and Kaggle's unpack to."""


class ImageNetVid:
    """Reads one split; a snippet is a sequence.

    Args:
        root: The folder that holds ``Data/`` and ``Annotations/``.
        split: ``train`` or ``val``.

    Raises:
        DatasetError: if these are not there.
    """

    def __init__(self, root: Path, split: str | None = None) -> None:
        split = split or "train"
        self._root = open_root(root, IMAGENET_VID, TOP_FOLDERS)
        require_folders(self._root, (f"Data/VID/{split}", f"Annotations/VID/{split}"), IMAGENET_VID)
        self._images = self._root / "Data" / "VID" / split
        self._annotations = self._root / "Annotations" / "VID" / split

    @property
    def name(self) -> str:
        """``imagenet-vid``."""
        return "imagenet-vid"

    @property
    def root(self) -> Path:
        """The folder that holds ``Data/``, absolute."""
        return self._root

    def images(self) -> Iterator[SourceImage]:
        """All frames with objects, or without one that was there before, snippet by snippet."""
        empty = True
        for snippet in self._snippets():
            for image in with_absences(self._read_snippet(snippet)):
                empty = False
                yield image
        if empty:
            raise wrong_root("<snippet>/*.xml", self._annotations, IMAGENET_VID)

    def _snippets(self) -> Iterator[Path]:
        """Folders of XML files: directly in ``val``, in one more level of folders in ``train``."""
        for folder in sub_folders(self._annotations):
            inner = sub_folders(folder)
            yield from inner or (folder,)

    def _read_snippet(self, snippet: Path) -> Iterator[SourceImage]:
        frames = self._images / snippet.relative_to(self._annotations)
        for path in files_with(snippet, ".xml"):
            number = last_number(path.stem)
            if number is None:
                raise DatasetError(f"{path} has no frame number in its name; expected a name such as 000000.xml")
            objects = tuple(_to_object(item, path) for item in read_xml_objects(path))
            yield SourceImage(frames / f"{path.stem}.JPEG", snippet.name, number, objects)


def _to_object(item: XmlObject, path: Path) -> AnnotatedObject:
    if item.track_id is None:
        raise DatasetError(f"{path}: an object ({item.name}) has no <trackid>; is this the annotation of VID?")
    return AnnotatedObject(
        box_xyxy=(item.xmin, item.ymin, item.xmax, item.ymax),
        track_id=item.track_id,
        category=category_of(item.name),
        marks=Mark.OCCLUDED if item.occluded else Mark.NONE,
    )
