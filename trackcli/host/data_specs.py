"""Specs of what surrounds a tracker: dataset layouts that it learns from, and sinks that its results go to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar

from trackcli.errors import PluginError
from trackcli.host.specs import Spec, is_reference, load_reference

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
