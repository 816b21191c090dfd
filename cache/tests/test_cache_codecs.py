"""Raw crops: the same records, pixels without loss, read into buffers that are there already."""

from __future__ import annotations

import cv2
import h5py
import numpy as np
import pytest
from trackcli_cache import crop_files
from trackcli_cache.build import build_cache
from trackcli_cache.catalogue import open_dataset
from trackcli_cache.encode import read_rgb
from trackcli_cache.errors import CacheFormatError
from trackcli_cache.jpeg import decode_rows, encode_crop
from trackcli_cache.reader import CropCache
from trackcli_cache.windows import SquareWindow, cut_crop, mean_colour


@pytest.fixture
def raw(video_root, tmp_path):
    build_cache(open_dataset("folder", video_root), tmp_path / "raw", codec="raw", max_objects_per_shard=2)
    with CropCache.open(tmp_path / "raw") as cache:
        yield cache


@pytest.fixture
def jpeg(video_root, tmp_path):
    build_cache(open_dataset("folder", video_root), tmp_path / "jpeg", max_objects_per_shard=2)
    with CropCache.open(tmp_path / "jpeg") as cache:
        yield cache


def test_raw_crops_are_the_very_pixels_that_were_cut(video_root, raw):
    assert raw.codec == "raw"
    for index in range(len(raw)):
        record = raw.record(index)
        image = read_rgb(video_root / record.path)
        for crop, (x, y, right, _), side in (
            (raw.search_crop(index), record.search_window_xyxy, 432),
            (raw.exemplar_crop(index), record.exemplar_window_xyxy, 144),
        ):
            expected = cut_crop(image, SquareWindow(int(x), int(y), int(right - x)), side, mean_colour(image))
            assert np.array_equal(crop, expected)


def test_both_codecs_hold_the_same_records(raw, jpeg):
    assert len(raw) == len(jpeg) == 5
    for index in range(5):
        assert np.array_equal(raw.record(index).box_xyxy, jpeg.record(index).box_xyxy)
        assert raw.record(index).path == jpeg.record(index).path
        assert np.abs(raw.search_crop(index).astype(int) - jpeg.search_crop(index)).mean() < 3


@pytest.mark.parametrize("codec", ["raw", "jpeg"])
def test_crops_are_read_into_given_buffers(request, codec):
    cache = request.getfixturevalue(codec)
    batch = np.zeros((5, 432, 432, 3), np.uint8)
    templates = np.zeros((5, 144, 144, 3), np.uint8)
    for index in range(5):
        cache.read_search_into(index, batch[index])
        cache.read_exemplar_into(index, templates[index])
    assert np.array_equal(batch, [cache.search_crop(index) for index in range(5)])
    assert np.array_equal(templates, [cache.exemplar_crop(index) for index in range(5)])


@pytest.mark.parametrize("codec", ["raw", "jpeg"])
@pytest.mark.parametrize(("first", "stop"), [(0, 432), (100, 355), (431, 432), (7, 7)])
def test_rows_of_a_crop_are_read_alone(request, codec, first, stop):
    cache = request.getfixturevalue(codec)
    assert np.array_equal(cache.search_rows(1, first, stop), cache.search_crop(1)[first:stop])
    rows = min(first, 144), min(stop, 144)
    assert np.array_equal(cache.exemplar_rows(1, *rows), cache.exemplar_crop(1)[slice(*rows)])


@pytest.mark.parametrize(("first", "stop"), [(-1, 3), (5, 4), (0, 433)])
def test_rows_outside_a_crop_are_an_index_error(raw, first, stop):
    with pytest.raises(IndexError, match=f"rows {first} to {stop} of a crop of 432 rows"):
        raw.search_rows(0, first, stop)


@pytest.mark.parametrize("codec", ["raw", "jpeg"])
def test_a_buffer_that_does_not_fit_is_refused(request, codec):
    cache = request.getfixturevalue(codec)
    wide = np.zeros((432, 433, 3), np.uint8)
    frozen = np.zeros((432, 432, 3), np.uint8)
    frozen.flags.writeable = False
    for out in (wide, wide[:, :432], np.zeros((432, 432, 3), np.float32), frozen, np.zeros((144, 144, 3), np.uint8)):
        with pytest.raises(ValueError, match="expected writable, contiguous uint8 of shape"):
            cache.read_search_into(0, out)


