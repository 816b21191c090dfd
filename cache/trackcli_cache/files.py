"""Writing that survives being interrupted: beside the target, fsync, rename; one writer per folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from trackcli_cache.errors import CacheError

PART_SUFFIX = ".part"
LOCK_NAME = ".lock"


def write_whole(path: Path, content: bytes | memoryview) -> None:
    """Write a file so that under its name there is either nothing, the old content or all of the new.

    Raises:
        CacheError: if it cannot be written (disk full, no permission); nothing is left behind.
    """
    part = path.with_name(path.name + PART_SUFFIX)
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise CacheError(
            f"cannot write {path}: {error.strerror}; free some space or choose another --output"
        ) from error


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Hold the folder's lock while the block runs; the system drops it if the process dies.

    Raises:
        CacheError: if another process writes there, or the folder cannot be made.
    """
    lock = FileLock(folder / LOCK_NAME, timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise CacheError(f"another process is writing to {folder}; wait for it or choose another --output") from None
    except OSError as error:
        raise CacheError(f"cannot write to {folder}: {error.strerror}; choose another --output") from error
    try:
        yield
    finally:
        lock.release()


def _sync_folder(folder: Path) -> None:
    """Make a rename last through a power cut; Windows has no such call, and needs none."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
