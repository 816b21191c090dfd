"""What is evaluated on: the sequences of any installed dataset, read when their turn comes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray
from trackcli_cache.datasets import Mark

from trackcli.config.suggestions import did_you_mean
from trackcli.errors import InputDataError, ShapeError, UsageError
from trackcli.evaluation.overlaps import is_box_xywh
from trackcli.evaluation.variants import Marks

if TYPE_CHECKING:
    from trackcli_cache.datasets import AnnotatedSequence, SequenceDataset


@dataclass(frozen=True, eq=False)
class EvaluationSequence:
    """One video with its ground truth.

    Attributes:
        name: Unique in its dataset; result files are named after it.
        image_paths: T images, in order.
        boxes_xywh: ``(T, 4)`` float64, image pixels, 0-based top-left; NaN where there is no box.
        absent: ``(T,)`` bool: the target is not in view, by the dataset's mark or for want of a box; found from the
            boxes if not given.
        marks: ``(T,)`` uint8, :class:`trackcli_cache.datasets.Mark` per frame; none if not given.
        attributes: The dataset's abbreviations for what makes it hard.
        truth_hidden: Only the first box is public; trackers can be run on it but not scored.

    Raises:
        ShapeError: if there is not one box per image.
        InputDataError: if the name is no file name, or the target is absent in the first frame or in all the others.
    """

    name: str
    image_paths: tuple[Path, ...]
    boxes_xywh: NDArray[np.float64]
    absent: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=bool))
    marks: NDArray[np.uint8] = field(default_factory=lambda: np.zeros(0, dtype=np.uint8))
    attributes: tuple[str, ...] = ()
    truth_hidden: bool = False

    def __post_init__(self) -> None:
        if self.boxes_xywh.shape != (len(self.image_paths), 4):
            raise ShapeError(
                f"sequence {self.name} has boxes of shape {self.boxes_xywh.shape}; "
                f"expected ({len(self.image_paths)}, 4), one box per image"
            )
        if self.name in {"", ".", ".."} or set(self.name) & set('/\\:*?"<>|\0'):
            raise InputDataError(
                f'sequence {self.name!r} cannot be the name of a result file; expected one without / \\ : * ? " < > |'
            )
        present = is_box_xywh(self.boxes_xywh)
        if not self.absent.size:
            object.__setattr__(self, "absent", ~present)
        if not self.marks.size:
            object.__setattr__(self, "marks", np.zeros(len(present), dtype=np.uint8))
        if not present[:1].any():
            raise InputDataError(
                f"sequence {self.name} begins without a target; expected a box on the first line to start from; "
                "cut the frames before it"
            )
        if not self.truth_hidden and not (present & ~self.absent)[1:].any():
            raise InputDataError(
                f"sequence {self.name} ({len(present)} frames) has no target after its first frame; expected at least "
                "one more box to compare with; choose others with --sequences"
            )

    def __len__(self) -> int:
        return len(self.image_paths)

    def marked(self, marks: Marks) -> NDArray[np.bool_]:
        """``(T,)``: frames that these marks make frames without a target, whether they have a box or not."""
        if marks is Marks.NONE:
            return np.zeros(len(self), dtype=bool)
        if marks is Marks.FULLY_HIDDEN:
            return np.asarray((self.marks & int(Mark.FULLY_OCCLUDED)) > 0)
        return np.asarray(self.absent & is_box_xywh(self.boxes_xywh))  # variants treat the want of a box on its own


class SequenceSet(Sequence[EvaluationSequence]):
    """Chosen sequences of a dataset, read each time they are asked for: a large dataset never lies in memory.

    Args:
        reader: Where they are read from.
        names: Which, in order.
    """

    def __init__(self, reader: SequenceDataset, names: Sequence[str]) -> None:
        self._reader = reader
        self.names = tuple(names)

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, index: int) -> EvaluationSequence: ...

    @overload
    def __getitem__(self, index: slice) -> SequenceSet: ...

    def __getitem__(self, index: int | slice) -> EvaluationSequence | SequenceSet:
        """Read one sequence, or choose several.

        Raises:
            DatasetError: if it is incomplete or an annotation cannot be read; the message names file and line.
            InputDataError: if it cannot be evaluated on.
        """
        if isinstance(index, slice):
            return SequenceSet(self._reader, self.names[index])
        return _for_evaluation(self._reader.read_sequence(self.names[index]))


def load_sequences(dataset: str, root: Path, patterns: Sequence[str] = (), *, split: str | None = None) -> SequenceSet:
    """Choose sequences of a dataset and make sure that each can be read, before any time is spent on tracking.

    Args:
        dataset: An installed layout that has sequences (``folder``, ``otb100``, …).
        root: Its folder.
        patterns: Names or patterns (``otb_*``) of the sequences, all of them by default; of others nothing is read, so
            that a broken one can be left out.
        split: One of the dataset's own splits; its first by default.

    Raises:
        UnknownNameError: if there is no such dataset.
        UsageError: if it has no sequences, or a pattern matches nothing.
        DatasetError: if the folder does not hold it, or a sequence cannot be read.
        InputDataError: if a sequence cannot be evaluated on.
    """
    from trackcli.host.datasets import dataset_specs, open_dataset

    reader: Any = open_dataset(dataset, root, split)
    if not hasattr(reader, "read_sequence"):
        known = [name for name, spec in dataset_specs().items() if spec.sequences]
        raise UsageError(
            f"--dataset {dataset} has no sequences with one target each to track; expected one of: {', '.join(known)}"
        )
    names = list(reader.sequence_names())
    if not names:
        raise InputDataError(f"{dataset} in {root} has no sequences; expected at least one; check --root and --split")
    chosen = SequenceSet(reader, select_names(names, patterns))
    for _ in chosen:
        pass
    return chosen


def evaluation_split(dataset: str, *, hidden: bool = False) -> str | None:
    """The split that trackers are evaluated on unless another is asked for: ``val``, ``test`` or the first.

    Args:
        dataset: Its name, or ``distribution:name``.
        hidden: Rather the one whose truth may be hidden, ``test``.

    Raises:
        UnknownNameError: if nobody provides the layout.
        AmbiguousNameError: if several plugins do.
    """
    from trackcli.host.datasets import find_dataset

    spec = find_dataset(dataset)
    if not spec.splits:
        return None
    wanted = ("test",) if hidden else ("val", "test")
    return next((name for name in wanted if name in spec.splits), spec.splits[0])


def load_folder_sequences(root: Path, patterns: Sequence[str] = ()) -> SequenceSet:
    """Choose sequences ``<root>/<name>/{img/*.jpg, groundtruth.txt}``; see :func:`load_sequences`."""
    return load_sequences("folder", root, patterns)


def select_names(names: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """Keep the names that match any pattern (``otb_*``), in their order; without patterns all of them.

    Raises:
        UsageError: if a pattern matches nothing.
    """
    for pattern in patterns:
        if not any(_is_chosen(name, pattern) for name in names):
            example = f"'{names[0][:3]}*'" if names else "'otb*'"
            raise UsageError(
                f"--sequences {pattern} matches none of the {len(names)} sequences (names or patterns as in "
                f"{example}); {did_you_mean(pattern, names)}"
            )
    return [name for name in names if not patterns or any(_is_chosen(name, pattern) for pattern in patterns)]


def _is_chosen(name: str, pattern: str) -> bool:
    return name == pattern or fnmatchcase(name, pattern)  # a name may hold what means something in a pattern


def names_of(sequences: Sequence[EvaluationSequence]) -> list[str]:
    """Names of sequences, without reading them where they are known."""
    return list(sequences.names) if isinstance(sequences, SequenceSet) else [one.name for one in sequences]


def _for_evaluation(sequence: AnnotatedSequence) -> EvaluationSequence:
    return EvaluationSequence(
        name=sequence.name,
        image_paths=sequence.frames,
        boxes_xywh=sequence.boxes_xywh,
        absent=sequence.absent,
        marks=sequence.marks,
        attributes=sequence.attributes,
        truth_hidden=sequence.truth_hidden,
    )
