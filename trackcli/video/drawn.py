"""A video with the targets drawn into it: the built-in sink for ``.mp4`` and its relatives."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np

from trackcli.video.drawing import draw_boxes
from trackcli.video.sinks import VideoSink

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trackcli.tracking.run import TrackedFrame
    from trackcli.video.outputs import SinkContext


class DrawnVideo:
    """Draws each frame's boxes and appends it to a video; an unreadable frame shows the last picture.

    Args:
        path: The video to write; see :class:`trackcli.video.sinks.VideoSink`.
        context: Names, size and rate; a lone target without a name of its own gets no label.

    Raises:
        UsageError: as ``VideoSink``.
    """

    def __init__(self, path: Path, context: SinkContext) -> None:
        width, height = context.size_wh
        self._sink = VideoSink(path, context.fps, context.size_wh)
        self._timer = context.timer
        self._labels = context.names if context.names != ("1",) else ()
        self._image: NDArray[np.uint8] = np.zeros((height, width, 3), np.uint8)

    def write(self, frame: TrackedFrame) -> None:
        """Draw one frame and append it.

        Raises:
            TrackcliError: if the disk is full; nothing is left then.
        """
        self._image = self._image if frame.image is None else frame.image
        with self._timer.stage("draw"):
            drawn = draw_boxes(self._image, frame.boxes_xyxy, self._labels, frame.scores)
        with self._timer.stage("encode"):
            self._sink.write(drawn, frame.time_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sink.close()
