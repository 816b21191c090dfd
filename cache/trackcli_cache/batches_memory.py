"""Memory of batches, used again once nobody holds the batch any more.

A batch takes tens of megabytes. Fresh memory comes from the system page by page, each cleared first, which takes longer
than reading raw crops into it.
"""

from __future__ import annotations

import math
import sys
import threading
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

KEPT = 16
"""Arrays that a thread keeps for later; further ones are ordinary memory."""


def _references_when_unused() -> int:
    """References to an array that only a list holds: that list's, and what the interpreter itself needs for asking."""
    kept = [np.empty(0)]
    return sys.getrefcount(kept[0])


_UNUSED = _references_when_unused()


class RecycledMemory(threading.local):
    """Gives uninitialised contiguous arrays. Each thread has its own; pickles as a new one.

    An array is given out again when neither it, nor any view, nor any tensor made from it is referenced.

    Args:
        dtype: Of the arrays.
    """

    def __init__(self, dtype: DTypeLike = np.uint8) -> None:
        self._dtype = np.dtype(dtype)
        self._kept: list[NDArray[Any]] = []

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self._dtype,)

    def __call__(self, shape: tuple[int, ...]) -> NDArray[Any]:
        """An array of this shape with any content."""
        count = math.prod(shape)
        for place in range(len(self._kept)):
            if self._kept[place].size == count and sys.getrefcount(self._kept[place]) == _UNUSED:
                return self._kept[place].reshape(shape)
        fresh = np.empty(count, self._dtype)
        if len(self._kept) < KEPT:
            self._kept.append(fresh)
        return fresh.reshape(shape)
