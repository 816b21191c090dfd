"""Memory of batches is used again when nobody holds the batch, and never before."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from trackcli_cache.batches_memory import KEPT, RecycledMemory


def address(array: np.ndarray) -> int:
    return int(array.ctypes.data)


def test_an_array_that_nobody_holds_is_given_out_again() -> None:
    memory = RecycledMemory()
    first = memory((4, 5, 3))
    place = address(first)
    del first
    assert address(memory((4, 5, 3))) == place


def test_another_shape_of_the_same_size_is_the_same_memory() -> None:
    memory = RecycledMemory()
    place = address(memory((4, 5, 3)))
    assert address(memory((60,))) == place


@pytest.mark.parametrize(
    "hold", [lambda array: array, lambda array: array[1:2, ::2], lambda array: array.T[::3].reshape(2, 2, 2)[:, 1]]
)
def test_what_is_held_even_in_part_is_not_given_out(hold: Callable[[np.ndarray], np.ndarray]) -> None:
    memory = RecycledMemory()
    held = hold(memory((4, 4)))
    held[...] = 7
    memory((4, 4))[...] = 0
    assert (held == 7).all()


def test_what_a_tensor_holds_is_not_given_out() -> None:
    torch = pytest.importorskip("torch")
    memory = RecycledMemory(np.float32)
    held = torch.from_numpy(memory((4, 4))).permute(1, 0)[:2]
    held.fill_(7)
    memory((4, 4))[...] = 0
    assert bool((held == 7).all())


def test_threads_have_memory_of_their_own() -> None:
    memory = RecycledMemory()
    place = address(memory((1000, 1000)))
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(lambda: memory((1000, 1000))).result()
    assert address(other) != place


def test_more_than_is_kept_is_ordinary_memory() -> None:
    memory = RecycledMemory()
    held = [memory((100,)) for _ in range(KEPT + 3)]
    assert len({address(each) for each in held}) == KEPT + 3


def test_it_has_the_type_it_was_asked_for_and_pickles() -> None:
    array = pickle.loads(pickle.dumps(RecycledMemory(np.float32)))((2, 3))
    assert array.dtype == np.float32 and array.shape == (2, 3) and array.flags.c_contiguous
