"""From what a person types to frames: a file, an image, a folder of images, a pattern, an address or a camera."""

from __future__ import annotations

import glob
from pathlib import Path

from trackcli.errors import InputDataError, UsageError
from trackcli.redaction import is_url
from trackcli.video.frames import Frame, FrameSource, StreamSettings, Warn, start_is_beyond
from trackcli.video.images import count_pictures, is_image_name, read_frames, sort_images

__all__ = ["Frame", "FrameSource", "StreamSettings", "open_source"]

EXPECTED = "expected a video file, an image, a folder of images or a pattern such as 'frames/*.jpg'"


def open_source(
    source: str, *, start: int = 0, end: int | None = None, warn: Warn, stream: StreamSettings | None = None
) -> FrameSource:
    """Open whatever holds frames.

    A path that exists wins over all else, so that a folder called ``clip [/take]`` can be opened.

    Args:
        source: Path of a video file, an image or a folder of images; a pattern that matches images; an address such as
            ``rtsp://…`` or ``https://…``; or the number of a camera.
        start: First frame to give, counted from the source's frame 0.
        end: Frame to stop before; ``None`` for the last.
        warn: Takes one line of text per problem that was worked around (an unreadable frame, an early end).
        stream: How patient to be with addresses and cameras.

    Returns:
        The source, read up to its first readable frame.

    Raises:
        UsageError: if ``source`` is empty or an address of an unknown kind, ``start`` is negative or ``end`` does not
            lie behind it.
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
    opened = _open(source, start, end, warn, stream)
    try:
        _ = opened.size_wh
    except BaseException:
        opened.close()
        raise
    return opened


def _open(source: str, start: int, end: int | None, warn: Warn, stream: StreamSettings | None) -> FrameSource:
    path = Path(source)
    if not _exists(path) and (is_url(source) or is_camera(source)):
        from trackcli.video.streams import open_camera, open_stream

        if is_camera(source):
            return open_camera(int(source), start=start, end=end, warn=warn, settings=stream)
        return open_stream(source, start=start, end=end, warn=warn, settings=stream)
    try:
        return _open_path(path, source, start, end, warn)
    except OSError as error:
        raise InputDataError(f"'{source}' cannot be read: {error.strerror or error}; {EXPECTED}") from error


def is_camera(source: str) -> bool:
    """Whether a source is the number of a camera."""
    return source.isascii() and source.isdigit() and len(source) <= 4


def is_read_by(path: Path, source: str) -> bool:
    """Whether a file is what frames are read from: the source itself, or one of what its pattern matches."""
    return path.is_file() and any(path.samefile(each) for each in _named_by(source))


def is_read_from(folder: Path, source: str) -> bool:
    """Whether frames are read from files in a folder: it is the source, or what the source names lies in it."""
    return folder.is_dir() and any(folder.samefile(each) or folder.samefile(each.parent) for each in _named_by(source))


def _named_by(source: str) -> list[Path]:
    """What is there of what a source names: itself, or what its pattern matches."""
    if is_url(source):
        return []
    named = [Path(source)] if _exists(Path(source)) else [Path(match) for match in _matches(source)]
    return [path for path in named if _exists(path)]


def _matches(pattern: str) -> list[str]:
    """What a pattern matches; brackets in the names of folders that exist mean themselves."""
    for folder in Path(pattern).parents:  # the longest first
        if _exists(folder):
            pattern = str(Path(glob.escape(str(folder))) / Path(pattern).relative_to(folder))
            break
    return glob.glob(pattern, recursive=True)  # noqa: PTH207 - Path.glob takes no absolute pattern


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # too long for a path, a circle of links, or a name that no path has
        return False


def _open_path(path: Path, source: str, start: int, end: int | None, warn: Warn) -> FrameSource:
    if path.is_dir():
        paths = sort_images(path.iterdir())
        if not paths:
            hint = _folder_below(path)
            raise InputDataError(f"folder '{source}' holds no images (.jpg, .png, …){hint}; {EXPECTED}")
        return _open_images(path.name or str(path.resolve()), paths, start, end, warn)
    if path.is_file():
        return _open_file(path, start, end, warn)
    if _exists(path):
        raise InputDataError(f"'{source}' is neither a file nor a folder; {EXPECTED}")
    if glob.has_magic(source):
        return _open_pattern(source, start, end, warn)
    raise InputDataError(
        f"nothing is there at '{source}'; expected a video file, an image, a folder of images, a pattern such as "
        "'frames/*.jpg', an address such as rtsp://… or the number of a camera"
    )


def _folder_below(path: Path) -> str:
    """A hint, if it is a folder in this one that holds the images, as in many datasets."""
    for child in sorted(path.iterdir()):
        if child.is_dir() and any(map(is_image_name, child.iterdir())):
            return f", but '{child}' does"
    return ""


def _open_file(path: Path, start: int, end: int | None, warn: Warn) -> FrameSource:
    if is_image_name(path):
        # OpenCV decodes animations only as a whole, whatever memory that takes, and PyAV not all of them.
        if (count := count_pictures(path)) > 1:
            warn(f"'{path}' holds {count} pictures and only the first is read; save them as a video, or in a folder")
        return _open_images(path.name, [path], start, end, warn)
    # PyAV takes a while to import, and image folders do without it.
    from trackcli.video.files import open_video

    return open_video(path, start=start, end=end, warn=warn)


def _open_pattern(pattern: str, start: int, end: int | None, warn: Warn) -> FrameSource:
    matches = [Path(match) for match in _matches(pattern)]
    paths = sort_images(matches)
    if paths:
        return _open_images(pattern, paths, start, end, warn)
    if len(matches) == 1 and matches[0].is_file():
        return _open_file(matches[0], start, end, warn)
    raise InputDataError(f"pattern '{pattern}' matches {len(matches)} paths, none of them an image; {EXPECTED}")


def _open_images(name: str, paths: list[Path], start: int, end: int | None, warn: Warn) -> FrameSource:
    count = len(paths)
    if start >= count:
        raise start_is_beyond(start, name, count)
    numbers = range(start, count if end is None else min(end, count))
    return FrameSource(name, read_frames(paths, numbers, warn), fps=None, frame_count=len(numbers), warn=warn)
