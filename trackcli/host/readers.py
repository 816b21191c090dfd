"""Dataset readers of plugins at work: whatever fails in one, however late, is one line that names the plugin."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from trackcli_cache.datasets import AnnotatedSequence, DatasetReader, SourceImage
from trackcli_cache.errors import CacheError

from trackcli.errors import InputDataError, PluginError, TrackcliError
from trackcli.host.guard import ForeignError, foreign_code

T = TypeVar("T")

_END = object()


@dataclass(frozen=True)
class ReaderOrigin:
    """Where a reader comes from, for messages.

    Attributes:
        dataset: Name of the layout.
        plugin: Distribution and version that provide it, ``acme-data 2.0``.
        root: The folder that is read.
    """

    dataset: str
    plugin: str
    root: Path

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Run the reader's code.

        Raises:
            DatasetError: as the reader raised it.
            InputDataError: if a file cannot be read.
            PluginError: for whatever else it raises.
        """
        try:
            with foreign_code():
                yield
        except ForeignError as error:
            raise self._for_a_person(error) from error

    def _for_a_person(self, error: ForeignError) -> Exception:
        cause = error.__cause__
        if isinstance(cause, TrackcliError | CacheError):
            return cause
        if isinstance(cause, OSError):
            file = f": '{cause.filename}'" if cause.filename else ""
            return InputDataError(
                f"dataset folder {self.root} cannot be read as {self.dataset!r} ({cause.strerror or cause}{file}); "
                "expected a folder whose files exist and are readable"
            )
        return PluginError(
            f"the reader of dataset {self.dataset!r} failed ({error}); {self.plugin}, which provides it, is broken: "
            "update it, or tell its authors what --debug shows"
        )


class GuardedReader:
    """A plugin's reader (:class:`trackcli_cache.datasets.DatasetReader`) whose failures are explained.

    Args:
        reader: The plugin's.
        origin: Where it comes from.
    """

    def __init__(self, reader: DatasetReader, origin: ReaderOrigin) -> None:
        self._reader: Any = reader
        self._origin = origin

    @property
    def name(self) -> str:
        """Name of the layout, as the reader says it."""
        with self._origin.guard():
            return _checked(self._reader.name, str, "name")

    @property
    def root(self) -> Path:
        """Folder that all paths lie under."""
        with self._origin.guard():
            return _checked(self._reader.root, Path, "root")

    def images(self) -> Iterator[SourceImage]:
        """All annotated images; nothing of the reader runs between two of them."""
        with self._origin.guard():
            images = iter(self._reader.images())
        while True:
            with self._origin.guard():
                found = next(images, _END)
                if found is _END:
                    return
                image = _checked(found, SourceImage, "images()")
            yield image


class GuardedSequences(GuardedReader):
    """The same of a reader of single-target videos (:class:`trackcli_cache.datasets.SequenceDataset`)."""

    def sequence_names(self) -> Sequence[str]:
        """Names of all sequences, in the dataset's order."""
        with self._origin.guard():
            return [_checked(name, str, "sequence_names()") for name in self._reader.sequence_names()]

    def read_sequence(self, name: str) -> AnnotatedSequence:
        """Read one sequence."""
        with self._origin.guard():
            return _checked(self._reader.read_sequence(name), AnnotatedSequence, "read_sequence()")


def _checked(value: object, expected: type[T], where: str) -> T:
    if not isinstance(value, expected):
        raise TypeError(f"{where} gave {type(value).__name__}; expected {expected.__name__}")
    return value
