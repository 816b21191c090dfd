from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trackcli_cache.build import build_cache
from trackcli_cache.catalogue import open_dataset
from trackcli_cache.encode import read_rgb
from trackcli_cache.errors import CacheFormatError
from trackcli_cache.reader import CropCache
from trackcli_cache.windows import SquareWindow, cut_crop, mean_colour

OPEN_FILES = Path("/proc/self/fd")


@pytest.fixture
def stills(stills_root, tmp_path):
    build_cache(open_dataset("folder", stills_root), tmp_path / "cache")
    with CropCache.open(tmp_path / "cache") as cache:
        yield cache


@pytest.fixture
def video(video_root, tmp_path):
    build_cache(open_dataset("folder", video_root), tmp_path / "cache", max_objects_per_shard=2)
    with CropCache.open(tmp_path / "cache") as cache:
        yield cache


def test_columns_describe_every_record(stills):
    assert len(stills) == 3
    assert [(entry.name, entry.still) for entry in stills.sequences] == [("zoo", True)]
    assert stills.categories == ("bird", "cat", "dog")
    assert stills.category_ids.tolist() == [2, 1, 1]
    assert stills.track_ids.tolist() == [0, 1, 3]
    assert stills.sequence_ids.tolist() == [0, 0, 0]
    assert stills.frame_numbers.tolist() == [0, 0, 1]
    assert stills.has_polygon.tolist() == [True, False, False]
    assert np.allclose(stills.target_sizes, [[16, 12], [16, 12], [20, 20]])


def test_a_record_keeps_all_other_boxes_of_its_crop(stills):
    record = stills.record(0)
    assert (record.path, record.image_size_wh) == ("zoo/img/a2.jpg", (96, 64))
    assert np.allclose(record.source_box_xyxy, [10, 20, 26, 32])
    # The tiny bird has no record of its own, but is another object here; its box reaches into the crop.
    others = record.other_boxes_xyxy * record.search_scale + np.tile(record.search_window_xyxy[:2], 2)
    assert record.other_category_ids.tolist() == [1, 0]
    assert record.other_track_ids.tolist() == [1, 2]
    assert np.allclose(others, [[30, 20, 46, 32], [60, 5, 63, 8]])


def test_boxes_beside_the_crop_are_left_out(stills_root, tmp_path):
    boxes = {"a2.jpg": [[2, 2, 5, 5, "cat"], [80, 50, 10, 10, "dog"]]}
    (stills_root / "zoo" / "boxes.json").write_text(json.dumps(boxes))
    (stills_root / "zoo" / "polys.json").unlink()
    build_cache(open_dataset("folder", stills_root), tmp_path / "cache")
    with CropCache.open(tmp_path / "cache") as cache:
        assert len(cache.record(0).other_boxes_xyxy) == 0
        assert cache.record(0).other_polygons == ()


def test_outlines_are_in_search_crop_pixels_for_target_and_others(stills):
    first, second = stills.record(0), stills.record(1)
    expected = [[10, 20], [26, 20], [26, 32]]
    for record, polygons in ((first, first.target_polygons), (second, second.other_polygons[0])):
        assert [len(points) for points in polygons] == [3, 3]
        source = polygons[0] * record.search_scale + record.search_window_xyxy[:2]
        assert polygons[0].dtype == np.float32
        assert np.allclose(source, expected, atol=1e-3)
    assert second.target_polygons == ()
    assert first.other_polygons == ((), ())


def test_a_mask_becomes_an_outline(video):
    record = video.record(0)
    (outline,) = record.target_polygons
    assert np.allclose(outline.min(0), record.box_xyxy[:2] + 0.5 / record.search_scale, atol=1e-3)


def test_crops_show_the_windows_that_the_record_names(stills_root, stills):
    for index in range(len(stills)):
        record = stills.record(index)
        image = read_rgb(stills_root / record.path)
        pairs = (
            (stills.search_crop(index), record.search_window_xyxy, 432),
            (stills.exemplar_crop(index), record.exemplar_window_xyxy, 144),
        )
        for crop, (x, y, right, _), side in pairs:
            expected = cut_crop(image, SquareWindow(int(x), int(y), int(right - x)), side, mean_colour(image))
            assert crop.shape == (side, side, 3)
            assert crop.dtype == np.uint8
            assert np.abs(crop.astype(int) - expected).mean() < 3


def test_the_exemplar_box_is_the_same_box_in_the_smaller_crop(stills):
    record = stills.record(0)
    x, y, right, _ = record.exemplar_window_xyxy
    expected = (np.array([10, 20, 26, 32]) - [x, y, x, y]) * 144 / (right - x)
    assert np.allclose(record.exemplar_box_xyxy, expected)


@settings(deadline=None, max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.floats(-10, 90), st.floats(-10, 60), st.floats(4, 150), st.floats(4, 150)), min_size=1, max_size=4
    )
)
def test_any_box_survives_the_cache_to_a_thousandth_of_a_pixel(stills_root, tmp_path_factory, boxes):
    (stills_root / "zoo" / "boxes.json").write_text(json.dumps({"a2.jpg": [list(box) for box in boxes]}))
    (stills_root / "zoo" / "polys.json").unlink(missing_ok=True)
    folder = tmp_path_factory.mktemp("random") / "cache"
    inside = [box for box in boxes if box[0] + box[2] > 0 and box[1] + box[3] > 0]
    if not inside:
        return
    build_cache(open_dataset("folder", stills_root), folder)
    with CropCache.open(folder) as cache:
        for index, (x, y, width, height) in enumerate(inside):
            record = cache.record(index)
            assert np.abs(record.source_box_xyxy - [x, y, x + width, y + height]).max() < 1e-3
            assert record.category_id == -1


