"""The ``folder`` dataset: plain folders of sequences, of stills with boxes, or of both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from trackcli_cache.datasets import AnnotatedSequence, SourceImage, sequence_images
from trackcli_cache.errors import DatasetError
from trackcli_cache.natural import natural_key
from trackcli_cache.readers.sequence_reader import list_folders, unknown_sequence
from trackcli_cache.readers.trees_tracking import FOLDER as EXPECTED_TREE
from trackcli_cache.sequences import GROUNDTRUTH, IMAGE_FOLDER, is_sequence, read_folder_sequence
from trackcli_cache.stills import BOXES, is_stills, read_stills


class FolderDataset:
    """Reads ``<root>/<name>/…`` for every sub-folder that is a sequence or a collection, or ``<root>`` if it is one.

    Half a sequence (images without boxes, boxes without images) counts as one and is refused when it is read: leaving
    it out in silence would change every mean.

    Args:
        root: The folder to read.
        split: There are none.

    Raises:
        DatasetError: if there is nothing of the expected layout; the message shows the tree that is.
    """

    def __init__(self, root: Path, split: str | None = None) -> None:
        del split
        self._root = root.expanduser().resolve()
        self._folders = _find_folders(self._root)

    @property
    def name(self) -> str:
        """``folder``."""
        return "folder"

    @property
    def root(self) -> Path:
        """The folder being read, absolute."""
        return self._root

    def sequence_names(self) -> Sequence[str]:
        """Names of the sequences' folders in natural order; collections of stills are no sequences."""
        return [folder.name for folder in self._folders if not _is_collection(folder)]

    def read_sequence(self, name: str) -> AnnotatedSequence:
        """Read one sequence.

        Raises:
            DatasetError: if there is none of that name, half of it is missing, or its boxes cannot be read or do not
                match its images.
        """
        for folder in self._folders:
            if folder.name == name and not _is_collection(folder):
                return read_folder_sequence(folder)
        raise unknown_sequence(name, self)

    def images(self) -> Iterator[SourceImage]:
        """All frames and stills with annotations, folder by folder in natural order."""
        for folder in self._folders:
            if _is_collection(folder):
                yield from read_stills(folder)
            else:
                _refuse_images_alone(folder)
                yield from sequence_images(read_folder_sequence(folder))


def _find_folders(root: Path) -> list[Path]:
    if not root.is_dir():
        raise DatasetError(f"--root {root} is not a folder; expected one that holds\n{EXPECTED_TREE}")
    if is_sequence(root) or is_stills(root):
        return [root]
    candidates = sorted(list_folders(root), key=lambda path: natural_key(path.name))
    folders = [path for path in candidates if _is_part(path)]
    if not folders:
        raise DatasetError(
            f"looked for {GROUNDTRUTH} or {BOXES} beside {IMAGE_FOLDER}/ in {root} and its {len(candidates)} "
            f"sub-folders and found none; expected\n{EXPECTED_TREE}"
        )
    return folders


def _is_collection(folder: Path) -> bool:
    return is_stills(folder) and not is_sequence(folder)


def _is_part(folder: Path) -> bool:
    return (folder / IMAGE_FOLDER).is_dir() or (folder / GROUNDTRUTH).is_file()


def _refuse_images_alone(folder: Path) -> None:
    if not (folder / GROUNDTRUTH).is_file():
        raise DatasetError(f"{folder} has {IMAGE_FOLDER}/ but neither {GROUNDTRUTH} nor {BOXES}; add one of them")
