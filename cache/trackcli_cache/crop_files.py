"""Positioned reads from many shard files: from any thread, after ``fork``, with a bounded number of open files."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trackcli_cache.errors import CacheFormatError

MAX_OPEN_FILES = 256
"""Kept open. Systems allow about a thousand and a cache may have more shards: those beyond are opened for each read."""

_READ_ONLY = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_SEEKING = threading.Lock()


class CropFiles:
    """Files that are read at any place by any thread.

    Args:
        paths: The files; they are known by their place in this list.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = tuple(paths)
        self._descriptors: dict[int, int] = {}
        self._finalizer = weakref.finalize(self, _close_all, self._descriptors)

    def close(self) -> None:
        """Close this process's files; reading opens them again."""
        _close_all(self._descriptors)

    def read(self, file: int, offset: int, length: int) -> bytes:
        """Bytes of a file.

        Raises:
            CacheFormatError: if it cannot be opened or ends too early.
        """
        descriptor = self._descriptors.get(file)
        if descriptor is not None:
            return _read(descriptor, offset, length)
        with self._open(file) as opened:
            return _read(opened, offset, length)

    def read_into(self, file: int, offset: int, out: NDArray[np.uint8]) -> None:
        """Fill a contiguous array from a file, without a copy in between.

        Raises:
            CacheFormatError: if the file cannot be opened or ends too early.
        """
        descriptor = self._descriptors.get(file)
        if descriptor is not None:
            _read_into(descriptor, offset, out)
            return
        with self._open(file) as opened:
            _read_into(opened, offset, out)

    @contextmanager
    def _open(self, file: int) -> Iterator[int]:
        """Open a file, for good if there is room. Racing threads agree without a lock, which ``fork`` could break."""
        try:
            opened = os.open(self._paths[file], _READ_ONLY)
        except OSError as error:
            raise CacheFormatError(f"cannot be opened: {error.strerror}") from error
        if len(self._descriptors) < MAX_OPEN_FILES and self._descriptors.setdefault(file, opened) == opened:
            yield opened
            return
        try:
            yield opened
        finally:
            os.close(opened)


def _read(descriptor: int, offset: int, length: int) -> bytes:
    data: bytes = _positioned_read(descriptor, length, offset)
    while len(data) < length:  # a read may return less than was asked for
        more = _positioned_read(descriptor, length - len(data), offset + len(data))
        if not more:
            raise _too_short()
        data += more
    return data


def _read_into(descriptor: int, offset: int, out: NDArray[np.uint8]) -> None:
    done = _positioned_read_into(descriptor, out, offset)
    while done < out.nbytes:
        more = _positioned_read_into(descriptor, out.reshape(-1)[done:], offset + done)
        if not more:
            raise _too_short()
        done += more


def _too_short() -> CacheFormatError:
    return CacheFormatError("the file ends before the crop does")


def _seek_and_read(descriptor: int, length: int, offset: int) -> bytes:
    """``os.pread`` for systems without it: one reader at a time."""
    with _SEEKING:
        os.lseek(descriptor, offset, os.SEEK_SET)
        return os.read(descriptor, length)


_positioned_read = getattr(os, "pread", _seek_and_read)


def _vectored_read(descriptor: int, out: NDArray[np.uint8], offset: int) -> int:
    return os.preadv(descriptor, [out.data], offset)


def _copying_read(descriptor: int, out: NDArray[np.uint8], offset: int) -> int:
    """For systems without ``os.preadv``."""
    data: bytes = _positioned_read(descriptor, out.nbytes, offset)
    out.reshape(-1)[: len(data)] = np.frombuffer(data, np.uint8)
    return len(data)


_positioned_read_into = _vectored_read if hasattr(os, "preadv") else _copying_read


def _close_all(descriptors: dict[int, int]) -> None:
    while descriptors:
        _, descriptor = descriptors.popitem()
        os.close(descriptor)