def test_records_of_all_shards_are_counted_through(video):
    assert [entry.records for entry in video.manifest.shards] == [2, 2, 1]
    lefts = [video.record(index).source_box_xyxy[0] for index in range(5)]
    assert np.allclose(lefts, [10, 11.5, 13, 14, 15])
    assert [video.record(index).path for index in (0, 4)] == ["walk/img/f2.jpg", "walk/img/f12.jpg"]


@pytest.mark.parametrize("index", [-1, 5])
def test_an_index_outside_is_an_index_error(video, index):
    for read in (video.record, video.search_crop, video.exemplar_crop):
        with pytest.raises(IndexError, match=f"record {index} of 5"):
            read(index)


def test_threads_read_what_one_thread_reads(video):
    expected = [video.search_crop(index) for index in range(5)]
    video.close()
    with ThreadPoolExecutor(8) as pool:
        for index, crop in enumerate(pool.map(video.search_crop, [0, 1, 2, 3, 4] * 20)):
            assert np.array_equal(crop, expected[index % 5])


ANOTHER_PROCESS = """
import multiprocessing, sys
from pathlib import Path
from trackcli_cache.reader import CropCache

with CropCache.open(Path(sys.argv[1])) as cache:
    here = cache.search_crop(4)  # the file is open when the process starts
    with multiprocessing.get_context(sys.argv[2]).Pool(1) as pool:
        there = pool.apply(cache.search_crop, (4,))
    assert there.shape == here.shape and (there == here).all()
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_another_process_reads_the_same_crop(video, method):
    """Asked of a program of its own: a fork of this process, which has threads of other tests, may hang."""
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} on this system")
    subprocess.run([sys.executable, "-c", ANOTHER_PROCESS, video.path, method], check=True, timeout=120)


def test_pickling_carries_the_path_alone(video):
    data = pickle.dumps(video)
    assert len(data) < 500
    assert np.array_equal(pickle.loads(data).search_crop(1), video.search_crop(1))


@pytest.mark.skipif(not OPEN_FILES.is_dir(), reason="this system does not list a process's open files")
def test_closing_closes_every_file(video):
    before = len(list(OPEN_FILES.iterdir()))
    video.search_crop(0)
    video.search_crop(4)
    assert len(list(OPEN_FILES.iterdir())) == before + 2
    video.close()
    assert len(list(OPEN_FILES.iterdir())) == before


def test_a_damaged_crop_is_named(video):
    path = video.path / "shard-00002.h5"
    content = bytearray(path.read_bytes())
    start = content.index(b"\xff\xd8\xff")
    content[start : start + 400] = bytes(400)
    path.write_bytes(content)
    with pytest.raises(
        CacheFormatError, match=r"shard-00002\.h5, record 0: the exemplar crop is damaged: its checksum differs"
    ):
        video.exemplar_crop(4)


def test_a_crop_of_another_size_is_not_decoded(video):
    # Swap the tiers: the search crop's bytes are a fine JPEG of the wrong size.
    columns = video._columns
    for name in ("offset", "length", "crc32"):
        getattr(columns, f"search_{name}")[0] = getattr(columns, f"exemplar_{name}")[0]
    with pytest.raises(CacheFormatError, match="a crop of 144x144 px where 432x432 are expected"):
        video.search_crop(0)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: (path / "manifest.json").unlink(), "is no finished crop cache: it has no manifest.json"),
        (lambda path: (path / "shard-00001.h5").unlink(), r"shard-00001\.h5 is missing"),
        (lambda path: os.truncate(path / "shard-00001.h5", 4000), "has 4000 bytes; expected"),
        (lambda path: (path / "manifest.json").write_text("{"), "cannot be read as JSON"),
        (lambda path: (path / "manifest.json").write_text("[" * 100_000), "cannot be read as JSON"),
        (lambda path: (path / "manifest.json").write_text("[]"), "format is missing"),
    ],
)
def test_an_incomplete_cache_says_what_is_wrong(video, damage, message):
    damage(video.path)
    with pytest.raises(CacheFormatError, match=message):
        CropCache.open(video.path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 1}, "has format version 1; this trackcli-cache reads version 2; build the cache again$"),
        (
            {"version": 3},
            "has format version 3; this trackcli-cache reads version 2: pip install --upgrade trackcli-cache$",
        ),
        ({"split": 1}, "split is not a name"),
        ({"codec": "png"}, "codec 'png' is unknown; expected one of: jpeg, raw"),
        ({"codec": "raw"}, "has crops of codec jpeg; expected raw"),
        ({"format": "recipes"}, "is the manifest of something else"),
        ({"shards": [{"name": "../../etc/passwd"}]}, r"shard name '../../etc/passwd' is not like shard-00000\.h5"),
        ({"sequences": []}, "sequence_id points outside the 0 names"),
        ({"categories": [1]}, "categories are not names"),
        ({"settings": {}}, "cache settings do not fit this version"),
        ({"build_id": "0"}, "belongs to another build than the manifest"),
        ({"images": True}, "images is missing or not of type int"),
        ({"skipped": {"images": [["a"]], "objects": {}}}, "skipped images are not"),
    ],
)
def test_a_manifest_from_elsewhere_is_checked(video, change, message):
    path = video.path / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(CacheFormatError, match=message):
        CropCache.open(video.path)


def test_a_folder_that_does_not_exist_is_no_cache(tmp_path):
    with pytest.raises(CacheFormatError, match="is no finished crop cache"):
        CropCache.open(tmp_path / "nothing")
