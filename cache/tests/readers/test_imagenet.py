"""ImageNet VID and DET in ILSVRC's folders and XML."""

from __future__ import annotations

import pytest
from trackcli_cache.catalogue import open_dataset
from trackcli_cache.datasets import Mark
from trackcli_cache.errors import DatasetError
from trackcli_cache.reader import CropCache
from trackcli_cache.readers.imagenet_names import CATEGORY_OF_WNID

SNIPPET = "ILSVRC2015_VID_train_0000/ILSVRC2015_train_00001000"


def xml(*objects: str) -> str:
    return f"<annotation><folder>x</folder><size><width>96</width></size>{''.join(objects)}</annotation>"


def vid_object(track: int, wnid: str, *corners: int, occluded: int = 0) -> str:
    xmin, ymin, xmax, ymax = corners
    return (
        f"<object><trackid>{track}</trackid><name>{wnid}</name>"
        f"<bndbox><xmax>{xmax}</xmax><xmin>{xmin}</xmin><ymax>{ymax}</ymax><ymin>{ymin}</ymin></bndbox>"
        f"<occluded>{occluded}</occluded><generated>0</generated></object>"
    )


def det_object(wnid: str, xmin: int, ymin: int, xmax: int, ymax: int) -> str:
    box = f"<bndbox><xmin>{xmin}</xmin><xmax>{xmax}</xmax><ymin>{ymin}</ymin><ymax>{ymax}</ymax></bndbox>"
    return f"<object><name>{wnid}</name>{box}</object>"


@pytest.fixture
def vid(tree):
    """A turtle, joined by a fox in frame 1; in frame 2 the turtle is gone; nobody in the first frame of val."""
    frames = [
        xml(vid_object(0, "n01662784", 0, 10, 40, 50)),
        xml(vid_object(0, "n01662784", 2, 11, 42, 51, occluded=1), vid_object(1, "n02118333", 50, 20, 80, 60)),
        xml(vid_object(1, "n02118333", 52, 20, 82, 60)),
    ]
    for number, content in enumerate(frames):
        tree.text(f"Annotations/VID/train/{SNIPPET}/{number:06d}.xml", content)
        tree.image(f"Data/VID/train/{SNIPPET}/{number:06d}.JPEG")
    for number, content in enumerate([xml(), xml(vid_object(7, "n02084071", 1, 2, 31, 42))]):
        tree.text(f"Annotations/VID/val/ILSVRC2015_val_00000000/{number:06d}.xml", content)
        tree.image(f"Data/VID/val/ILSVRC2015_val_00000000/{number:06d}.JPEG")
    return tree


def test_vid_boxes_are_the_files_numbers_and_missing_objects_are_absent_once_seen(vid):
    first, second, third = open_dataset("imagenet-vid", vid.root).images()
    assert [image.sequence for image in (first, second, third)] == ["ILSVRC2015_train_00001000"] * 3
    assert [image.frame_number for image in (first, second, third)] == [0, 1, 2]
    assert third.path == vid.root / f"Data/VID/train/{SNIPPET}/000002.JPEG"
    (turtle,) = first.objects
    assert (turtle.box_xyxy, turtle.track_id, turtle.category) == ((0, 10, 40, 50), 0, "turtle")
    assert [(item.track_id, item.marks, item.absent) for item in second.objects] == [
        (0, Mark.OCCLUDED, False),
        (1, Mark.NONE, False),
    ]
    assert [(item.track_id, item.category, item.absent) for item in third.objects] == [
        (1, "fox", False),
        (0, "turtle", True),
    ]


def test_vid_val_has_snippets_without_a_folder_between_and_frames_without_objects_are_left_out(vid):
    (image,) = open_dataset("imagenet-vid", vid.root, "val").images()
    assert (image.sequence, image.frame_number, image.still) == ("ILSVRC2015_val_00000000", 1, False)
    assert image.objects[0].category == "dog"


def test_the_archives_own_top_folder_may_be_the_roots_child(vid):
    top = vid.root.parent / "unpacked"
    top.mkdir()
    vid.root.rename(top / "ILSVRC2015")
    assert len(list(open_dataset("imagenet-vid", top).images())) == 3