def test_a_crop_is_in_one_piece_where_the_columns_say(raw):
    # What the format promises to readers without this package: pixels lie in the file as rows of RGB.
    path = raw.path / "shard-00000.h5"
    with h5py.File(path, "r") as file:
        start = file["crops"].id.get_offset() + int(file["search_offset"][1])
        assert file.attrs["codec"] == "raw"
        assert file["search_length"][1] == 432 * 432 * 3
    content = path.read_bytes()[start : start + 432 * 432 * 3]
    assert np.array_equal(np.frombuffer(content, np.uint8).reshape(432, 432, 3), raw.search_crop(1))


def test_raw_lengths_that_are_no_crop_are_refused(raw):
    with h5py.File(raw.path / "shard-00001.h5", "r+") as file:
        file["search_length"][0] = 100
    with pytest.raises(CacheFormatError, match="search crops are not all of the 559872 bytes of 432x432 pixels"):
        CropCache.open(raw.path)


def test_a_shard_that_shrank_while_it_was_open_is_named(raw):
    path = raw.path / "shard-00000.h5"
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(CacheFormatError, match=r"shard-00000\.h5, record 1: the file ends before the crop does"):
        raw.search_crop(1)


def test_more_shards_than_files_may_be_open_are_read_all_the_same(raw, monkeypatch):
    expected = [raw.search_crop(index) for index in range(5)]
    raw.close()
    monkeypatch.setattr(crop_files, "MAX_OPEN_FILES", 1)
    assert all(np.array_equal(raw.search_crop(index), expected[index]) for index in (0, 4, 2, 4, 0))


@pytest.mark.skipif(not hasattr(crop_files.os, "preadv"), reason="this system reads by seeking anyway")
def test_systems_without_positioned_reads_get_the_same_bytes(raw, jpeg, monkeypatch):
    expected = [cache.search_crop(3) for cache in (raw, jpeg)]
    monkeypatch.setattr(crop_files, "_positioned_read", crop_files._seek_and_read)
    monkeypatch.setattr(crop_files, "_positioned_read_into", crop_files._copying_read)
    assert np.array_equal(raw.search_crop(3), expected[0])
    assert np.array_equal(jpeg.search_crop(3), expected[1])


@pytest.mark.parametrize(("first", "stop"), [(0, 432), (0, 1), (88, 344), (16, 32), (100, 101), (400, 432), (7, 7)])
def test_some_rows_of_a_jpeg_crop_are_those_of_the_whole(jpeg, first, stop):
    whole = jpeg.search_crop(2)
    memory = np.zeros((432, 432, 3), np.uint8)
    assert np.array_equal(jpeg.search_rows(2, first, stop), whole[first:stop])
    assert np.array_equal(jpeg.search_rows(2, first, stop, memory), whole[first:stop])


def test_few_rows_of_a_jpeg_crop_are_decoded_without_most_others():
    data = encode_crop(np.random.default_rng(0).integers(0, 255, (432, 432, 3), dtype=np.uint8), 90)
    memory = np.full((432, 432, 3), 7, np.uint8)
    decode_rows(data, 432, 200, 210, memory)
    assert (memory[32:] == 7).all()  # two rows of cells were


def test_a_jpeg_without_markers_between_its_rows_is_decoded_as_a_whole():
    crop = np.random.default_rng(0).integers(0, 255, (144, 144, 3), dtype=np.uint8)
    data = cv2.imencode(".jpg", crop)[1].tobytes()
    assert np.array_equal(decode_rows(data, 144, 50, 70), decode_rows(data, 144, 0, 144)[50:70])


def test_a_jpeg_of_another_size_is_refused_whatever_its_rows():
    data = encode_crop(np.zeros((160, 160, 3), np.uint8), 90)
    for first, stop in ((0, 144), (50, 70)):
        with pytest.raises(CacheFormatError, match=r"^a crop of 160x160 px where 144x144 are expected$"):
            decode_rows(data, 144, first, stop)


def test_a_crop_that_is_no_jpeg_is_refused():
    whole = encode_crop(np.zeros((144, 144, 3), np.uint8), 90)
    for data in (b"", b"\xff\xd8", b"no picture", whole[:300], b"\xff\xd8\xff\xc0\x00\x00" * 40):
        with pytest.raises(CacheFormatError):
            decode_rows(data, 144, 50, 70)
