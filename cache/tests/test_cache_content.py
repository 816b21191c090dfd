"""What a dataset knows beside boxes gets into the cache: marks, masks of every kind, frames of videos, crowds."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trackcli_cache.build import build_cache
from trackcli_cache.crops import MAX_SHARD_BYTES, objects_per_shard
from trackcli_cache.datasets import AnnotatedObject, Mark, RunLengthMask, SourceImage
from trackcli_cache.division import Division, divide
from trackcli_cache.errors import DatasetError
from trackcli_cache.frames import FrameReader
from trackcli_cache.masks import MaskFile, decode_run_lengths, mask_outlines, read_png_palette, voc_colour
from trackcli_cache.reader import CropCache
from trackcli_cache.settings import TierSettings

BOX = (10.0, 20.0, 26.0, 32.0)


def built(reader, tmp_path, **options):
    build_cache(reader, tmp_path / "cache", **options)
    return CropCache.open(tmp_path / "cache")


# Marks


def test_marks_of_targets_others_and_absent_objects_are_kept(noise_image, given_reader, tmp_path):
    objects = (
        AnnotatedObject(BOX, 0, "dog", marks=Mark.OCCLUDED | Mark.CUT_BY_IMAGE),
        AnnotatedObject((30.0, 20.0, 46.0, 32.0), 1, "dog"),
        AnnotatedObject((0.0, 0.0, 0.0, 0.0), 2, "cat", absent=True, marks=Mark.OUT_OF_VIEW),
    )
    reader = given_reader(noise_image.parent, [SourceImage(noise_image, "walk", 5, objects)])
    with built(reader, tmp_path) as cache:
        assert cache.marks.tolist() == [9, 0]
        assert cache.record(0).marks == Mark.OCCLUDED | Mark.CUT_BY_IMAGE
        assert cache.record(1).other_marks.tolist() == [9]
        assert cache.absent_frames.tolist() == [[0, 5, 2]]
        assert cache.absent_marks.tolist() == [Mark.OUT_OF_VIEW]


def test_ignored_objects_are_no_targets_but_are_known_to_be_there(noise_image, given_reader, tmp_path):
    objects = (
        AnnotatedObject((30.0, 20.0, 46.0, 32.0), 0, "crowd", marks=Mark.IGNORED),
        AnnotatedObject(BOX, 1, "person"),
    )
    reader = given_reader(noise_image.parent, [SourceImage(noise_image, "walk", 0, objects)])
    with built(reader, tmp_path) as cache:
        assert cache.track_ids.tolist() == [1]
        record = cache.record(0)
        assert record.other_track_ids.tolist() == [0]
        assert record.other_marks.tolist() == [Mark.IGNORED]
        assert cache.manifest.skipped.count == 0


def test_a_box_that_is_no_number_is_skipped(noise_image, given_reader, tmp_path):
    objects = (AnnotatedObject((float("nan"), 20.0, 26.0, 32.0), 0), AnnotatedObject(BOX, 1))
    reader = given_reader(noise_image.parent, [SourceImage(noise_image, "walk", 0, objects)])
    with built(reader, tmp_path) as cache:
        assert cache.track_ids.tolist() == [1]
        assert cache.record(0).other_track_ids.tolist() == []
        assert dict(cache.manifest.skipped.objects) == {"smaller than 4 px": 1}


def test_images_outside_the_root_are_refused(noise_image, given_reader, tmp_path):
    (noise_image.parent / "inner").mkdir()
    for path in (noise_image, noise_image.parent / "inner" / ".." / "noise.png"):
        reader = given_reader(noise_image.parent / "inner", [SourceImage(path, "a", 0, (AnnotatedObject(BOX, 0),))])
        with pytest.raises(DatasetError, match="a dataset's images must lie under its --root"):
            build_cache(reader, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


# Masks


def brute_force_run_lengths(mask):
    """COCO's order spelled out: pixel by pixel down the columns."""
    counts, value, run = [], 0, 0
    for pixel in mask.T.reshape(-1).tolist():
        if pixel != value:
            counts.append(run)
            value, run = pixel, 0
        run += 1
    return (*counts, run)


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_run_lengths_decode_to_the_mask_they_describe(height, width, seed):
    mask = np.random.default_rng(seed).integers(0, 2, (height, width)).astype(bool)
    decoded = decode_run_lengths(RunLengthMask((height, width), brute_force_run_lengths(mask)), (height, width))
    assert np.array_equal(decoded, mask)


