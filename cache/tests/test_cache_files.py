"""Writing whole files: what a person is told depends on whether there is no room or no such place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from trackcli_cache.errors import CacheError, WriteError
from trackcli_cache.files import write_whole


def test_a_place_that_cannot_be_written_to_is_not_a_full_disk(tmp_path: Path) -> None:
    with pytest.raises(CacheError, match=r"cannot write .*: No such file or directory; choose another") as caught:
        write_whole(tmp_path / "none" / "boxes.txt", b"1,2,3,4\n")
    assert not isinstance(caught.value, WriteError)


def test_a_full_disk_has_an_error_of_its_own_and_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "boxes.txt"
    path.write_bytes(b"old")

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(WriteError, match="No space left on device; free some space"):
        write_whole(path, b"new")
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("boxes.txt", b"old")]
