"""``--tracker`` values that may name a foreign tracker: ``csrt``, ``nano@backbone=FILE,head=FILE``."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from trackcli.config.precision import check_precision
from trackcli.config.suggestions import did_you_mean
from trackcli.errors import InputDataError, PluginError, TrackcliError, UsageError
from trackcli.host.guard import ForeignError, foreign_code
from trackcli.host.registry import Provided, installed
from trackcli.host.specs import TrackerSpec, load_reference
from trackcli.tracking.inputs import check_boxes, check_frame, read_boxes, xyxy_from_xywh
from trackcli.tracking.timing import StageTimer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from trackcli.evaluation.runner import Tracker
    from trackcli.tracking.run import Measured

_SOURCE = re.compile(r"(?P<name>[\w.+-]+(?::[\w.+-]+)?)(?:@(?P<options>.*))?", re.DOTALL)
_NEEDED = ("name", "start", "update")


class VideoTracker(Protocol):
    """What ``trackcli track`` needs: composed trackers have it, foreign ones behind :class:`ForeignTracker`."""

    @property
    def name(self) -> str:
        """What it was loaded as."""

    @property
    def device(self) -> Any:
        """Where it runs."""

    @property
    def timer(self) -> StageTimer:
        """Milliseconds per stage."""

    def start(self, image_rgb: NDArray[np.uint8], boxes_xywh: ArrayLike, /) -> None:
        """Learn the targets in ``boxes_xywh``, ``(4,)`` or ``(B, 4)``, from an ``(H, W, 3)`` image."""

    def update(self, image_rgb: NDArray[np.uint8], /) -> Measured:
        """Find the targets in the next image."""


class ForeignTracker:
    """A foreign tracker with a device and a timer, which it need not have of its own."""

    def __init__(self, tracker: Any) -> None:
        self.name: str = tracker.name
        self.device: Any = getattr(tracker, "device", "cpu")
        own = getattr(tracker, "timer", None)
        self.timer: StageTimer = own if isinstance(own, StageTimer) else StageTimer()
        self._tracker = tracker
        self._started = False

    def start(self, image_rgb: NDArray[np.uint8], boxes_xywh: ArrayLike) -> None:
        """As the tracker does it, on a frame and boxes ``(4,)`` or ``(B, 4)`` that a composed one would take too.

        Raises:
            InputDataError: for a frame or box that cannot be used.
        """
        check_frame(image_rgb)
        boxes = read_boxes(boxes_xywh)
        check_boxes(xyxy_from_xywh(boxes), [image_rgb] * len(boxes))
        self._tracker.start(image_rgb, boxes)
        self._started = True

    def update(self, image_rgb: NDArray[np.uint8]) -> Measured:
        """As the tracker does it.

        Raises:
            InputDataError: before :meth:`start`, or for a frame that cannot be used.
        """
        if not self._started:
            raise InputDataError("update() was called before start(); call start(frame, boxes_xywh) first")
        check_frame(image_rgb)
        measured: Measured = self._tracker.update(image_rgb)
        return measured


def load_video_tracker(source: str, *, device: str, precision: str = "fp32") -> VideoTracker:
    """Load what ``--tracker`` names: a tracker with weights, or a foreign one, which chooses its device itself.

    Raises:
        TrackcliError: if there is no such tracker, or it cannot be used, or not with this precision.
    """
    check_precision(precision)
    foreign = load_foreign_tracker(source)
    if foreign is not None:
        if precision != "fp32":
            raise UsageError(f"--precision {precision} is for composed trackers; {source!r} computes as it always does")
        return ForeignTracker(foreign[0])
    from trackcli.tracking.tracker import load

    return load(source, device=device, precision=precision)


def load_foreign_tracker(source: str) -> tuple[Tracker, str] | None:
    """Make the foreign tracker that a ``--tracker`` value names.

    Args:
        source: ``NAME`` or ``NAME@OPTION=VALUE,OPTION=VALUE``. A value ends where ``,OPTION=`` or the text does, so
            that file names may hold commas.

    Returns:
        The tracker, and a text that is equal for equal trackers; ``None`` if no foreign tracker is meant: an existing
        file or folder, or the name of a tracker with weights or of none at all.

    Raises:
        UsageError: if an option is unknown or missing, or given to a tracker that takes none.
        InputDataError: if a file given as an option cannot be used.
        PluginError: if the tracker cannot be made.
    """
    parsed = _SOURCE.fullmatch(source)
    if parsed is None or Path(source).exists():
        return None
    registry = installed()
    name, written = parsed["name"], parsed["options"]
    matches = registry.matching(name, TrackerSpec)
    if not any(isinstance(entry.spec, TrackerSpec) and entry.spec.factory for entry in matches):
        if matches and written is not None:
            raise UsageError(f"--tracker {source}: tracker {name!r} takes no options; write --tracker {name}")
        return None
    entry = registry.find_provided(TrackerSpec, name)
    assert isinstance(entry.spec, TrackerSpec)
    options = _parse_options(entry.spec, written, source)
    return _make(entry.spec, options), _fingerprint(entry, options)


def _parse_options(spec: TrackerSpec, written: str | None, source: str) -> dict[str, str]:
    pieces = re.split(r"(?:^|,)([A-Za-z_]\w*)=", written or "")
    options = dict(zip(pieces[1::2], pieces[2::2], strict=True))
    if pieces[0] or unknown_in(options, spec):
        given = pieces[0] or unknown_in(options, spec)
        hint = did_you_mean(given, spec.options) if spec.options else f"{spec.name!r} takes no options"
        raise UsageError(f"--tracker {source}: option {given!r} is unknown; {hint}")
    missing = [name for name in spec.options if not options.get(name)]
    if missing:
        example = ",".join(f"{name}=FILE" for name in spec.options)
        raise UsageError(
            f"--tracker {source}: {spec.name!r} needs {' and '.join(missing)}; write --tracker {spec.name}@{example}"
        )
    return options


def unknown_in(options: dict[str, str], spec: TrackerSpec) -> str:
    """The first option that the tracker does not take; empty if there is none."""
    return next((name for name in options if name not in spec.options), "")


def _make(spec: TrackerSpec, options: dict[str, str]) -> Tracker:
    factory = load_reference(spec.factory)
    try:
        with foreign_code():
            tracker: Any = factory(**options)
    except ForeignError as error:
        if isinstance(error.__cause__, TrackcliError):
            raise error.__cause__ from error
        raise PluginError(
            f"tracker {spec.name!r} cannot be made ({error}); the plugin that provides it is broken"
        ) from error
    missing = [name for name in _NEEDED if not hasattr(tracker, name)]
    if missing:
        raise PluginError(
            f"{spec.factory} gave a {type(tracker).__name__} without {', '.join(missing)}; "
            "expected a tracker with name, start and update; the plugin that provides it is broken"
        )
    made: Tracker = tracker
    return made


def _fingerprint(entry: Provided, options: dict[str, str]) -> str:
    """Other versions and other files are other trackers."""
    values = ",".join(f"{name}={_hash_of(value)}" for name, value in sorted(options.items()))
    return f"{entry.distribution} {entry.version}:{entry.spec.name}@{values}"


def _hash_of(value: str) -> str:
    path = Path(value).expanduser()
    if not path.is_file():
        return value
    try:
        with path.open("rb") as file:
            return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    except OSError as error:
        raise InputDataError(
            f"cannot read {value}: {error.strerror or error}; expected a file that you may read"
        ) from error
