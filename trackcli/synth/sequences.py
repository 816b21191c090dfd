"""A painted scene with its ground truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trackcli.synth.rendering import Renderer
from trackcli.synth.scenes import Scene, plan_scene
from trackcli.synth.settings import SceneSettings
from trackcli.synth.shapes import area, coverage, visible_bounds_xyxy, window_around

Image = NDArray[np.uint8]
Floats = NDArray[np.float64]


class RenderedFrames:
    """The frames of a scene, painted when asked for: a long sequence needs no more memory than a short one.

    Iterating again paints the same bytes again.
    """

    def __init__(self, scene: Scene) -> None:
        self._renderer = Renderer(scene)
        self._count = scene.settings.frames

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Image:
        """Frame ``index`` as ``(H, W, 3)`` RGB uint8; negative counts from the end.

        Raises:
            IndexError: if there is no such frame.
        """
        if not -self._count <= index < self._count:
            raise IndexError(f"frame {index} of a sequence of {self._count}")
        return self._renderer.paint(index % self._count)

    def __iter__(self) -> Iterator[Image]:
        for index in range(self._count):
            yield self[index]


@dataclass(frozen=True, eq=False)
class SyntheticSequence:
    """Frames and where the target is in them.

    Attributes:
        settings: What the sequence was made from.
        frames: T images, ``(H, W, 3)`` RGB uint8.
        boxes_xywh: ``(T, 4)`` float: the exact bounds of the target's shape in the middle of the exposure, cut to the
            image. What hides the target does not change its box. NaN where ``absent``.
        visible: ``(T,)`` in 0..1: the share of the target's whole area that is inside the image and not hidden.
        absent: ``(T,)`` bool: less than a pixel of the target's width or height is in the image.
    """

    settings: SceneSettings
    frames: RenderedFrames
    boxes_xywh: Floats
    visible: Floats
    absent: NDArray[np.bool_]


def make_sequence(settings: SceneSettings) -> SyntheticSequence:
    """Make up a scene and measure its ground truth; frames are painted as they are read.

    The same settings give the same bytes on the same kind of processor with the same versions of numpy and OpenCV.

    Example:
        >>> sequence = make_sequence(SceneSettings(frames=30, seed=7))
        >>> for image, box in zip(sequence.frames, sequence.boxes_xywh): ...
    """
    scene = plan_scene(settings)
    boxes = np.stack([_box_xywh(outline, settings.size_wh) for outline in scene.target.outlines_xy])
    absent = np.isnan(boxes[:, 0])
    visible = np.array([0.0 if absent[frame] else _visible_share(scene, frame) for frame in range(settings.frames)])
    return SyntheticSequence(settings, RenderedFrames(scene), boxes, visible, absent)


def _box_xywh(outline_xy: Floats, size_wh: tuple[int, int]) -> Floats:
    bounds = visible_bounds_xyxy(outline_xy, size_wh)
    if bounds is None:
        return np.full(4, np.nan)
    return np.concatenate([bounds[:2], bounds[2:] - bounds[:2]])


def _visible_share(scene: Scene, frame: int) -> float:
    outline = scene.target.outlines_xy[frame]
    window = window_around(outline, scene.settings.size_wh)
    if window is None:
        return 0.0
    seen = coverage(outline, window)
    for moving in scene.in_front:
        seen = seen * (1.0 - coverage(moving.outlines_xy[frame], window))
    return min(1.0, float(seen.sum()) / area(outline))
