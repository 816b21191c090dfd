"""WIDER FACE's text file and CityPersons' JSON files."""

from __future__ import annotations

import pytest
from trackcli_cache.catalogue import open_dataset
from trackcli_cache.datasets import Mark
from trackcli_cache.errors import DatasetError

FACES = """\
0--Parade/0_Parade_one.jpg
2
10 5 20 30 2 0 1 0 0 0
40 10 12.5 16 0 0 0 1 2 1
1--Handshaking/1_none.jpg
0
0 0 0 0 0 0 0 0 0 0
1--Handshaking/1_two.jpg
1
0 0 30 30 0 0 0 0 1 0
"""


@pytest.fixture
def wider(tree):
    tree.text("wider_face_split/wider_face_train_bbx_gt.txt", FACES)
    for name in ("0--Parade/0_Parade_one", "1--Handshaking/1_none", "1--Handshaking/1_two"):
        tree.image(f"WIDER_train/images/{name}.jpg")
    return tree


def test_faces_have_boxes_and_marks(wider):
    first, second = open_dataset("wider-face", wider.root).images()
    assert first.path == wider.root / "WIDER_train/images/0--Parade/0_Parade_one.jpg"
    assert [item.box_xyxy for item in first.objects] == [(10, 5, 30, 35), (40, 10, 52.5, 26)]
    assert [item.marks for item in first.objects] == [Mark.NONE, Mark.IGNORED | Mark.OCCLUDED]
    assert {item.category for item in first.objects} == {"face"}
    assert (second.objects[0].marks, second.objects[0].track_id) == (Mark.OCCLUDED, 2)
    assert (first.still, first.sequence, second.frame_number) == (True, "train", 2)


@pytest.mark.parametrize("row", ["0 0 0 0 0 0 0 0 0 0\n", ""])
def test_an_image_without_faces_has_a_line_of_zeros_or_none(wider, row):
    wider.text("wider_face_split/wider_face_train_bbx_gt.txt", FACES.replace("0 0 0 0 0 0 0 0 0 0\n", row))
    images = list(open_dataset("wider-face", wider.root).images())
    assert [image.path.stem for image in images] == ["0_Parade_one", "1_two"]


def test_wider_face_becomes_a_cache(wider, build):
    assert sum(shard.records for shard in build(open_dataset("wider-face", wider.root)).shards) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("2\n10", "7\n10"), r"line 4: '40 10 12\.5 16|line 5: '1--Handshaking.* is not a face; expected 10 numbers"),
        (("1\n0 0 30", "9\n0 0 30"), "line 8: 9 faces are announced, 1 lines follow"),
        (("2\n10", "-1\n10"), "line 1: -1 faces"),
        (("2\n10", "two\n10"), "line 2: number of faces: 'two' is not a whole number"),
        (("0--Parade/0_", "../../0_"), "line 1: .*is not a file name"),
        (("10 5 20", "10 x 20"), "line 3: 'x' is not a coordinate"),
    ],
)
def test_a_malformed_line_is_named(wider, change, message):
    wider.text("wider_face_split/wider_face_train_bbx_gt.txt", FACES.replace(*change))
    with pytest.raises(DatasetError, match=message):
        list(open_dataset("wider-face", wider.root).images())


def test_a_wrong_root_shows_the_tree_of_wider_face(tree):
    with pytest.raises(DatasetError, match=r"looked for WIDER_val/images/ (.|\n)*ROOT/wider_face_split"):
        open_dataset("wider-face", tree.root, "val")


def city_file(*objects: dict[str, object]) -> dict[str, object]:
    return {"imgHeight": 64, "imgWidth": 96, "objects": list(objects)}


def person(label: str, box: list[float], visible: list[float] | None = None) -> dict[str, object]:
    return {"instanceId": 24000, "bbox": box, "bboxVis": visible or box, "label": label}


@pytest.fixture
def city(tree):
    files = {
        "aachen/aachen_000000_000019": city_file(
            person("pedestrian", [10, 10, 20, 40], [10, 10, 20, 26]),
            person("pedestrian", [10, 10, 20, 40], [10, 10, 20, 25.5]),
            person("rider", [80, 5, 20, 40], [80, 5, 16, 40]),
            person("ignore", [0, 0, 30, 30]),
            person("person group", [30, 0, 30, 30]),
        ),
        "aachen/aachen_000001_000019": city_file(),
        "ulm/ulm_000000_000019": city_file(person("sitting person", [1, 2, 30, 40])),
    }
    for name, content in files.items():
        tree.json(f"gtBboxCityPersons/train/{name}_gtBboxCityPersons.json", content)
        tree.image(f"leftImg8bit/train/{name}_leftImg8bit.png")
    return tree


def test_people_have_whole_boxes_and_marks(city):
    first, second = open_dataset("citypersons", city.root).images()
    assert first.path == city.root / "leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png"
    assert [(item.category, item.marks) for item in first.objects] == [
        ("pedestrian", Mark.NONE),  # exactly 65% seen
        ("pedestrian", Mark.OCCLUDED),
        ("rider", Mark.CUT_BY_IMAGE),
        ("ignore", Mark.IGNORED),
        ("person group", Mark.IGNORED),
    ]
    assert first.objects[2].box_xyxy == (80, 5, 100, 45)
    assert (second.objects[0].track_id, second.frame_number, second.sequence) == (5, 2, "train")


def test_citypersons_becomes_a_cache_without_ignored_regions(city, build):
    assert sum(shard.records for shard in build(open_dataset("citypersons", city.root)).shards) == 4


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "holds a JSON list; expected an object"),
        ({"imgWidth": 1, "imgHeight": 1}, "has no list of objects"),
        (city_file(person("rider", [1, 2, 3])), r"object 0: \[1, 2, 3\] is not a box"),
        (city_file({"bbox": [1, 2, 3, 4]}), "object 0: .* has no label"),
        ({"objects": [], "imgWidth": "wide", "imgHeight": 1}, "imgWidth: 'wide' is not a coordinate"),
    ],
)
def test_a_malformed_city_file_is_named(city, content, message):
    path = city.json("gtBboxCityPersons/train/ulm/ulm_000000_000019_gtBboxCityPersons.json", content)
    with pytest.raises(DatasetError, match=message) as error:
        list(open_dataset("citypersons", city.root).images())
    assert str(error.value).startswith(str(path))


def test_a_wrong_root_shows_the_tree_of_citypersons(tree):
    with pytest.raises(DatasetError, match=r"looked for gtBboxCityPersons/train/ (.|\n)*ROOT/leftImg8bit"):
        open_dataset("citypersons", tree.root)
