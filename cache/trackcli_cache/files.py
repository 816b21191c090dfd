"""Writing that survives being interrupted: beside the target, fsync, rename; one writer per folder."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from trackcli_cache.errors import CacheError, WriteError

PART_SUFFIX = ".part"
LOCK_NAME = ".lock"

_NO_ROOM = {getattr(errno, name) for name in ("ENOSPC", "EDQUOT", "EFBIG") if hasattr(errno, name)}


def write_whole(path: Path, content: bytes | memoryview) -> None:
    """Write a file so that under its name there is either nothing, the old content or all of the new.

    No other file is touched, whatever its name.

    Raises:
        WriteError: if the disk is full; nothing is left behind.
        CacheError: if it cannot be written there (no permission, no such folder); nothing is left behind.
    """
    publish(write_beside(path, content), path)


def write_beside(path: Path, content: bytes | memoryview) -> Path:
    """Write a file's content under a name of its own, to be given its real name by :func:`publish`.

    The name is new every time: two processes that both believe to be the writer do not mix their bytes.

    Raises:
        WriteError: if the disk is full; nothing is left behind.
        CacheError: if it cannot be written there (no permission, no such folder); nothing is left behind.
    """
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}{PART_SUFFIX}")
    _write_part(part, path, content)
    return part


def publish(part: Path, path: Path) -> None:
    """Give a written file its name, for good.

    Raises:
        CacheError: if that fails, a :class:`WriteError` if the disk is full; the part is removed.
    """
    with _removed_on_failure(part, path):
        part.replace(path)
        _sync_folder(path.parent)


def _write_part(part: Path, path: Path, content: bytes | memoryview) -> None:
    with _removed_on_failure(part, path), part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _removed_on_failure(part: Path, path: Path) -> Iterator[None]:
    """Leave nothing half-written, not even after Ctrl-C."""
    try:
        yield
    except BaseException as error:
        part.unlink(missing_ok=True)
        if isinstance(error, OSError):
            if error.errno in _NO_ROOM:
                raise WriteError(
                    f"cannot write {path}: {error.strerror}; free some space or choose another --output"
                ) from error
            raise CacheError(f"cannot write {path}: {error.strerror}; choose another --output") from error
        raise


@contextmanager
def only_writer(folder: Path, *, name: str = LOCK_NAME, wait: float = 0) -> Iterator[None]:
    """Hold the folder's lock while the block runs; the system drops it if the process dies.

    Args:
        folder: Made if missing.
        name: Of the lock's file; whoever takes another name is not kept out.
        wait: How many seconds to wait for another process to finish.

    Raises:
        CacheError: if another process writes there, or the folder cannot be made.
    """
    lock = FileLock(folder / name, timeout=wait)
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
