"""The ``folder`` dataset: plain folders of sequences, of stills with boxes, or of both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from trackcli_cache.datasets import SourceImage
from trackcli_cache.errors import DatasetError
from trackcli_cache.natural import natural_key
from trackcli_cache.sequences import IMAGE_FOLDER, is_sequence, read_sequence
from trackcli_cache.stills import is_stills, read_stills

EXPECTED_TREE = """\
  ROOT/<sequence>/img/*.jpg           frames of a video, in natural order
  ROOT/<sequence>/groundtruth.txt     one x,y,w,h per frame; nan,nan,nan,nan where out of view
  ROOT/<sequence>/masks/*.png         optional; same names as the frames, non-zero where the target is
or
  ROOT/<collection>/img/*.jpg         still images
  ROOT/<collection>/boxes.json        {"file.jpg": [[x, y, w, h, "category"], …], …}
  ROOT/<collection>/polys.json        optional; {"file.jpg": [[[x, y, x, y, …], …] or null, …], …}"""


class FolderDataset:
    """Reads ``<root>/<name>/…`` for every sub-folder that is a sequence or a collection, or ``<root>`` if it is one.

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

    def images(self) -> Iterator[SourceImage]:
        """All frames and stills with annotations, folder by folder in natural order."""
        for folder in self._folders:
            yield from read_sequence(folder) if is_sequence(folder) else read_stills(folder)


def _find_folders(root: Path) -> list[Path]:
    if not root.is_dir():
        raise DatasetError(f"--root {root} is not a folder; expected one that holds\n{EXPECTED_TREE}")
    if _is_readable(root):
        return [root]
    candidates = sorted((path for path in root.iterdir() if path.is_dir()), key=lambda path: natural_key(path.name))
    folders = [path for path in candidates if _is_readable(path)]
    for path in candidates:
        if path not in folders and (path / IMAGE_FOLDER).is_dir():
            raise DatasetError(
                f"{path} has {IMAGE_FOLDER}/ but neither groundtruth.txt nor boxes.json; add one of them"
            )
    if not folders:
        raise DatasetError(
            f"looked for groundtruth.txt or boxes.json beside {IMAGE_FOLDER}/ in {root} and its {len(candidates)} "
            f"sub-folders and found none; expected\n{EXPECTED_TREE}"
        )
    return folders


def _is_readable(folder: Path) -> bool:
    return is_sequence(folder) or is_stills(folder)
