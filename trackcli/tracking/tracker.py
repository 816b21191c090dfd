"""The Python interface: ``load`` or ``compose`` a tracker, ``start`` it on a frame, ``update`` it with the next."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from trackcli.composition.build import build_model
from trackcli.composition.defaults import complete
from trackcli.composition.figures import without_figures
from trackcli.composition.files import TrackerFile, load_tracker, save_tracker
from trackcli.composition.model import TrackerModel
from trackcli.composition.plan import Plan, plan
from trackcli.config.precision import check_precision
from trackcli.engines.eager import optimised
from trackcli.errors import InputDataError, PluginError, UnknownNameError, UsageError
from trackcli.host.registry import Registry, installed
from trackcli.host.specs import PresetSpec, TrackerSpec
from trackcli.tracking.inputs import Image, read_boxes, xyxy_from_xywh
from trackcli.tracking.session import Session
from trackcli.tracking.timing import StageTimer

RUN_TRACKER = "tracker.safetensors"
"""File name of the tracker in a run folder."""


@dataclass(frozen=True)
class TrackResult:
    """Where the targets are in one frame.

    Attributes:
        boxes_xyxy: ``(B, 4)`` float64, image pixels, half-open.
        scores: ``(B,)`` float64, confidence in 0..1.
    """

    boxes_xyxy: NDArray[np.float64]
    scores: NDArray[np.float64]

    @property
    def boxes_xywh(self) -> NDArray[np.float64]:
        """``(B, 4)`` top-left corner and size."""
        return np.concatenate((self.boxes_xyxy[:, :2], self.boxes_xyxy[:, 2:] - self.boxes_xyxy[:, :2]), axis=1)


class Tracker:
    """A composed tracker, ready to follow one or several targets.

    Example:
        >>> tracker = trackcli.load("default")
        >>> tracker.start(first_frame, (10, 20, 64, 48))
        >>> result = tracker.update(next_frame)
        >>> result.boxes_xywh[0], result.scores[0]

    Attributes:
        name: What it was loaded as.
        model: The network.
        plan: The composition.
        timer: Milliseconds per stage.
        session: Steps many targets in many frames at once; ``start`` and ``update`` use it with one frame.
        described: What its file says; None for a freshly composed tracker.
        precision: What the network computes in: ``fp32`` or ``bf16``.
    """

    def __init__(
        self,
        name: str,
        model: TrackerModel,
        planned: Plan,
        *,
        device: str = "auto",
        precision: str = "fp32",
        described: TrackerFile | None = None,
    ) -> None:
        check_precision(precision)
        self.name = name
        self.precision = precision
        self.plan = planned
        self.described = described
        self.device = resolve_device(device)
        self.model = model.to(self.device).eval()
        self.timer = StageTimer()
        self.session = Session(optimised(self.model, precision), self.timer)
        self._targets = 0

    def start(self, frame: Image, boxes_xywh: ArrayLike) -> None:
        """Start following targets.

        Args:
            frame: ``(H, W, 3)`` uint8, RGB (OpenCV reads BGR: pass ``frame[..., ::-1]``).
            boxes_xywh: ``(4,)`` or ``(B, 4)``: top-left corner and size, 0-based pixels, fractions allowed.

        Raises:
            InputDataError: for a frame or box that cannot be used.
        """
        boxes = read_boxes(boxes_xywh)
        self.session.start([frame], [0] * len(boxes), xyxy_from_xywh(boxes))
        self._targets = len(boxes)

    def update(self, frame: Image) -> TrackResult:
        """Find the targets in the next frame, ``(H, W, 3)`` uint8 RGB; its size may differ from the last one's.

        Raises:
            InputDataError: before :meth:`start`, or for a frame that cannot be used.
        """
        readout = self.session.update([frame], [0] * self._targets)
        return TrackResult(readout.boxes_xyxy, readout.scores)

    def save(self, path: str | Path, *, provenance: dict[str, Any] | None = None) -> None:
        """Write the tracker as a file that :func:`load` and ``--tracker`` take.

        Args:
            path: The file.
            provenance: Facts to add to those of the file it was loaded from; figures measured of that are not kept.
        """
        known = without_figures(self.described.provenance) if self.described is not None else {}
        save_tracker(Path(path), self.model, self.plan, {**known, **(provenance or {})})


def load(name_or_file: str | Path, *, device: str = "auto", precision: str = "fp32") -> Tracker:
    """Load a tracker with weights.

    Args:
        name_or_file: The name of an installed tracker (``default``), a ``.safetensors`` file, or a run folder.
        device: ``auto`` (a GPU if there is one), ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        precision: ``fp32``, or ``bf16``: up to 1.8 times as fast where the processor has instructions for it, and a
            little less exact.

    Raises:
        UnknownNameError: if there is no such name or file.
        InputDataError: if the file cannot be used.
        UsageError: for an unknown or absent device, or an unknown precision.
    """
    registry = installed()
    path = find_tracker_file(str(name_or_file), registry)
    model, planned, described = load_tracker(path, registry)
    return Tracker(str(name_or_file), model, planned, device=device, precision=precision, described=described)


def compose(*, device: str = "auto", seed: int | None = 0, **recipe: Any) -> Tracker:
    """Compose a tracker with fresh weights, e.g. to look at, to test or to train it.

    Args:
        device: As for :func:`load`.
        seed: Makes the fresh weights reproducible; None leaves torch's generator as it is.
        recipe: Parts by kind: a name, or a mapping with ``name`` and settings; ``preset="siamrpn-pp"``; lists of names
            for ``loss`` and ``postprocessor``. What is left open comes from the matcher's home preset.

    Raises:
        UnknownNameError: for names nobody provides.
        ConfigError: for settings that do not fit.
        FitError: for components that disagree.
    """
    registry = installed()
    data = {kind: value if kind == "preset" else _as_part(value) for kind, value in recipe.items()}
    planned = plan(complete(data, registry).recipe, registry)
    with torch.random.fork_rng(devices=[], enabled=seed is not None):
        if seed is not None:
            torch.manual_seed(seed)
        model = build_model(planned)
    return Tracker("composed", model, planned, device=device)


def find_tracker_file(name_or_file: str, registry: Registry, *, also: Iterable[str] = ()) -> Path:
    """The file behind ``--tracker``: an installed name, a file, or a run folder.

    Args:
        name_or_file: What was given.
        registry: Where names are looked up.
        also: Names without a file that the user might have meant, for the error message.

    Raises:
        UnknownNameError: listing the installed names; a preset's name says how to train it.
        InputDataError: for a folder without a tracker.
        UsageError: for a foreign tracker, which has no file.
    """
    path = Path(name_or_file)
    if path.is_dir():
        if not (path / RUN_TRACKER).is_file():
            raise InputDataError(f"{path} holds no {RUN_TRACKER}; expected a run folder of `trackcli train`")
        return path / RUN_TRACKER
    if path.suffix == ".safetensors" or path.is_file():
        return path
    if name_or_file in registry.names(PresetSpec) and name_or_file not in registry.names(TrackerSpec):
        raise UnknownNameError(
            f"{name_or_file!r} is a preset: a recipe without weights; train it with: "
            f"trackcli train --preset {name_or_file} [--data CACHE] [-o RUN]"
        )
    spec = registry.find(TrackerSpec, name_or_file, also=also)
    if spec.factory:
        raise UsageError(
            f"{name_or_file!r} is a foreign tracker without a weights file; expected one with weights here; "
            f"run it with trackcli track or trackcli eval, or trackcli.foreign.loading.load_video_tracker"
        )
    try:
        return Path(str(resources.files(spec.package) / spec.file))
    except (ImportError, TypeError, ValueError) as error:
        raise PluginError(
            f"tracker {spec.name!r} is to be in package {spec.package!r}, which cannot be found ({error}); the plugin "
            "that provides it is broken or incomplete"
        ) from error


def resolve_device(name: str) -> torch.device:
    """``auto`` becomes a GPU if there is one.

    Raises:
        UsageError: for an unknown or absent device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"--device {name} is unknown; expected auto, cpu, cuda, cuda:N or mps") from None
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available.get(device.type, False):
        raise UsageError(
            f"--device {name} is not available here; expected one of: {', '.join(k for k, v in available.items() if v)}"
        )
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(f"--device {name} does not exist; there are {torch.cuda.device_count()} CUDA devices")
    return device


def _as_part(value: Any) -> Any:
    if isinstance(value, str):
        return {"name": value}
    if isinstance(value, list | tuple):
        return [_as_part(item) for item in value]
    return value
