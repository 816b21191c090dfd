"""Errors of the cache: bad datasets, damaged or foreign caches."""

from __future__ import annotations


class CacheError(Exception):
    """Base of all errors that trackcli_cache raises on purpose."""


class WriteError(CacheError):
    """There is no room for a file: the disk or a quota is full, or files may not grow so large."""


class DatasetError(CacheError):
    """A dataset folder does not have the layout that its reader expects, or an annotation cannot be read."""


class CacheFormatError(CacheError):
    """A cache file is damaged, incomplete, of another version, or not a cache at all."""


class NewerFormatError(CacheFormatError):
    """A cache was written by a newer version of this package; building it again would lose what is right."""
