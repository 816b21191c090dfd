"""Where tracking results go: a sink for every output, found by the file's suffix among those that plugins offer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from trackcli.errors import PluginError, TrackcliError, UsageError
from trackcli.host.data_specs import SinkSpec
from trackcli.host.guard import ForeignError, foreign_code
from trackcli.host.registry import Provided, Registry, installed
from trackcli.tracking.timing import StageTimer

if TYPE_CHECKING:
    from trackcli.tracking.run import TrackedFrame
    from trackcli.video.results import ResultWriter


@dataclass(frozen=True)
class SinkContext:
    """What is known before the first frame.

    Attributes:
        names: The targets' names, in the order of the boxes.
        size_wh: Width and height of the source's frames in pixels.
        fps: Frames per second of the source.
        timer: For sinks that say how long their stages take.
    """

    names: tuple[str, ...]
    size_wh: tuple[int, int]
    fps: float
    timer: StageTimer = field(default_factory=StageTimer)


class FrameSink(Protocol):
    """Takes the frames of one run, in order; a context manager that finishes its file however the run ends."""

    def write(self, frame: TrackedFrame) -> None:
        """Take one frame."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def known_suffixes(registry: Registry | None = None) -> list[str]:
    """The suffixes that some sink writes, in the order in which plugins give them."""
    return list(dict.fromkeys(suffix for entry in _sinks(registry) for suffix in _spec(entry).suffixes))


def find_sink(path: Path, target_count: int, registry: Registry | None = None) -> Provided:
    """The sink that writes a file, before anything is computed.

    Args:
        path: The file; its suffix, in any case, chooses the sink.
        target_count: How many targets it has to hold.
        registry: Where to look; everything installed if None.

    Raises:
        UsageError: if no sink, or more than one, writes that suffix, or the file cannot hold so many targets.
    """
    suffix = path.suffix.lower()
    matches = [entry for entry in _sinks(registry) if suffix in _spec(entry).suffixes]
    if not matches:
        known = ", ".join(known_suffixes(registry))
        raise UsageError(f"output '{path}' has an unknown suffix; expected one of {known}{_absences(registry)}")
    if len(matches) > 1:
        owners = " and ".join(f"{entry.spec.name} of {entry.distribution} {entry.version}" for entry in matches)
        raise UsageError(
            f"output '{path}': {suffix} is written by {owners}; choose another suffix, or leave a plugin out with "
            "TRACKCLI_DISABLE_PLUGINS=NAME"
        )
    most = _spec(matches[0]).most_targets
    if most is not None and target_count > most:
        holds = "one target" if most == 1 else f"{most} targets"
        raise UsageError(f"output '{path}' holds {holds}, but {target_count} were given; use .csv or .jsonl")
    return matches[0]


@contextmanager
def open_output(path: Path, context: SinkContext, registry: Registry | None = None) -> Iterator[FrameSink]:
    """Open the sink that writes a file, for the duration of a ``with`` block.

    Raises:
        UsageError: see :func:`find_sink`; also if the file cannot be created.
        PluginError: if a plugin's sink fails, in the block too; what it wrote so far is its own affair.
        TrackcliError: if a file cannot be written further.
    """
    entry = find_sink(path, len(context.names), registry)
    make = _spec(entry).load_factory()
    with _explained(entry, path):
        sink = make(path, context)
        missing = [name for name in ("write", "__enter__", "__exit__") if not hasattr(sink, name)]
        if missing:
            raise TypeError(f"it gave a {type(sink).__name__} without {', '.join(missing)}")
    guarded = _Guarded(sink, entry, path)
    with guarded:
        yield guarded


class _Guarded:
    """A sink whose failures are explained: a plugin's traceback is no message for a person."""

    def __init__(self, sink: Any, entry: Provided, path: Path) -> None:
        self._sink = sink
        self._entry = entry
        self._path = path

    def write(self, frame: TrackedFrame) -> None:
        with _explained(self._entry, self._path):
            self._sink.write(frame)

    def __enter__(self) -> Self:
        with _explained(self._entry, self._path):
            self._sink = self._sink.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with _explained(self._entry, self._path):
            self._sink.__exit__(kind, error, trace)


@contextmanager
def _explained(entry: Provided, path: Path) -> Iterator[None]:
    try:
        with foreign_code():
            yield
    except ForeignError as error:
        cause = error.__cause__
        if isinstance(cause, TrackcliError):
            raise cause from cause.__cause__
        if isinstance(cause, OSError):
            raise TrackcliError(
                f"writing to '{path}' failed: {cause.strerror or cause}; make room, or choose another place, "
                "and run again"
            ) from cause
        raise PluginError(
            f"sink {entry.spec.name!r} of {entry.distribution} {entry.version} failed on '{path}' ({error}); "
            "update the plugin, or choose another suffix"
        ) from cause


def _sinks(registry: Registry | None) -> list[Provided]:
    known = installed() if registry is None else registry
    return [entry for entry in known.provided if isinstance(entry.spec, SinkSpec)]


def _absences(registry: Registry | None) -> str:
    return (installed() if registry is None else registry).absences()


def _spec(entry: Provided) -> SinkSpec:
    assert isinstance(entry.spec, SinkSpec)  # the registry sorted it so
    return entry.spec


def open_boxes(path: Path, context: SinkContext) -> ResultWriter:
    """The built-in sinks for boxes: ``.txt``, ``.csv``, ``.jsonl``.

    Raises:
        UsageError: if the file cannot be created.
    """
    from trackcli.video.results import open_results

    return open_results(path, context.names)