@pytest.mark.parametrize(
    ("size_hw", "counts", "message"),
    [
        ((3, 4), (12,), "a mask of 4x3 run lengths but its image is 4x4"),
        ((4, 4), (15,), "do not add up to 4x4 pixels"),
        ((4, 4), (2**62, 2**62, 2**62, 2**62 + 16), "do not add up"),
        ((4, 4), (-4, 20), "do not add up"),
    ],
)
def test_run_lengths_that_do_not_fit_the_image_are_refused(size_hw, counts, message):
    with pytest.raises(DatasetError, match=message):
        decode_run_lengths(RunLengthMask(size_hw, counts), (4, 4))


def test_run_lengths_become_the_same_outline_as_the_mask_image(noise_image, given_reader, tmp_path):
    mask = np.zeros((64, 96), np.uint8)
    mask[20:32, 10:26] = 1
    mask[24:28, 14:20] = 0  # a hole, which is filled
    path = noise_image.with_name("mask.png")
    cv2.imwrite(str(path), mask)
    runs = RunLengthMask((64, 96), brute_force_run_lengths(mask))
    objects = (AnnotatedObject(BOX, 0, mask_path=path), AnnotatedObject(BOX, 1, run_lengths=runs))
    reader = given_reader(noise_image.parent, [SourceImage(noise_image, "walk", 0, objects)])
    with built(reader, tmp_path) as cache:
        ((first,), (second,)) = (cache.record(index).target_polygons for index in (0, 1))
        assert np.array_equal(first, second)
        record = cache.record(0)
        source = first * record.search_scale + record.search_window_xyxy[:2]
        assert sorted(np.round(source, 3).tolist()) == [[10.5, 20.5], [10.5, 31.5], [25.5, 20.5], [25.5, 31.5]]


def test_a_mask_that_does_not_fit_skips_the_image(noise_image, given_reader, tmp_path):
    good = SourceImage(noise_image, "walk", 0, (AnnotatedObject(BOX, 0),))
    bad = SourceImage(noise_image, "walk", 1, (AnnotatedObject(BOX, 0, run_lengths=RunLengthMask((64, 96), (1, 2))),))
    with built(given_reader(noise_image.parent, [good, bad]), tmp_path) as cache:
        assert len(cache) == 1
        assert cache.manifest.skipped.images == (("noise.png", "a mask's run lengths do not add up to 96x64 pixels"),)


def test_an_outline_without_end_skips_the_image(noise_image, given_reader, tmp_path):
    huge = AnnotatedObject(BOX, 0, polygons=(np.zeros((2**16 + 1, 2)),))
    images = [SourceImage(noise_image, "a", 0, (AnnotatedObject(BOX, 0),)), SourceImage(noise_image, "a", 1, (huge,))]
    with built(given_reader(noise_image.parent, images), tmp_path) as cache:
        assert cache.manifest.skipped.images[0][1] == "the outline of object 0 has over 65536 points"


