"""Every flipped byte of a cache is found and named; a picture shows what is in it."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from trackcli_cache.build import build_cache
from trackcli_cache.catalogue import open_dataset
from trackcli_cache.errors import CacheFormatError
from trackcli_cache.picture import draw_contact_sheet
from trackcli_cache.reader import CropCache
from trackcli_cache.verify import verify_cache


@pytest.fixture(params=["jpeg", "raw"])
def build(request, video_root, tmp_path):
    """Build the cache of a test, or build it again."""

    def build():
        reader = open_dataset("folder", video_root)
        return build_cache(reader, tmp_path / "cache", codec=request.param, max_objects_per_shard=2)

    return build


@pytest.fixture
def folder(build, tmp_path):
    build()
    return tmp_path / "cache"


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 0xFF
    path.write_bytes(content)


def place_of(path, dataset, offset_column=None, record=0):
    with h5py.File(path, "r") as file:
        return file[dataset].id.get_offset() + (int(file[offset_column][record]) if offset_column else 0)


def test_an_untouched_cache_is_intact(folder):
    seen = []
    found = verify_cache(folder, on_shard=lambda done, total: seen.append((done, total)))
    assert found.damaged == ()
    assert seen == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize("tier", ["exemplar", "search"])
def test_a_damaged_crop_is_named_by_its_record(folder, tier):
    path = folder / "shard-00001.h5"
    flip(path, place_of(path, "crops", f"{tier}_offset", record=1) + 700)
    (damage,) = verify_cache(folder).damaged
    assert (damage.shard, damage.record, damage.source) == ("shard-00001.h5", 1, "walk/img/f10.jpg")
    assert str(damage) == f"shard-00001.h5, record 1 (walk/img/f10.jpg): the checksum of the {tier} crop differs"


def test_every_damaged_place_is_named(folder):
    for name, record in (("shard-00000.h5", 0), ("shard-00000.h5", 1), ("shard-00002.h5", 0)):
        flip(folder / name, place_of(folder / name, "crops", "search_offset", record) + 99)
    places = [(item.shard, item.record) for item in verify_cache(folder).damaged]
    assert places == [("shard-00000.h5", 0), ("shard-00000.h5", 1), ("shard-00002.h5", 0)]


def test_a_changed_label_is_found_by_the_checksum_of_the_file(folder):
    path = folder / "shard-00000.h5"
    flip(path, place_of(path, "frame_number"))
    (damage,) = verify_cache(folder).damaged
    assert (damage.shard, damage.record) == ("shard-00000.h5", None)
    assert "though every crop is as it was written: labels are damaged" in damage.problem


def test_missing_and_truncated_shards_are_named_and_the_rest_is_checked(folder):
    (folder / "shard-00000.h5").unlink()
    (folder / "shard-00001.h5").write_bytes(b"short")
    flip(folder / "shard-00002.h5", place_of(folder / "shard-00002.h5", "crops") + 5)
    first, second, third = verify_cache(folder).damaged
    assert str(first).startswith("shard-00000.h5: is missing")
    assert str(second).startswith("shard-00001.h5: has 5 bytes; expected")
    assert third.record == 0


def test_every_byte_of_a_shard_is_covered(folder):
    path = folder / "shard-00002.h5"
    content = path.read_bytes()
    for place in np.linspace(0, len(content) - 1, 25, dtype=int):
        flip(path, int(place))
        assert verify_cache(folder).damaged, f"nobody noticed byte {place}"
        path.write_bytes(content)


def test_after_deleting_damaged_shards_the_same_build_repairs_the_cache(build, folder):
    before = {path.name: path.read_bytes() for path in folder.glob("shard-*")}
    (folder / "shard-00001.h5").unlink()
    report = build()
    assert (report.built, report.kept) == (1, 2)
    assert {path.name: path.read_bytes() for path in folder.glob("shard-*")} == before
    assert verify_cache(folder).damaged == ()


def test_only_a_finished_cache_can_be_checked(tmp_path):
    with pytest.raises(CacheFormatError, match="is no finished crop cache"):
        verify_cache(tmp_path)


# The contact sheet


def test_the_contact_sheet_shows_boxes_outlines_and_crops(stills_root, tmp_path):
    build_cache(open_dataset("folder", stills_root), tmp_path / "cache")
    with CropCache.open(tmp_path / "cache") as cache:
        sheet = draw_contact_sheet(cache)
    colours = sheet.reshape(-1, 3).astype(int)

    def pixels_near(colour):
        return int((np.abs(colours - colour).max(1) < 40).sum())

    plain = [pixels_near(colour) for colour in ((0, 230, 0), (255, 170, 0), (0, 200, 255))]
    assert sheet.shape == (8 + 18 + 288 + 8, 8 + 3 * (96 + 8 + 288 + 16), 3)
    assert all(count > 100 for count in plain)


def test_a_large_cache_gives_a_sheet_of_bounded_size(video_root, tmp_path):
    build_cache(open_dataset("folder", video_root), tmp_path / "cache")
    with CropCache.open(tmp_path / "cache") as cache:
        assert draw_contact_sheet(cache, rows=1).shape[0] == 322
        assert draw_contact_sheet(cache, rows=9).shape[0] == 2 * 314 + 8
