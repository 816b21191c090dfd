"""From what a person types to frames: a video file, an image, a folder of images, or a pattern."""

from __future__ import annotations

import glob
from pathlib import Path

from trackcli.errors import InputDataError, UsageError
from trackcli.video.frames import Frame, FrameSource, Warn
from trackcli.video.images import is_image_name, read_frames, sort_images

__all__ = ["Frame", "FrameSource", "open_source"]

EXPECTED = "expected a video file, an image, a folder of images or a pattern such as 'frames/*.jpg'"


def open_source(source: str, *, start: int = 0, end: int | None = None, warn: Warn) -> FrameSource:
    """Open whatever holds frames.

    A path that exists wins over a pattern, so that a folder called ``clip [/take]`` can be opened.

    Args:
        source: Path of a video file, an image or a folder of images, or a pattern that matches images.
        start: First frame to give, counted from the source's frame 0.
        end: Frame to stop before; ``None`` for the last.
        warn: Takes one line of text per problem that was worked around (an unreadable frame, an early end).

    Returns:
        The source, read up to its first readable frame.

    Raises:
        UsageError: if ``source`` is empty, ``start`` is negative or ``end`` does not lie behind it.
        InputDataError: if there is nothing there, or nothing in it that can be read.
    """
    if not source:
        raise UsageError(f"the source is an empty text; {EXPECTED}")
    if start < 0:
        raise UsageError(f"--start {start} is negative; expected a frame number from 0 on")
    if end is not None and end <= start:
        raise UsageError(
            f"--end {end} leaves no frame after --start {start}; expected a larger number (end is exclusive)"
        )
    opened = _open(source, start, end, warn)
    try:
        _ = opened.size_wh
    except BaseException:
        opened.close()
        raise
    return opened


def _open(source: str, start: int, end: int | None, warn: Warn) -> FrameSource:
    path = Path(source)
    if path.is_dir():
        paths = sort_images(path.iterdir())
        if not paths:
            hint = _folder_below(path)
            raise InputDataError(f"folder '{source}' holds no images (.jpg, .png, …){hint}; {EXPECTED}")
        return _open_images(path.name or str(path.resolve()), paths, start, end, warn)
    if path.is_file():
        return _open_file(path, start, end, warn)
    if path.exists():
        raise InputDataError(f"'{source}' is neither a file nor a folder; {EXPECTED}")
    if glob.has_magic(source):
        return _open_pattern(source, start, end, warn)
    raise InputDataError(f"nothing is there at '{source}'; {EXPECTED}")


def _folder_below(path: Path) -> str:
    """A hint, if it is a folder in this one that holds the images, as in many datasets."""
    for child in sorted(path.iterdir()):
        if child.is_dir() and any(map(is_image_name, child.iterdir())):
            return f", but '{child}' does"
    return ""


def _open_file(path: Path, start: int, end: int | None, warn: Warn) -> FrameSource:
    if is_image_name(path):
        return _open_images(path.name, [path], start, end, warn)
    # PyAV takes a while to import, and image folders do without it.
    from trackcli.video.files import open_video

    return open_video(path, start=start, end=end, warn=warn)


def _open_pattern(pattern: str, start: int, end: int | None, warn: Warn) -> FrameSource:
    matches = [Path(match) for match in glob.glob(pattern, recursive=True)]  # noqa: PTH207 - Path.glob takes no absolute pattern
    paths = sort_images(matches)
    if paths:
        return _open_images(pattern, paths, start, end, warn)
    if len(matches) == 1 and matches[0].is_file():
        return _open_file(matches[0], start, end, warn)
    raise InputDataError(f"pattern '{pattern}' matches {len(matches)} paths, none of them an image; {EXPECTED}")


def _open_images(name: str, paths: list[Path], start: int, end: int | None, warn: Warn) -> FrameSource:
    count = len(paths)
    if start >= count:
        raise InputDataError(f"--start {start} is beyond '{name}', which has {count} frames; choose 0 to {count - 1}")
    numbers = range(start, count if end is None else min(end, count))
    return FrameSource(name, read_frames(paths, numbers, warn), fps=None, frame_count=len(numbers), warn=warn)
