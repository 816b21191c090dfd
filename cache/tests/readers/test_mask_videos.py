"""DAVIS and YouTube-VOS: boxes from indexed masks."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from trackcli_cache.catalogue import open_dataset
from trackcli_cache.errors import DatasetError
from trackcli_cache.reader import CropCache
from trackcli_cache.readers import mask_video
from trackcli_cache.readers.indexed_masks import label_boxes, read_labels


def labels_with(*rectangles: tuple[int, int, int, int, int]) -> np.ndarray:
    """Object number, x, y, width, height; later ones lie above."""
    labels = np.zeros((64, 96), np.uint8)
    for number, x, y, width, height in rectangles:
        labels[y : y + height, x : x + width] = number
    return labels


BOTH = labels_with((1, 10, 20, 30, 16), (2, 50, 8, 20, 40))
ONLY_TWO = labels_with((2, 52, 8, 20, 40))
THREE = labels_with((2, 54, 8, 20, 40), (3, 0, 0, 8, 8))


@pytest.fixture
def davis(tree, voc_palette):
    for number, labels in enumerate((BOTH, ONLY_TWO, THREE)):
        tree.mask(f"Annotations/480p/kite-surf/{number:05d}.png", labels, voc_palette)
        tree.image(f"JPEGImages/480p/kite-surf/{number:05d}.jpg")
    tree.mask("Annotations/480p/bear/00000.png", BOTH, voc_palette)
    tree.image("JPEGImages/480p/bear/00000.jpg")
    tree.text("ImageSets/2017/train.txt", "kite-surf\n")
    tree.text("ImageSets/2017/val.txt", "bear\n")
    return tree


def test_boxes_are_the_extent_of_each_objects_pixels(davis):
    first, second, third = open_dataset("davis", davis.root).images()
    assert [(item.track_id, item.box_xyxy) for item in first.objects] == [(1, (10, 20, 40, 36)), (2, (50, 8, 70, 48))]
    assert [(item.mask_label, item.mask_path) for item in first.objects] == [
        (1, davis.root / "Annotations/480p/kite-surf/00000.png"),
        (2, davis.root / "Annotations/480p/kite-surf/00000.png"),
    ]
    assert [(item.track_id, item.absent) for item in second.objects] == [(2, False), (1, True)]
    assert [(item.track_id, item.absent) for item in third.objects] == [(2, False), (3, False), (1, True)]
    assert {(image.sequence, image.still) for image in (first, second, third)} == {("kite-surf", False)}
    assert first.path == davis.root / "JPEGImages/480p/kite-surf/00000.jpg"


def test_hidden_files_of_other_systems_are_no_masks(davis):
    before = repr(list(open_dataset("davis", davis.root).images()))  # boxes of absent objects equal nothing
    davis.text("Annotations/480p/kite-surf/._00000.png", "what another system notes of the file")
    assert repr(list(open_dataset("davis", davis.root).images())) == before


def test_splits_are_the_datasets_own_lists(davis):
    assert [image.sequence for image in open_dataset("davis", davis.root, "val").images()] == ["bear"]


def test_davis_becomes_a_cache_whose_outlines_fill_their_boxes(davis, build, tmp_path):
    build(open_dataset("davis", davis.root))
    with CropCache.open(tmp_path / "cache") as cache:
        assert cache.track_ids.tolist() == [1, 2, 2, 2, 3]
        assert cache.absent_frames.tolist() == [[0, 1, 1], [0, 2, 1]]
        for index in range(len(cache)):
            record = cache.record(index)
            (outline,) = record.target_polygons
            scale = record.search_crop_side / float(np.ptp(record.search_window_xyxy[0::2]))
            corners = np.concatenate([outline.min(axis=0), outline.max(axis=0)])
            inset = np.array([0.5, 0.5, -0.5, -0.5]) * scale  # outlines run through the centres of border pixels
            assert np.allclose(corners, record.box_xyxy + inset, atol=1e-3)


def test_masks_are_decoded_once(davis, monkeypatch):
    decoded = []
    monkeypatch.setattr(mask_video, "read_labels", lambda path: (decoded.append(path), read_labels(path))[1])
    reader = open_dataset("davis", davis.root)
    assert [len(list(reader.images())) for _ in range(2)] == [3, 3]
    assert len(decoded) == 3


def test_a_listed_sequence_that_is_missing_is_named(davis):
    davis.text("ImageSets/2017/train.txt", "kite-surf\nswing\n")
    with pytest.raises(DatasetError, match=r"train\.txt names swing, but there is no .*swing"):
        open_dataset("davis", davis.root)


def test_a_list_does_not_lead_out_of_the_dataset(davis):
    davis.text("ImageSets/2017/train.txt", "../../../etc\n")
    with pytest.raises(DatasetError, match=r"train\.txt, line 1: '../../../etc' is not a file name"):
        open_dataset("davis", davis.root)


def test_a_wrong_root_shows_the_tree_of_davis(tree):
    with pytest.raises(DatasetError, match=r"looked for JPEGImages/480p/ (.|\n)*ROOT/ImageSets/2017/train"):
        open_dataset("davis", tree.root)


def test_void_is_no_object_and_an_empty_mask_no_frame(davis):
    empty, void = labels_with(), labels_with((255, 1, 1, 9, 9))
    for number, labels in enumerate((empty, void)):
        cv2.imwrite(str(davis.root / f"Annotations/480p/bear/{number:05d}.png"), labels)
    assert list(open_dataset("davis", davis.root, "val").images()) == []


@pytest.mark.parametrize("data", [b"", b"no image", b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR\x7f\0\0\0\x7f\0\0\0"])
def test_a_bad_mask_is_named(davis, data):
    (davis.root / "Annotations/480p/kite-surf/00001.png").write_bytes(data)
    with pytest.raises(
        DatasetError, match=r"00001\.png (is neither a JPEG|is 2130706432x2130706432; expected at most)"
    ):
        list(open_dataset("davis", davis.root).images())


@pytest.fixture
def vos(tree, voc_palette):
    for number, labels in ((0, BOTH), (5, ONLY_TWO)):
        tree.mask(f"train/Annotations/003234408d/{number:05d}.png", labels, voc_palette)
        tree.image(f"train/JPEGImages/003234408d/{number:05d}.jpg")
    objects = {"1": {"category": "penguin", "frames": ["00000"]}, "2": {"category": "giant_panda", "frames": ["00000"]}}
    tree.json("train/meta.json", {"videos": {"003234408d": {"objects": objects}}})
    return tree


def test_youtube_vos_has_categories_and_the_videos_frame_numbers(vos, build):
    first, second = open_dataset("youtube-vos", vos.root).images()
    assert [image.frame_number for image in (first, second)] == [0, 5]
    assert [item.category for item in first.objects] == ["penguin", "giant_panda"]
    assert [(item.category, item.absent) for item in second.objects] == [("giant_panda", False), ("penguin", True)]
    assert build(open_dataset("youtube-vos", vos.root)).categories == ("giant_panda", "penguin")


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        ({}, "has no videos"),
        ({"videos": {"003234408d": {}}}, "video 003234408d has no objects"),
        ({"videos": {"003234408d": {"objects": {"1": {}}}}}, "object '1' has no number and category"),
        ({"videos": {"003234408d": {"objects": {"x": {"category": "a"}}}}}, "object 'x' has no number and category"),
    ],
)
def test_a_malformed_meta_file_is_named(vos, meta, message):
    path = vos.json("train/meta.json", meta)
    with pytest.raises(DatasetError, match=message) as error:
        list(open_dataset("youtube-vos", vos.root).images())
    assert str(error.value).startswith(str(path))


def test_a_wrong_root_shows_the_tree_of_youtube_vos(tree):
    with pytest.raises(DatasetError, match=r"looked for train/JPEGImages/ (.|\n)*ROOT/train/meta\.json"):
        open_dataset("youtube-vos", tree.root)


def test_numbers_are_read_whatever_the_palette(tree, voc_palette):
    other = [(9, 9, 9), (200, 0, 7), (7, 200, 0), (1, 2, 3)]
    for palette in (voc_palette, other):
        assert np.array_equal(read_labels(tree.mask("m.png", THREE, palette)), THREE)


def test_grey_masks_and_colour_masks_in_vocs_colours_are_read(tree, voc_palette):
    cv2.imwrite(str(tree.path("grey.png")), THREE)
    cv2.imwrite(str(tree.path("colour.png")), np.array(voc_palette, np.uint8)[THREE][:, :, ::-1])
    assert np.array_equal(read_labels(tree.root / "grey.png"), THREE)
    assert np.array_equal(read_labels(tree.root / "colour.png"), THREE)


@given(st.lists(st.tuples(st.integers(0, 11), st.integers(0, 15), st.integers(0, 255)), max_size=30))
def test_boxes_equal_those_found_pixel_by_pixel(pixels):
    labels = np.zeros((12, 16), np.uint8)
    for y, x, number in pixels:
        labels[y, x] = number
    expected = {}
    for number in set(labels.ravel().tolist()) - {0, 255}:
        ys, xs = np.nonzero(labels == number)
        expected[number] = (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
    assert label_boxes(labels) == expected
