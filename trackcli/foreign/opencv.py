"""OpenCV's trackers behind the interface that all trackers have here.

What OpenCV decides and this module only passes on: boxes go in as whole pixels inside the image and come out as whole
pixels, one OpenCV tracker follows one target. What this module decides: a target that OpenCV reports as lost keeps its
last box with score 0, and is looked for again in the next frame; random numbers start anew with each sequence, so that
results do not depend on what was tracked before; boxes too small for a tracker are enlarged about their centre.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from trackcli.errors import InputDataError, PluginError
from trackcli.tracking.timing import StageTimer
from trackcli.video.images import quiet_opencv

Floats = NDArray[np.float64]
Image = NDArray[np.uint8]

FOUND, LOST = 1.0, 0.0
_SEED = 0
# With a smaller side CSRT fails, and MIL looks for ever for a feature that fits into the box (OpenCV 5.0).
_SMALLEST_CSRT, _SMALLEST_MIL = 2, 5


@dataclass(frozen=True, eq=False)
class OpenCvResult:
    """Where the targets are in one frame.

    Attributes:
        boxes_xyxy: ``(B, 4)`` float64, image pixels.
        scores: ``(B,)``: OpenCV's own score where the tracker has one, else 1; 0 where the target was lost and the
            last box is held.
    """

    boxes_xyxy: Floats
    scores: Floats


class OpenCvTracker:
    """One OpenCV tracker per target.

    Attributes:
        name: As on the command line.
        device: Where it runs: always ``cpu``.
        timer: Milliseconds per stage.
        deterministic: Whether a second run gives the same boxes.

    Args:
        name: As on the command line.
        make: Makes a fresh OpenCV tracker.
        smallest: Narrowest box in pixels that it can start on.
    """

    device = "cpu"
    deterministic = os.name == "posix"  # where the C library's random numbers can be started anew

    def __init__(self, name: str, make: Callable[[], Any], *, smallest: int = 1) -> None:
        self.name = name
        self.timer = StageTimer()
        self._make = make
        self._smallest = smallest
        self._trackers: list[Any] = []
        self._boxes_xywh: Floats = np.empty((0, 4))

    def start(self, image: Image, boxes_xywh: Floats) -> None:
        """Learn the targets from an ``(H, W, 3)`` RGB image and ``(B, 4)`` boxes in pixels.

        Raises:
            InputDataError: if OpenCV cannot start on a box.
        """
        _seed()
        with self.timer.stage("colors"):
            image_bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        self._boxes_xywh = np.array(boxes_xywh, dtype=np.float64).reshape(-1, 4)
        with self.timer.stage("start"):
            self._trackers = [self._started(image_bgr, box) for box in self._boxes_xywh]

    def update(self, image: Image) -> OpenCvResult:
        """Find the targets in the next ``(H, W, 3)`` RGB image; none before :meth:`start`."""
        with self.timer.stage("colors"):
            image_bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        with self.timer.stage("update"):
            scores = [self._follow(index, image_bgr) for index in range(len(self._trackers))]
        boxes_xyxy = self._boxes_xywh.copy()
        boxes_xyxy[:, 2:] += boxes_xyxy[:, :2]
        return OpenCvResult(boxes_xyxy, np.array(scores))

    def _started(self, image_bgr: Image, box_xywh: Floats) -> Any:
        with quiet_opencv():
            tracker = self._make()
        whole = whole_pixels(box_xywh, (image_bgr.shape[1], image_bgr.shape[0]), self._smallest)
        try:
            tracker.init(image_bgr, whole)
        except cv2.error as error:
            given = ",".join(f"{value:g}" for value in box_xywh)
            raise InputDataError(
                f"OpenCV's {self.name} cannot start on box {given} in an image of "
                f"{image_bgr.shape[1]}x{image_bgr.shape[0]} pixels ({_said(error)}); "
                "expected a larger box inside it, and for a tracker with networks the ONNX files made for it"
            ) from error
        return tracker

    def _follow(self, index: int, image_bgr: Image) -> float:
        """Update one target's box; its score."""
        tracker = self._trackers[index]
        try:
            found, box = tracker.update(image_bgr)
        except cv2.error:  # OpenCV refuses search regions outside the image: nothing was found there
            return LOST
        box_xywh = np.array(box, dtype=np.float64)
        if not found or not np.isfinite(box_xywh).all() or min(box_xywh[2:]) <= 0:
            return LOST
        self._boxes_xywh[index] = box_xywh
        score = tracker.getTrackingScore() if hasattr(tracker, "getTrackingScore") else -1.0
        return float(score) if score >= 0 else FOUND  # trackers without a score of their own say -1


