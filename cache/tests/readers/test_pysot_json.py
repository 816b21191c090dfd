from __future__ import annotations

import json

import numpy as np
import pytest
from trackcli_cache.catalogue import open_dataset
from trackcli_cache.datasets import Mark
from trackcli_cache.errors import DatasetError


def video(name="Deer", boxes=((305, 22, 95, 65), (306, 22, 95, 65)), **more):
    return {
        "video_dir": name,
        "init_rect": list(boxes[0]),
        "img_names": [f"{name}/img/{number:04d}.jpg" for number in range(1, len(boxes) + 1)],
        "gt_rect": [list(box) for box in boxes],
        **more,
    }


def write(tree, videos, name="OTB100.json"):
    for item in videos.values():
        for image in item["img_names"]:
            tree.path(image).touch()
    return tree.json(name, videos)


def test_sequences_come_in_the_lists_order_with_its_numbers(tree):
    write(tree, {"Deer": video(attr=["MB", "FM"]), "Bolt": video("Bolt", [(1.5, 2, 3, 4)])})
    dataset = open_dataset("pysot-json", tree.root)
    assert dataset.sequence_names() == ("Deer", "Bolt")
    sequence = dataset.read_sequence("Deer")
    assert sequence.boxes_xywh.tolist() == [[305, 22, 95, 65], [306, 22, 95, 65]]
    assert sequence.attributes == ("MB", "FM")
    assert sequence.frames == (tree.root / "Deer/img/0001.jpg", tree.root / "Deer/img/0002.jpg")
    assert len(list(dataset.images())) == 3


def test_polygons_tags_and_nan_are_read_as_in_vot(tree):
    boxes = [[20, 10, 50, 20, 40, 50, 10, 40], [float("nan")] * 4]
    write(tree, {"ants1": video("ants1", boxes, occlusion=[0, 1], size_change=[], camera_motion=[0, 0])})
    sequence = open_dataset("pysot-json", tree.root).read_sequence("ants1")
    assert sequence.boxes_xywh[0].tolist() == [10, 10, 40, 40]
    assert sequence.polygons_xy[0, 3].tolist() == [10, 40]
    assert np.isnan(sequence.boxes_xywh[1]).all()
    assert sequence.absent.tolist() == [False, True]
    assert (sequence.marks.tolist(), sequence.attributes) == ([0, Mark.OCCLUDED], ("occlusion",))


def test_absent_in_lasots_list_is_1_where_the_target_is_there(tree):
    write(tree, {"airplane-1": video("airplane-1", [(1, 2, 3, 4)] * 3, absent=[1, 0, 1])})
    sequence = open_dataset("pysot-json", tree.root).read_sequence("airplane-1")
    assert sequence.absent.tolist() == [False, True, False]


def test_short_image_names_are_looked_for_in_the_videos_folder(tree):
    item = {**video(), "img_names": ["0001.jpg", "0002.jpg"]}
    tree.path("Deer/0001.jpg").touch()
    tree.json("list.json", {"Deer": item})
    frames = open_dataset("pysot-json", tree.root).read_sequence("Deer").frames
    assert frames == (tree.root / "Deer/0001.jpg", tree.root / "Deer/0002.jpg")


def test_one_of_several_lists_is_named_by_its_path(tree):
    write(tree, {"Deer": video()}, "OTB100.json")
    second = write(tree, {"Bolt": video("Bolt")}, "OTB50.json")
    with pytest.raises(DatasetError, match=r"holds 2 JSON files \(OTB50\.json, OTB100\.json\); name the one to read"):
        open_dataset("pysot-json", tree.root)
    assert open_dataset("pysot-json", second).sequence_names() == ("Bolt",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gt_rect": [[1, 2, 3, 4]]}, r"video 'Deer': gt_rect has 1 entries for the 2 images"),
        ({"gt_rect": [[1, 2, 3, 4], [1, 2, 3]]}, r"gt_rect\[1\]: \[1, 2, 3\] is not a box"),
        ({"gt_rect": [[1, 2, 3, 4], [1, 2, 1e999, 4]]}, r"gt_rect\[1\]: .* is not a box"),
        ({"gt_rect": [[1, 2, 3, 4], "x"]}, r"gt_rect\[1\]: 'x' is not a box"),
        ({"absent": [1]}, r"absent is not a list of 2 values of 0 or 1"),
        ({"attr": "IV"}, r"attr 'IV' is not a list of texts"),
        ({"img_names": ["../a.jpg", "b.jpg"]}, r"'\.\./a\.jpg' is not a file name"),
        ({"img_names": ["/etc/passwd", "b.jpg"]}, r"'/etc/passwd' is not a file name"),
        ({"img_names": ["gone.jpg", "b.jpg"]}, r"its first image 'gone\.jpg' is not in .* or .*Deer; put the list"),
    ],
)
def test_malformed_videos_are_named(tree, change, message):
    write(tree, {"Deer": video()})
    tree.json("OTB100.json", {"Deer": {**video(), **change}})
    with pytest.raises(DatasetError, match=message):
        open_dataset("pysot-json", tree.root).read_sequence("Deer")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "holds a JSON list; expected an object"),
        ("{}", "names no video"),
        (json.dumps({"Deer": {"gt_rect": []}}), "'Deer' has no lists img_names and gt_rect; expected\n  ROOT/<name>"),
    ],
)
def test_files_of_another_form_are_refused(tree, content, message):
    tree.text("list.json", content)
    with pytest.raises(DatasetError, match=message):
        open_dataset("pysot-json", tree.root)


def test_a_root_without_list_shows_the_tree(tree):
    with pytest.raises(DatasetError, match=r"looked for <name>\.json in .*\n  ROOT/<name>\.json"):
        open_dataset("pysot-json", tree.root)