def test_vid_becomes_a_cache_with_marks_and_absences(vid, build, tmp_path):
    assert build(open_dataset("imagenet-vid", vid.root)).categories == ("fox", "turtle")
    with CropCache.open(tmp_path / "cache") as cache:
        assert cache.frame_numbers.tolist() == [0, 1, 1, 2]
        assert cache.track_ids.tolist() == [0, 0, 1, 1]
        assert cache.marks.tolist() == [Mark.NONE, Mark.OCCLUDED, Mark.NONE, Mark.NONE]
        assert cache.record(2).other_marks.tolist() == [Mark.OCCLUDED]
        assert cache.absent_frames.tolist() == [[0, 2, 0]]


def test_a_vid_object_without_a_track_is_an_error(vid):
    path = vid.text(f"Annotations/VID/train/{SNIPPET}/000003.xml", xml(det_object("n02084071", 1, 2, 3, 4)))
    with pytest.raises(DatasetError, match="has no <trackid>; is this the annotation of VID") as error:
        list(open_dataset("imagenet-vid", vid.root).images())
    assert str(path) in str(error.value)


@pytest.fixture
def det(tree):
    files = {
        "train/ILSVRC2013_train/n02118333/n02118333_10": xml(det_object("n02118333", 0, 0, 95, 63)),
        "train/ILSVRC2013_train/n02118333/n02118333_9": xml(det_object("n02118333", 10, 20, 29, 49)),
        "train/ILSVRC2014_train_0000/ILSVRC2014_train_00000001": xml(),
        "train/ILSVRC2014_train_0000/ILSVRC2014_train_00000002": xml(
            det_object("n00007846", 5, 6, 24, 45), det_object("n09999999", 1, 1, 30, 30)
        ),
        "val/ILSVRC2012_val_00000001": xml(det_object("n07753592", 1, 2, 30, 40)),
    }
    for name, content in files.items():
        tree.text(f"Annotations/DET/{name}.xml", content)
        tree.image(f"Data/DET/{name}.JPEG")
    return tree


def test_det_boxes_include_their_last_pixel_and_objects_are_numbered_through_the_split(det):
    images = list(open_dataset("imagenet-det", det.root).images())
    assert [image.path.stem for image in images] == ["n02118333_9", "n02118333_10", "ILSVRC2014_train_00000002"]
    assert [item.box_xyxy for image in images for item in image.objects] == [
        (10, 20, 30, 50),
        (0, 0, 96, 64),
        (5, 6, 25, 46),
        (1, 1, 31, 31),
    ]
    assert [item.track_id for image in images for item in image.objects] == [0, 1, 2, 3]
    assert {(image.sequence, image.still) for image in images} == {("train", True)}


def test_det_names_are_readable_and_unknown_ids_stay(det):
    images = list(open_dataset("imagenet-det", det.root).images())
    assert [item.category for image in images for item in image.objects] == ["fox", "fox", "person", "n09999999"]
    (image,) = open_dataset("imagenet-det", det.root, "val").images()
    assert image.objects[0].category == "banana"


def test_det_becomes_a_cache(det, build):
    manifest = build(open_dataset("imagenet-det", det.root))
    assert sum(shard.records for shard in manifest.shards) == 4


def test_there_are_200_different_classes():
    assert len(set(CATEGORY_OF_WNID.values())) == 200
    assert CATEGORY_OF_WNID["n02883205"] == "bow tie"


@pytest.mark.parametrize("name", ["imagenet-vid", "imagenet-det"])
def test_a_wrong_root_says_what_is_missing_and_shows_the_tree(tmp_path, name):
    (tmp_path / "holiday").mkdir()
    kind = name.removeprefix("imagenet-").upper()
    with pytest.raises(DatasetError) as error:
        open_dataset(name, tmp_path)
    expected = f"looked for Data/{kind}/train/ in {tmp_path} and found none (it holds holiday); expected\n  ROOT/Data/"
    assert str(error.value).startswith(expected)


def test_an_unknown_split_lists_the_known_ones(vid):
    with pytest.raises(DatasetError, match="--split 'test' is unknown for --dataset imagenet-vid; expected one of"):
        open_dataset("imagenet-vid", vid.root, "test")
