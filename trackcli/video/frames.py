"""What a source gives: numbered frames, some of them unreadable, and warnings that do not flood the terminal."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self

from trackcli.errors import InputDataError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Warn = Callable[[str], None]


@dataclass(frozen=True)
class Frame:
    """One frame of a source.

    Attributes:
        index: Number of the frame in the source, from 0; ``--start`` does not renumber.
        time_s: Seconds since the source's frame 0.
        image: ``(H, W, 3)`` uint8, RGB, upright; ``None`` if the frame cannot be read.
    """

    index: int
    time_s: float
    image: NDArray[np.uint8] | None


@dataclass(frozen=True)
class StreamSettings:
    """How patient to be with a stream.

    Attributes:
        timeout_s: Seconds to wait for a connection, and for the next frame.
        reconnects: How often to connect again; 0 gives up at the first failure. For a live stream, a connection that
            held for longer than twice ``timeout_s`` starts the count anew.
    """

    timeout_s: float = 10.0
    reconnects: int = 3

    def __post_init__(self) -> None:
        if not 0 < self.timeout_s <= 3600:
            raise UsageError(f"--timeout {self.timeout_s:g} makes no sense; expected seconds above 0, up to 3600")
        if not 0 <= self.reconnects <= 1000:
            raise UsageError(f"--reconnects {self.reconnects} makes no sense; expected a number from 0 to 1000")


def start_is_beyond(start: int, name: str, count: int) -> InputDataError:
    """The error that a source has fewer frames than ``--start`` asks for."""
    return InputDataError(f"--start {start} is beyond '{name}', which has {count} frames; choose 0 to {count - 1}")


class FrameSource:
    """Frames one after the other, read as they are asked for; iterate once, close at the end.

    Attributes:
        name: What to call the source in messages: a file's or a folder's name, or the pattern.
        fps: Mean frames per second; ``None`` if the source has no clock (images).
        frame_count: How many frames iterating will give, when that is known beforehand.

    Example:
        >>> with open_source("clip.mp4", warn=print) as source:
        ...     for frame in source:
        ...         print(frame.index, frame.time_s)
    """

    def __init__(
        self,
        name: str,
        frames: Iterator[Frame],
        *,
        fps: float | None,
        frame_count: int | None,
        close: Callable[[], None] = lambda: None,
        warn: Warn = lambda text: None,
    ) -> None:
        self.name = name
        self.fps = fps
        self.frame_count = frame_count
        self._frames = frames
        self._read_ahead: deque[Frame] = deque()
        self._size_wh: tuple[int, int] | None = None
        self._close = close
        self._warn = warn
        self._changes_size = False

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height in pixels of the first readable frame; reads up to it, later frames may differ.

        Raises:
            InputDataError: if no frame can be read.
        """
        if self._size_wh is None:
            self._size_wh = self._find_size()
        return self._size_wh

    def _find_size(self) -> tuple[int, int]:
        for frame in self._frames:
            self._read_ahead.append(frame)
            if frame.image is not None:
                return frame.image.shape[1], frame.image.shape[0]
        count = len(self._read_ahead)
        problem = f"no frame of '{self.name}' can be read ({count} tried)" if count else f"'{self.name}' has no frames"
        raise InputDataError(f"{problem}; expected a video or images; check the file in a player")

    def __iter__(self) -> Iterator[Frame]:
        while self._read_ahead:
            yield self._read_ahead.popleft()
        for frame in self._frames:
            self._watch_size(frame)
            yield frame

    def _watch_size(self, frame: Frame) -> None:
        """Say it once, if a frame has another size than the first one: it may be a stray from elsewhere."""
        if frame.image is None or self._changes_size:
            return
        height, width = frame.image.shape[:2]
        self._size_wh = self._size_wh or (width, height)
        if (width, height) != self._size_wh:
            self._changes_size = True
            self._warn(
                f"frame {frame.index} of '{self.name}' is {width}x{height} pixels, the first one is "
                f"{self._size_wh[0]}x{self._size_wh[1]}; boxes are in each frame's own pixels"
            )

    def close(self) -> None:
        """Let go of files and decoders; closing twice is fine."""
        self._read_ahead.clear()
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class LimitedWarnings:
    """Passes on the first warnings and counts the rest, so that a badly damaged file does not flood the terminal.

    Args:
        warn: Takes one line of text.
        limit: How many are passed on.
    """

    def __init__(self, warn: Warn, limit: int = 10) -> None:
        self._warn = warn
        self._limit = limit
        self._numbers = itertools.count(1)

    def __call__(self, text: str) -> None:
        """Pass ``text`` on, or drop it once the limit is reached (and say so once)."""
        number = next(self._numbers)
        if number <= self._limit:
            self._warn(text)
        elif number == self._limit + 1:
            self._warn("more of these follow and are not shown")
