"""VOC XML, MOTChallenge text and video files."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from trackcli_cache.catalogue import open_dataset
from trackcli_cache.datasets import Mark
from trackcli_cache.errors import DatasetError
from trackcli_cache.reader import CropCache


def voc_object(name: str, *corners: float, flags: str = "") -> str:
    """Corners are xmin, ymin, xmax, ymax."""
    tags = ("xmin", "ymin", "xmax", "ymax")
    box = "".join(f"<{tag}>{value}</{tag}>" for tag, value in zip(tags, corners, strict=True))
    return f"<object><name>{name}</name>{flags}<bndbox>{box}</bndbox></object>"


@pytest.fixture
def voc(tree):
    files = {
        "2007_000032": voc_object("dog", 1, 1, 96, 64, flags="<truncated>1</truncated>")
        + voc_object("person", 11, 21, 40, 50, flags="<difficult>1</difficult><occluded>1</occluded>"),
        "2007_000033": "",
        "2008_000001": voc_object("dog", 5, 6, 30.5, 40),
    }
    for name, objects in files.items():
        tree.text(f"Annotations/{name}.xml", f"<annotation>{objects}</annotation>")
        tree.image(f"JPEGImages/{name}.jpg")
    tree.text("ImageSets/Main/val.txt", "2008_000001\n")
    tree.text("ImageSets/Main/train.txt", "2007_000032  1\n2007_000033 -1\n")
    return tree


def images_of(tree, name, split=None):
    return list(open_dataset(name, tree.root, split).images())


def test_voc_boxes_from_1_become_half_open_from_0(voc):
    first, second = images_of(voc, "voc")
    assert [item.box_xyxy for item in first.objects] == [(0, 0, 96, 64), (10, 20, 40, 50)]
    assert second.objects[0].box_xyxy == (4, 5, 30.5, 40)
    assert [item.marks for item in first.objects] == [Mark.CUT_BY_IMAGE, Mark.IGNORED | Mark.OCCLUDED]
    assert [item.track_id for item in first.objects + second.objects] == [0, 1, 2]
    assert (first.sequence, first.still, second.frame_number) == ("dataset", True, 2)


def test_voc_splits_are_the_lists_in_imagesets(voc):
    assert [image.path.name for image in images_of(voc, "voc", "val")] == ["2008_000001.jpg"]
    assert [image.path.name for image in images_of(voc, "voc", "train")] == ["2007_000032.jpg"]
    with pytest.raises(DatasetError, match=r"looked for ImageSets/Main/test\.txt in"):
        open_dataset("voc", voc.root, "test")


def test_voc_becomes_a_cache_without_the_difficult(voc, build):
    assert sum(shard.records for shard in build(open_dataset("voc", voc.root)).shards) == 2


def test_object_masks_are_numbered_as_the_objects_are(voc, voc_palette, build):
    labels = np.zeros((64, 96), np.uint8)
    labels[20:50, 10:40] = 2
    path = voc.mask("SegmentationObject/2007_000032.png", labels, voc_palette)
    first, second = images_of(voc, "voc")
    assert [(item.mask_path, item.mask_label) for item in first.objects] == [(path, 1), (path, 2)]
    assert (second.objects[0].mask_path, second.objects[0].mask_label) == (None, None)
    build(open_dataset("voc", voc.root))


def test_labelimgs_lower_case_folders_and_other_image_types_will_do(tree):
    tree.text("annotations/a.xml", f"<annotation>{voc_object('cat', 1, 1, 9, 9)}</annotation>")
    tree.image("images/a.png")
    (image,) = images_of(tree, "voc")
    assert image.path == tree.root / "images/a.png"


@pytest.mark.parametrize(("line", "message"), [("../x", "is not a file name"), ("", "line 1 is empty")])
def test_a_bad_line_in_a_list_is_named(voc, line, message):
    voc.text("ImageSets/Main/val.txt", f"{line}\n2008_000001\n")
    with pytest.raises(DatasetError, match=message):
        images_of(voc, "voc", "val")


TRUTH = """\
1,1,11,21,30,20,1,1,1
2,1,13,21,30,20,1,1,0.5
2,2,1,1,20.5,40,0,3,0
1,2,1,1,20,40,0,3,0.95
"""


@pytest.fixture
def mot(tree):
    for name in ("MOT17-02-DPM", "MOT17-02-FRCNN", "MOT17-04-SDP"):
        tree.text(f"{name}/gt/gt.txt", TRUTH)
        for number in (1, 2, 3):
            tree.image(f"{name}/img1/{number:06d}.jpg")
    tree.text("MOT17-02-DPM/seqinfo.ini", "[Sequence]\nname=MOT17-02-DPM\nimDir=img1\nseqLength=3\nimExt=.jpg\n")
    return tree


def test_mot_boxes_from_1_and_marks(mot):
    first, second, *_ = images_of(mot, "mot")
    assert (first.frame_number, second.frame_number, first.still) == (1, 2, False)
    assert first.path == mot.root / "MOT17-02-DPM/img1/000001.jpg"
    assert [item.box_xyxy for item in second.objects] == [(12, 20, 42, 40), (0, 0, 20.5, 40)]
    assert [(item.track_id, item.category) for item in second.objects] == [(1, "pedestrian"), (2, "car")]
    assert [item.marks for item in first.objects] == [Mark.NONE, Mark.IGNORED]
    assert [item.marks for item in second.objects] == [Mark.OCCLUDED, Mark.IGNORED | Mark.FULLY_OCCLUDED]


def test_mot17s_copies_for_other_detectors_are_read_once(mot):
    assert {image.sequence for image in images_of(mot, "mot")} == {"MOT17-02-DPM", "MOT17-04-SDP"}


def test_one_mot_sequence_may_be_the_root(mot, build):
    reader = open_dataset("mot", mot.root / "MOT17-02-FRCNN")
    assert [image.frame_number for image in reader.images()] == [1, 2]
    assert sum(shard.records for shard in build(reader).shards) == 2


@pytest.mark.parametrize("world", ["3.5,8,0", "-12.7,0.4319,0", "3,0,0", "-1,-1,-1"])
def test_mot15s_world_coordinates_are_neither_classes_nor_visibility(tree, world):
    tree.text("PETS/gt/gt.txt", f"1,4,11,21,30,20,1,{world}\n")
    tree.image("PETS/img1/000001.jpg")
    (image,) = images_of(tree, "mot")
    assert (image.objects[0].category, image.objects[0].marks) == ("pedestrian", Mark.NONE)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("gt/gt.txt", "1,1,2,3\n", r"gt\.txt, line 1: '1,1,2,3' is not an object"),
        ("gt/gt.txt", "1,1,2,3,4,x\n", "line 1: 'x' is not a coordinate"),
        ("gt/gt.txt", "1,1,2,3,4,1_0\n", "line 1: '1_0' is not a coordinate"),
        ("gt/gt.txt", "1.5,1,2,3,4,5\n", r"line 1: '1\.5' is not a whole number"),
        ("gt/gt.txt", "9,1,2,3,4,5\n", "has boxes in frame 9, for which there is no image"),
        ("seqinfo.ini", "imDir=img1\n", r"seqinfo\.ini cannot be read: File contains no section headers"),
        ("seqinfo.ini", "[Sequence]\nimDir=../../img\n", r"seqinfo\.ini, imDir: .* is not a file name"),
        ("seqinfo.ini", "[Sequence]\nimDir=frames\n", r"looked for frames/\*\.jpg in"),
    ],
)
def test_what_is_wrong_in_a_mot_sequence_is_named(mot, name, content, message):
    mot.text(f"MOT17-02-DPM/{name}", content)
    with pytest.raises(DatasetError, match=message):
        images_of(mot, "mot")


@pytest.fixture
def video(tree):
    """Six frames, each of one grey: 0, 40, 80, …; the target is gone in frame 2."""
    writer = cv2.VideoWriter(str(tree.path("clip.avi")), cv2.VideoWriter.fourcc(*"MJPG"), 25, (96, 64))
    assert writer.isOpened()
    for number in range(6):
        writer.write(np.full((64, 96, 3), 40 * number, np.uint8))
    writer.release()
    boxes = [f"{10 + number},20,30.5,16" for number in range(6)]
    boxes[2] = "nan,nan,nan,nan"
    tree.text("clip.txt", "\n".join(boxes) + "\n")
    tree.text("notes.txt", "no video is called notes")
    return tree


def test_a_video_has_one_box_per_frame(video):
    images = images_of(video, "video")
    assert [(image.video_frame, image.frame_number, image.sequence) for image in images] == [
        (number, number, "clip") for number in range(6)
    ]
    assert {image.path for image in images} == {video.root / "clip.avi"}
    assert images[1].objects[0].box_xyxy == (11, 20, 41.5, 36)
    assert [image.objects[0].absent for image in images] == [False, False, True, False, False, False]


def test_hidden_videos_are_what_another_system_notes_of_the_others(video):
    for name in ("._clip.avi", "._clip.txt"):
        video.text(name, "a note")
    assert {image.path for image in images_of(video, "video")} == {video.root / "clip.avi"}


def test_a_video_becomes_a_cache(video, build):
    assert sum(shard.records for shard in build(open_dataset("video", video.root / "clip.avi"), limit=6).shards) == 5


@pytest.mark.parametrize("lines", [5, 7])
def test_a_box_file_of_another_length_is_refused_with_both_counts(video, lines):
    video.text("clip.txt", "1,2,30,40\n" * lines)
    with pytest.raises(DatasetError, match=rf"clip\.txt has {lines} boxes for the 6 frames of clip\.avi"):
        images_of(video, "video")


def test_a_video_without_boxes_says_which_file_is_missing(video):
    (video.root / "clip.txt").unlink()
    with pytest.raises(DatasetError, match=r"looked for clip\.txt in (.|\n)*ROOT/<name>\.txt"):
        open_dataset("video", video.root)


def test_two_videos_with_one_box_file_are_refused(video):
    video.path("clip.mp4").write_bytes((video.root / "clip.avi").read_bytes())
    with pytest.raises(DatasetError, match=r"clip\.avi and clip\.mp4 share one box file"):
        open_dataset("video", video.root)


def test_what_is_no_video_is_named(video):
    video.path("clip.avi").write_bytes(b"no video")
    with pytest.raises(DatasetError, match=r"clip\.avi cannot be opened as a video"):
        images_of(video, "video")


@pytest.mark.parametrize(
    ("name", "looked_for"),
    [("voc", "JPEGImages/ or images/"), ("mot", "<sequence>/gt/gt.txt"), ("video", "a video with")],
)
def test_wrong_roots_show_their_trees(tree, name, looked_for):
    with pytest.raises(DatasetError) as error:
        open_dataset(name, tree.root)
    assert str(error.value).startswith(f"looked for {looked_for}")
    assert "expected\n  ROOT/" in str(error.value)
    with pytest.raises(DatasetError, match="is not a folder; expected one that holds\n  ROOT/"):
        open_dataset(name, tree.root / "nowhere")


def test_a_caches_crops_are_those_of_the_boxes_own_frames(video, build, tmp_path):
    build(open_dataset("video", video.root), limit=6)
    with CropCache.open(tmp_path / "cache") as cache:
        assert cache.frame_numbers.tolist() == [0, 1, 3, 4, 5]
        assert cache.absent_frames.tolist() == [[0, 2, 0]]
        for index, number in enumerate(cache.frame_numbers):
            centre = cache.exemplar_crop(index)[70:74, 70:74]
            assert abs(float(centre.mean()) - 40 * number) < 4
