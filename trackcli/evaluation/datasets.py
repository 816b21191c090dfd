"""What is evaluated on: sequences of images with one true box per frame, read from folders."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from trackcli_cache.natural import natural_key
from trackcli_cache.sequences import GROUNDTRUTH, IMAGE_FOLDER, is_sequence, list_images
from trackcli_cache.stills import is_stills

from trackcli.config.suggestions import did_you_mean
from trackcli.errors import InputDataError, ShapeError, UsageError
from trackcli.evaluation.text_tables import read_table

EXPECTED_TREE = f"""\
  ROOT/<sequence>/{IMAGE_FOLDER}/*.jpg           frames, in natural order (img2 before img10)
  ROOT/<sequence>/{GROUNDTRUTH}     one x,y,w,h per frame; nan,nan,nan,nan where the target is absent"""

BOX_COLUMNS = ("x", "y", "w", "h")


@dataclass(frozen=True, eq=False)
class EvaluationSequence:
    """One video with its ground truth.

    Attributes:
        name: Unique in its dataset; result files are named after it.
        image_paths: T images, in order.
        boxes_xywh: ``(T, 4)`` float64, image pixels, 0-based top-left; NaN where the target is absent.

    Raises:
        ShapeError: if there is not one box per image.
        InputDataError: if the target is absent in the first frame, or in all the others.
    """

    name: str
    image_paths: tuple[Path, ...]
    boxes_xywh: NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.boxes_xywh.shape != (len(self.image_paths), 4):
            raise ShapeError(
                f"sequence {self.name} has boxes of shape {self.boxes_xywh.shape}; "
                f"expected ({len(self.image_paths)}, 4), one box per image"
            )
        present = np.asarray(~np.isnan(self.boxes_xywh).any(axis=1))
        if not present[:1].any():
            raise InputDataError(
                f"sequence {self.name} begins without a target; expected a box on the first line to start from; "
                "cut the frames before it"
            )
        if not present[1:].any():
            raise InputDataError(
                f"sequence {self.name} ({len(present)} frames) has no target after its first frame; expected at least "
                "one more box to compare with; choose others with --sequences"
            )

    def __len__(self) -> int:
        return len(self.image_paths)


def load_sequences(dataset: str, root: Path, patterns: Sequence[str] = ()) -> list[EvaluationSequence]:
    """Read a dataset by name.

    Args:
        dataset: A known layout; see :data:`DATASETS`.
        root: Its folder.
        patterns: Names or patterns (``otb_*``) of the sequences to read, all of them by default.

    Raises:
        UsageError: if there is no such dataset, or a pattern matches nothing.
        InputDataError: if the folder does not hold it.
    """
    if dataset not in DATASETS:
        raise UsageError(f"--dataset {dataset} is unknown; {did_you_mean(dataset, DATASETS)}")
    return DATASETS[dataset](root, patterns)


def load_folder_sequences(root: Path, patterns: Sequence[str] = ()) -> list[EvaluationSequence]:
    """Read the sequences ``<root>/<name>/{img/*.jpg, groundtruth.txt}``, or ``root`` itself if it is one.

    Collections of stills beside them (``img/`` with ``boxes.json``) are not sequences and are left out. Nothing is
    read of sequences that no pattern matches, so that a broken one can be left out too.

    Args:
        root: The folder.
        patterns: Names or patterns of the sequences to read, all of them by default.

    Returns:
        The sequences in natural order of their names.

    Raises:
        UsageError: if a pattern matches nothing.
        InputDataError: if there is none, one is incomplete, or its boxes cannot be read or do not match its images.
    """
    folders = {folder.name: folder for folder in _find_sequence_folders(root.expanduser().resolve())}
    return [load_folder_sequence(folders[name]) for name in select_names(list(folders), patterns)]


def load_folder_sequence(folder: Path) -> EvaluationSequence:
    """Read one sequence ``<folder>/{img/*.jpg, groundtruth.txt}``; a box without area means that the target is absent.

    Raises:
        InputDataError: if it is incomplete, or its boxes cannot be read or do not match its images.
    """
    _refuse_half_a_sequence(folder)
    truth_path = folder / GROUNDTRUTH
    boxes = read_truth(truth_path)
    images = list_images(folder / IMAGE_FOLDER)
    if len(boxes) != len(images):
        raise InputDataError(
            f"{truth_path} has {len(boxes)} boxes for the {len(images)} images in {folder / IMAGE_FOLDER}; expected "
            "one line per image (nan,nan,nan,nan where the target is absent)"
        )
    return EvaluationSequence(folder.name, tuple(images), boxes)


def read_truth(path: Path) -> NDArray[np.float64]:
    """Read ground truth as ``(T, 4)`` float64 xywh; NaN where the target is absent (``nan``, or no width or height).

    The crop cache reads the same files into corners; here the numbers stay exactly those of the file, because an
    overlap that lies on a threshold would otherwise depend on the last bit of ``(x + w) - x``.

    Raises:
        InputDataError: if a line is not a box; the message names file and line.
    """
    boxes = read_table(path, BOX_COLUMNS)
    infinite = np.flatnonzero(np.isinf(boxes).any(axis=1))
    if infinite.size:
        raise InputDataError(f"{path}, line {infinite[0] + 1} holds an infinite number; expected x,y,w,h in pixels")
    absent = np.isnan(boxes).any(axis=1) | (boxes[:, 2:] <= 0).any(axis=1)
    boxes[absent] = np.nan
    return boxes


def select_names(names: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """Keep the names that match any pattern (``otb_*``), in their order; without patterns all of them.

    Raises:
        UsageError: if a pattern matches nothing.
    """
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise UsageError(
                f"--sequences {pattern} matches none of the {len(names)} sequences (names or patterns as in "
                f"'{names[0][:3]}*'); {did_you_mean(pattern, names)}"
            )
    return [name for name in names if not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)]


def _find_sequence_folders(root: Path) -> list[Path]:
    """Folders that are sequences, or half of one: leaving these out in silence would change the mean."""
    if not root.is_dir():
        raise InputDataError(f"{root} is not a folder; expected one that holds\n{EXPECTED_TREE}")
    if is_sequence(root):
        return [root]
    candidates = _list_folders(root)
    folders = [path for path in candidates if not is_stills(path) and (_has_images(path) or _has_truth(path))]
    if not folders:
        raise InputDataError(
            f"looked for {GROUNDTRUTH} beside {IMAGE_FOLDER}/ in {root} and its {len(candidates)} sub-folders and "
            f"found none; expected\n{EXPECTED_TREE}"
        )
    return sorted(folders, key=lambda path: natural_key(path.name))


def _list_folders(root: Path) -> list[Path]:
    try:
        return [path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")]
    except OSError as error:
        raise InputDataError(
            f"cannot list {root}: {error.strerror or error}; expected a folder that you may read"
        ) from error


def _refuse_half_a_sequence(folder: Path) -> None:
    if not _has_truth(folder):
        raise InputDataError(f"{folder} has {IMAGE_FOLDER}/ but no {GROUNDTRUTH}; add it or move the folder away")
    if not _has_images(folder):
        raise InputDataError(f"{folder} has {GROUNDTRUTH} but no {IMAGE_FOLDER}/ with its frames; add them as images")


def _has_images(folder: Path) -> bool:
    return (folder / IMAGE_FOLDER).is_dir()


def _has_truth(folder: Path) -> bool:
    return (folder / GROUNDTRUTH).is_file()


Reader = Callable[[Path, Sequence[str]], list[EvaluationSequence]]
"""Takes the dataset's folder and patterns of sequence names."""

DATASETS: Mapping[str, Reader] = MappingProxyType({"folder": load_folder_sequences})
"""Readers by name."""