def _seed() -> None:
    """Start random numbers anew: OpenCV's own, and those of the C library, which MIL draws its features from."""
    cv2.setRNGSeed(_SEED)
    if os.name == "posix":
        ctypes.CDLL(None).srand(_SEED)


def csrt() -> OpenCvTracker:
    """Discriminative correlation filter with channel and spatial reliability (Lukežič et al. 2017)."""
    return OpenCvTracker("csrt", _maker("TrackerCSRT"), smallest=_SMALLEST_CSRT)


def kcf() -> OpenCvTracker:
    """Kernelised correlation filter (Henriques et al. 2015)."""
    return OpenCvTracker("kcf", _maker("TrackerKCF"))


def mil() -> OpenCvTracker:
    """Multiple instance learning (Babenko et al. 2009)."""
    return OpenCvTracker("mil", _maker("TrackerMIL"), smallest=_SMALLEST_MIL)


def nano(*, backbone: str, head: str) -> OpenCvTracker:
    """NanoTrack with the user's ONNX files.

    Raises:
        InputDataError: if a file cannot be used.
    """
    parameters = _class("TrackerNano_Params")()
    parameters.backbone, parameters.neckhead = _onnx(backbone), _onnx(head)
    return _with_network("nano", _maker("TrackerNano", parameters), f"{backbone} and {head}")


def vit(*, model: str) -> OpenCvTracker:
    """ViTTrack with the user's ONNX file.

    Raises:
        InputDataError: if the file cannot be used.
    """
    parameters = _class("TrackerVit_Params")()
    parameters.net = _onnx(model)
    return _with_network("vit", _maker("TrackerVit", parameters), model)


def whole_pixels(box_xywh: Floats, size_wh: tuple[int, int], smallest: int = 1) -> tuple[int, int, int, int]:
    """The box with its edges on the nearest whole pixels, inside the image; if too small, enlarged about its centre.

    Args:
        box_xywh: ``(4,)`` image pixels.
        size_wh: The image's size.
        smallest: Least width and height of the result, where the image is as large.
    """
    limits = np.array(size_wh, dtype=np.float64)
    least = np.minimum(smallest, limits)
    grown = np.maximum(least - box_xywh[2:], 0) / 2
    low = np.clip(np.rint(box_xywh[:2] - grown), 0, limits - least)
    high = np.clip(np.rint(box_xywh[:2] + box_xywh[2:] + grown), low + least, limits)
    x, y, width, height = (int(value) for value in (*low, *(high - low)))
    return x, y, width, height


def _maker(name: str, *arguments: Any) -> Callable[[], Any]:
    create = _class(name).create
    return lambda: create(*arguments)


def _class(name: str) -> Any:
    """A class of OpenCV, wherever the installed build keeps it."""
    for module in (cv2, getattr(cv2, "legacy", None)):
        if hasattr(module, name):
            return getattr(module, name)
    raise PluginError(
        f"OpenCV {cv2.__version__} as installed has no {name}; expected the build with all trackers: "
        "pip uninstall opencv-python, then pip install opencv-contrib-python"
    )


def _onnx(given: str) -> str:
    path = Path(given).expanduser()
    if not path.is_file():
        raise InputDataError(f"{given} is not a file; expected the tracker's network in ONNX format")
    return str(path)


def _with_network(name: str, make: Callable[[], Any], files: str) -> OpenCvTracker:
    """Load the network once now, so that a wrong file is an error before anything is tracked."""
    try:
        with quiet_opencv():
            make()
    except cv2.error as error:
        raise InputDataError(
            f"OpenCV {cv2.__version__} cannot load {files} for {name} ({_said(error)}); "
            "expected ONNX files of this tracker"
        ) from error
    return OpenCvTracker(name, make)


def _said(error: Any) -> str:
    """The core of an OpenCV error: its text without file, line and line breaks."""
    return " ".join(str(getattr(error, "err", "") or error).split())[:200]