def indexed_png(indices, palette):
    """A palette PNG, written from its specification, since OpenCV writes none."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    height, width = indices.shape
    rows = b"".join(b"\0" + row.tobytes() for row in indices.astype(np.uint8))
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    colours = bytes(value for colour in palette for value in colour)
    chunks = [(b"IHDR", header), (b"PLTE", colours), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*item) for item in chunks)


VOC = [voc_colour(label) for label in range(256)]
INDICES = np.array([[0, 1, 1, 2], [0, 3, 3, 2], [0, 3, 255, 2]])


def test_the_colour_map_is_that_of_pascal_voc():
    expected = {0: (0, 0, 0), 1: (128, 0, 0), 2: (0, 128, 0), 3: (128, 128, 0), 7: (128, 128, 128), 8: (64, 0, 0)}
    assert {label: VOC[label] for label in expected} == expected
    assert len(set(VOC)) == 256


@pytest.mark.parametrize("palette", [VOC, [(label, 255 - label, 7) for label in range(256)]])
def test_numbers_of_an_indexed_mask_are_told_apart_whatever_its_palette(tmp_path, palette):
    path = tmp_path / "mask.png"
    path.write_bytes(indexed_png(INDICES, palette))
    assert read_png_palette(path.read_bytes()) == palette
    mask = MaskFile(path, (3, 4))
    for label in (1, 2, 3, 4, 255):
        assert np.array_equal(mask.pixels_of(label), label == INDICES)


def test_a_grey_mask_holds_the_numbers_themselves(tmp_path):
    path = tmp_path / "mask.png"
    cv2.imwrite(str(path), INDICES.astype(np.uint8))
    assert np.array_equal(MaskFile(path, (3, 4)).pixels_of(3), INDICES == 3)
    assert np.array_equal(MaskFile(path, (3, 4)).pixels_of(None), INDICES != 0)


def test_a_coloured_mask_without_palette_is_in_voc_colours(tmp_path):
    path = tmp_path / "mask.png"
    cv2.imwrite(str(path), np.array(VOC, np.uint8)[INDICES][:, :, ::-1])
    assert np.array_equal(MaskFile(path, (3, 4)).pixels_of(2), INDICES == 2)


def test_a_palette_that_cannot_tell_objects_apart_is_refused(tmp_path):
    path = tmp_path / "mask.png"
    path.write_bytes(indexed_png(INDICES % 3, [(0, 0, 0), (9, 9, 9), (9, 9, 9)]))
    with pytest.raises(DatasetError, match="the same colour for object 1 and another number"):
        MaskFile(path, (3, 4)).pixels_of(1)
    with pytest.raises(DatasetError, match="has 3 colours; expected one for object 5"):
        MaskFile(path, (3, 4)).pixels_of(5)


@given(st.binary(max_size=64))
def test_any_bytes_are_no_reason_to_crash_for_the_palette(data):
    read_png_palette(b"\x89PNG\r\n\x1a\n" + data)


def test_each_object_of_an_indexed_mask_gets_its_own_outline(noise_image, given_reader, tmp_path):
    indices = np.zeros((64, 96), int)
    indices[20:32, 10:26], indices[20:32, 30:46] = 1, 2
    path = noise_image.with_name("mask.png")
    path.write_bytes(indexed_png(indices, VOC))
    objects = tuple(
        AnnotatedObject(box, label, mask_path=path, mask_label=label)
        for label, box in ((1, BOX), (2, (30.0, 20.0, 46.0, 32.0)))
    )
    with built(given_reader(noise_image.parent, [SourceImage(noise_image, "a", 0, objects)]), tmp_path) as cache:
        for index in (0, 1):
            record = cache.record(index)
            (outline,) = record.target_polygons
            assert np.allclose(outline.min(0), record.box_xyxy[:2] + 0.5 / record.search_scale, atol=1e-3)
            assert len(record.other_polygons[0]) == 1


def test_outlines_go_through_the_centres_of_border_pixels():
    mask = np.zeros((6, 8), bool)
    mask[1:4, 2:7] = True
    (outline,) = mask_outlines(mask)
    assert sorted(outline.tolist()) == [[2.5, 1.5], [2.5, 3.5], [6.5, 1.5], [6.5, 3.5]]


# Frames of a video file


@pytest.fixture
def film(tmp_path):
    """Ten frames whose brightness is their number, times 20."""
    path = tmp_path / "films" / "film.avi"
    path.parent.mkdir()
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (96, 64))
    for number in range(10):
        writer.write(np.full((64, 96, 3), 20 * number, np.uint8))
    writer.release()
    return path


def frame_of(film, number):
    return SourceImage(film, "film", number, (AnnotatedObject(BOX, 0),), video_frame=number)


@pytest.mark.parametrize("numbers", [[0, 1, 2, 9], [7, 7, 3, 4, 0]])
def test_frames_of_a_video_are_exactly_those_asked_for(film, numbers):
    frames = FrameReader()
    means = [frames.read(frame_of(film, number)).mean() for number in numbers]
    assert np.allclose(means, [20 * number for number in numbers], atol=2)


def test_a_video_is_cut_into_records_and_frames_that_it_has_not_are_skipped(film, given_reader, tmp_path):
    images = [frame_of(film, number) for number in (0, 3, 9, 10, 12, -1)]
    with built(given_reader(film.parent, images), tmp_path) as cache:
        assert [cache.record(index).video_frame for index in range(len(cache))] == [0, 3, 9]
        assert cache.record(1).path == "film.avi"
        assert np.allclose([cache.search_crop(index).mean() for index in range(3)], [0, 60, 180], atol=2)
        assert cache.manifest.skipped.images == (
            ("film.avi, frame 10", "has 10 frames; no frame 10"),
            ("film.avi, frame 12", "has 10 frames; no frame 12"),
            ("film.avi, frame -1", "has no frame -1; they are counted from 0"),
        )


def test_workers_read_the_same_frames_of_a_video(film, given_reader, tmp_path):
    reader = given_reader(film.parent, [frame_of(film, number) for number in range(10)])
    for jobs in (1, 2):
        build_cache(reader, tmp_path / str(jobs), jobs=jobs, max_objects_per_shard=2)
    shards = [sorted((tmp_path / str(jobs)).glob("shard-*.h5")) for jobs in (1, 2)]
    assert [path.read_bytes() for path in shards[0]] == [path.read_bytes() for path in shards[1]]


@pytest.mark.parametrize("content", [None, b"", b"no video"])
def test_what_is_no_video_is_skipped(tmp_path, content):
    path = tmp_path / "film.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DatasetError, match=r"film\.mp4 (cannot be read|is no video that can be decoded)"):
        FrameReader().read(frame_of(path, 0))


# Division into shards


def test_a_crowd_is_divided_over_shards_and_every_target_is_kept_once(noise_image, given_reader, tmp_path):
    crowd = tuple(AnnotatedObject((4.0 + x, 20.0, 24.0 + x, 40.0), x) for x in range(7))
    images = [SourceImage(noise_image, "a", number, crowd) for number in (0, 1)]
    with built(given_reader(noise_image.parent, images), tmp_path, max_objects_per_shard=3) as cache:
        assert [entry.records for entry in cache.manifest.shards] == [3, 3, 3, 3, 2]
        assert cache.track_ids.tolist() == [*range(7), *range(7)]
        assert cache.frame_numbers.tolist() == [0] * 7 + [1] * 7
        assert all(len(cache.record(index).other_boxes_xyxy) == 6 for index in range(14))


def test_an_unreadable_crowd_is_listed_once(noise_image, given_reader, tmp_path):
    crowd = tuple(AnnotatedObject(BOX, number, absent=number == 6) for number in range(7))
    broken = noise_image.with_name("broken.png")
    broken.write_bytes(b"")
    images = [SourceImage(broken, "a", 0, crowd), SourceImage(noise_image, "a", 1, crowd[:1])]
    seen = []
    with built(
        given_reader(noise_image.parent, images), tmp_path, max_objects_per_shard=2, on_progress=seen.append
    ) as cache:
        assert len(cache.manifest.skipped.images) == 1
        assert len(cache.absent_frames) == 1
        assert [state.images for state in seen] == [1, 2]


@given(st.lists(st.integers(0, 9), max_size=30), st.integers(1, 5))
def test_every_target_has_one_place_and_no_shard_is_too_full(targets, capacity):
    division = Division(capacity)
    places = [(image, place) for image, count in enumerate(targets) for place in division.place(count)]
    found = [(image, index) for image, place in places for index in range(place.first, place.stop)]
    assert found == [(image, index) for image, count in enumerate(targets) for index in range(count)]
    shards = [place.shard for _, place in places]
    assert shards == sorted(shards)
    assert sorted(set(shards)) == list(range(division.shards))
    for shard in set(shards):
        assert sum(place.stop - place.first for _, place in places if place.shard == shard) <= capacity


@given(st.lists(st.integers(0, 4), min_size=1, max_size=12), st.integers(1, 3), st.sets(st.integers(0, 9)))
def test_only_wanted_shards_are_put_together(targets, capacity, wanted):
    images = [
        (SourceImage(None, "a", number, tuple(AnnotatedObject(BOX, track) for track in range(count))), 0)
        for number, count in enumerate(targets)
    ]
    everything = list(divide(images, capacity, range(99)))
    some = list(divide(images, capacity, wanted))
    assert [task.number for task in some] == [task.number for task in everything if task.number in wanted]
    assert sum(task.images for task in everything) == len(images)


@pytest.mark.parametrize("codec", ["jpeg", "raw"])
def test_shards_stay_under_64_mib_even_if_the_pictures_are_noise(codec):
    assert objects_per_shard(TierSettings(), codec) == {"jpeg": 258, "raw": 107}[codec]
    assert objects_per_shard(TierSettings(), "raw") * (432**2 + 144**2) * 3 <= MAX_SHARD_BYTES
    assert objects_per_shard(TierSettings(search_size=2047), "raw") >= 1
