"""Specs of what surrounds a tracker: dataset layouts that it learns from, and sinks that its results go to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from trackcli.errors import InputDataError, PluginError, TrackcliError, UsageError
from trackcli.host.guard import ForeignError, foreign_code
from trackcli.host.specs import Spec, is_reference, load_reference

if TYPE_CHECKING:
    from trackcli_cache.datasets import DatasetReader

_SUFFIX = re.compile(r"\.[a-z0-9]+")


@dataclass(frozen=True)
class DatasetSpec(Spec):
    """A dataset layout; the same facts as :class:`trackcli_cache.entry.DatasetEntry`.

    Attributes:
        reader: Lazy reference to the reader's class (``trackcli_cache.datasets.DatasetReader``); called with the root
            and the split.
        splits: The dataset's own split names; the first is the default. Empty: it has none.
        tree: The expected folders and files, several lines, for messages and docs.
        sequences: The reader has ``sequence_names`` and ``read_sequence``: trackers can be evaluated on it.
        paper: Where it comes from, if from a paper.
    """

    kind: ClassVar[str] = "dataset"
    reader: str = ""
    splits: tuple[str, ...] = ()
    tree: str = ""
    sequences: bool = False
    paper: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not is_reference(self.reader):
            raise PluginError(f"dataset {self.name!r} refers to {self.reader!r}; expected 'package.module:name'")
        if not isinstance(self.splits, tuple) or not all(isinstance(split, str) for split in self.splits):
            raise PluginError(f"dataset {self.name!r} has splits={self.splits!r}; expected a tuple of names")
        if not isinstance(self.tree, str):
            raise PluginError(f"dataset {self.name!r} has tree={self.tree!r}; expected lines of text")

    def open(self, root: Path, split: str | None = None) -> DatasetReader:
        """Return the reader of a folder.

        Args:
            root: The dataset's folder.
            split: One of ``splits``; None for the first.

        Raises:
            UsageError: if there is no such split.
            DatasetError: if the folder does not have this layout.
            InputDataError: if the folder cannot be read.
            PluginError: if the reader fails in any other way.
        """
        if split is not None and split not in self.splits:
            known = f"expected one of: {', '.join(self.splits)}" if self.splits else "this dataset has no splits"
            raise UsageError(f"split {split!r} is unknown for dataset {self.name!r}; {known}")
        make = load_reference(self.reader)
        try:
            with foreign_code():
                reader: DatasetReader = make(root, split or (self.splits[0] if self.splits else None))
                self._check(reader)
        except ForeignError as error:
            raise self._for_a_person(error, root) from error
        return reader

    def _check(self, reader: object) -> None:
        wanted = ("name", "root", "images", *(("sequence_names", "read_sequence") if self.sequences else ()))
        missing = [name for name in wanted if not hasattr(reader, name)]
        if missing:
            raise TypeError(f"{self.reader} gave a {type(reader).__name__} without {', '.join(missing)}")

    def _for_a_person(self, error: ForeignError, root: Path) -> Exception:
        from trackcli_cache.errors import CacheError

        cause = error.__cause__
        if isinstance(cause, TrackcliError | CacheError):
            return cause
        if isinstance(cause, OSError):
            return InputDataError(
                f"dataset folder {root} cannot be read as {self.name!r} ({cause.strerror or cause}); "
                "expected a folder that exists and is readable"
            )
        return PluginError(
            f"the reader of dataset {self.name!r} failed ({error}); the plugin that provides it is broken"
        )


@dataclass(frozen=True)
class SinkSpec(Spec):
    """A writer of tracking results, chosen by the output's suffix (``trackcli track -o FILE``).

    Attributes:
        factory: Lazy reference; called with the path and a ``trackcli.video.outputs.SinkContext``, gives a
            ``trackcli.video.outputs.FrameSink``.
        suffixes: File suffixes in lower case, each with its dot.
        most_targets: How many targets fit into one file; None for any number.
    """

    kind: ClassVar[str] = "sink"
    factory: str = ""
    suffixes: tuple[str, ...] = ()
    most_targets: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not is_reference(self.factory):
            raise PluginError(f"sink {self.name!r} refers to {self.factory!r}; expected 'package.module:name'")
        good = isinstance(self.suffixes, tuple) and self.suffixes and all(map(_is_suffix, self.suffixes))
        if not good:
            raise PluginError(f"sink {self.name!r} has suffixes={self.suffixes!r}; expected a tuple such as ('.srt',)")

    def load_factory(self) -> Any:
        """Import and return what opens the sink.

        Raises:
            PluginError: if it cannot be imported.
        """
        return load_reference(self.factory)


def _is_suffix(suffix: object) -> bool:
    return isinstance(suffix, str) and _SUFFIX.fullmatch(suffix) is not None
