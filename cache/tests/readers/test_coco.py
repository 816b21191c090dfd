"""COCO and COCO-style JSON: order, crowds, polygons, run lengths; large files in bounded memory; hostile files."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from trackcli_cache.catalogue import open_dataset
from trackcli_cache.datasets import Mark
from trackcli_cache.errors import DatasetError
from trackcli_cache.reader import CropCache
from trackcli_cache.readers import json_elements
from trackcli_cache.readers.coco_objects import decode_counts
from trackcli_cache.readers.json_elements import iterate_elements

CATEGORIES = [{"id": 18, "name": "dog", "supercategory": "animal"}, {"id": 1, "name": "person"}]


def annotation(image_id: object, box: list[float], category_id: object = 18, **more: object) -> dict[str, object]:
    return {"image_id": image_id, "bbox": box, "category_id": category_id, **more}


def content() -> dict[str, object]:
    """Annotations out of order; image 9 has none; a triangle, a crowd with plain run lengths, a bare box."""
    crowd = {"size": [64, 96], "counts": [64 * 10 + 5, 20, 64 * 96 - 64 * 10 - 25]}
    return {
        "info": {"description": "a [strange] {text}"},
        "images": [
            {"id": 7, "file_name": "b.jpg", "width": 96, "height": 64},
            {"id": 9, "file_name": "c.jpg", "width": 96, "height": 64},
            {"id": 3, "file_name": "a.jpg", "width": 96, "height": 64},
        ],
        "annotations": [
            annotation(3, [1.5, 2, 30, 40.25], segmentation=[[2, 3, 20, 3, 2, 30], [1, 1, 2, 2]], iscrowd=0),
            annotation(7, [10, 5, 20, 20], 1, segmentation=crowd, iscrowd=1),
            annotation(3, [50, 10, 20, 20], 1),
        ],
        "categories": CATEGORIES,
    }


@pytest.fixture
def coco(tree):
    tree.json("annotations/instances_train2017.json", content())
    for name in "abc":
        tree.image(f"train2017/{name}.jpg")
    return tree


def images_of(tree, name="coco-json"):
    return list(open_dataset(name, tree.root).images())


def test_images_come_in_the_files_order_without_those_that_have_nothing(coco):
    images = images_of(coco, "coco")
    assert [(image.path.name, image.frame_number) for image in images] == [("b.jpg", 0), ("a.jpg", 2)]
    assert {(image.sequence, image.still) for image in images} == {("train2017", True)}
    assert [[item.track_id for item in image.objects] for image in images] == [[0], [1, 2]]


def test_boxes_categories_outlines_and_crowds(coco):
    first, second = images_of(coco, "coco")
    (crowd,) = first.objects
    assert (crowd.category, crowd.marks, crowd.box_xyxy) == ("person", Mark.IGNORED, (10, 5, 30, 25))
    assert crowd.run_lengths is not None
    assert (crowd.run_lengths.size_hw, crowd.run_lengths.counts[:2]) == ((64, 96), (645, 20))
    dog, person = second.objects
    assert dog.box_xyxy == (1.5, 2, 31.5, 42.25)
    assert [points.tolist() for points in dog.polygons] == [[[2, 3], [20, 3], [2, 30]]], "two points enclose nothing"
    assert (person.polygons, person.run_lengths, person.marks) == ((), None, Mark.NONE)


def test_images_may_be_under_images(coco):
    (coco.root / "images").mkdir()
    (coco.root / "train2017").rename(coco.root / "images" / "train2017")
    assert images_of(coco, "coco")[0].path == coco.root / "images/train2017/b.jpg"


def test_coco_becomes_a_cache_in_which_crowds_are_no_targets_but_known(tree, build, tmp_path):
    data = content()
    data["annotations"][1]["image_id"] = 3
    tree.json("annotations/instances_train2017.json", data)
    tree.image("train2017/a.jpg")
    assert build(open_dataset("coco", tree.root)).categories == ("dog", "person")
    with CropCache.open(tmp_path / "cache") as cache:
        assert len(cache) == 2
        dog = cache.record(0)
        assert [len(points) for points in dog.target_polygons] == [3]
        assert dog.other_marks.tolist() == [Mark.IGNORED, Mark.NONE]
        assert [len(parts) for parts in dog.other_polygons] == [0, 0], "a crowd one pixel wide has no outline"


def test_a_reader_can_be_handed_to_another_process_and_read_twice(coco):
    reader = open_dataset("coco", coco.root)
    once = [image.path for image in reader.images()]
    assert [image.path for image in pickle.loads(pickle.dumps(reader)).images()] == once
    assert [image.path for image in reader.images()] == once


def test_other_splits_need_their_own_file(coco):
    with pytest.raises(DatasetError, match=r"looked for annotations/instances_val2017\.json .*annotations, train2017"):
        open_dataset("coco", coco.root, "val2017")


def test_missing_images_show_the_tree(tree):
    tree.json("annotations/instances_train2017.json", content())
    with pytest.raises(DatasetError, match=r"looked for train2017/ and images/train2017/ in (.|\n)*ROOT/train2017"):
        open_dataset("coco", tree.root)


@pytest.mark.parametrize(
    ("file", "image"),
    [
        ("annotations.json", "images/a.jpg"),
        ("_annotations.coco.json", "a.jpg"),
        ("annotations/instances_default.json", "images/a.jpg"),
        ("labels.json", "a.jpg"),
    ],
)
def test_any_coco_file_is_found_with_its_images(tree, file, image, build):
    tree.json(file, content())
    tree.image(image)
    tree.image(image.replace("a.jpg", "b.jpg"))
    assert images_of(tree)[1].path == tree.root / image
    assert len(build(open_dataset("coco-json", tree.root)).sequences) == 1


def test_several_files_are_not_guessed_among(tree):
    tree.json("one.json", content())
    tree.json("two.json", content())
    with pytest.raises(DatasetError, match=r"several JSON files \(one\.json, two\.json\); name the one to read annot"):
        open_dataset("coco-json", tree.root)


def test_ids_may_be_text_and_names_in_any_script(tree):
    data = {
        "categories": [{"id": "c1", "name": "собака"}],
        "annotations": [annotation("ü-1", [1, 2, 30, 40], "c1", ignore=1)],
        "images": [{"id": "ü-1", "file_name": "день/ü.jpg"}],
    }
    tree.path("annotations.json").write_bytes(json.dumps(data, ensure_ascii=False).encode())
    (image,) = images_of(tree)
    assert image.path == tree.root / "день" / "ü.jpg"
    assert (image.objects[0].category, image.objects[0].marks) == ("собака", Mark.IGNORED)


def video_content() -> dict[str, object]:
    """mmtracking's form: two videos whose frames are mixed in the file, and a still."""
    frames = [("v/2.jpg", 5, 20), ("w/1.jpg", 6, 0), ("v/1.jpg", 5, 10), ("still.jpg", None, None)]
    images = [
        {"id": number, "file_name": name, "video_id": video, "frame_id": frame}
        for number, (name, video, frame) in enumerate(frames)
    ]
    return {
        "videos": [{"id": 5, "name": "first"}],
        "images": images,
        "annotations": [annotation(number, [1, 2, 30, 40], instance_id=70 + number % 2) for number in range(4)],
        "categories": CATEGORIES,
    }


def test_videos_become_sequences_in_order_of_their_frames(tree):
    tree.json("annotations.json", video_content())
    images = images_of(tree)
    assert [(image.sequence, image.path.name, image.frame_number, image.still) for image in images] == [
        ("dataset", "still.jpg", 3, True),
        ("first", "1.jpg", 10, False),
        ("first", "2.jpg", 20, False),
        ("6", "1.jpg", 0, False),
    ]
    assert [image.objects[0].track_id for image in images] == [0, 70, 70, 71]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"annotations": [annotation(0, [1, 2, 3, 4])]}, "annotation 0 belongs to a video but has no track_id or inst"),
        ({"annotations": [annotation(0, [1, 2, 3, 4], track_id="x")]}, "annotation 0, track_id: 'x' is not a whole"),
        ({"videos": [{"id": 5}]}, "video .* has no id and name of its own"),
        ({"videos": [{"id": 5, "name": "a"}, {"id": 6, "name": "a"}]}, "video .* has no id and name of its own"),
        ({"images": [{"id": 0, "video_id": 5}]}, "image 0, frame_id or frame_index: None is not a whole number"),
        ({"images": [{"id": 0, "video_id": [5]}]}, r"image 0: video_id is \[5\]; expected a number or text"),
    ],
)
def test_malformed_videos_are_named(tree, change, message):
    tree.json("annotations.json", {**video_content(), **change})
    with pytest.raises(DatasetError, match=message):
        images_of(tree)


def broken(**changes: object) -> dict[str, object]:
    return {**content(), **changes}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            broken(images=[{"id": 3, "file_name": "../a.jpg"}, {"id": 7, "file_name": "b"}]),
            "image 0: .*is not a file n",
        ),
        (
            broken(images=[{"id": 3, "file_name": "/etc/x"}, {"id": 7, "file_name": "b"}]),
            "image 0: .*is not a file name",
        ),
        (
            broken(images=[{"id": 3, "file_name": None}, {"id": 7, "file_name": "b"}]),
            "image 0: None is not a file name",
        ),
        (broken(images=[{"id": 3, "file_name": "a"}]), "annotation 1: there is no image with id 7"),
        (broken(images=[{"id": 3}, {"id": 3}]), "image 1: id 3 is used twice"),
        (broken(images=[{"id": [3]}]), r"image 0: id is \[3\]; expected a number or text"),
        (broken(images=[]), "has 0 images, 3 annotations and 2 categories"),
        (broken(categories=[]), "has 3 images, 3 annotations and 0 categories"),
        (broken(categories=[{"id": 1}]), "category .* has no id and name"),
        (broken(annotations=[5]), "annotation 0: image_id is None"),
        (broken(annotations=[annotation(3, [1, 2, 3])]), r"annotation 0: bbox is \[1, 2, 3\]; expected \[x,y,w,h\]"),
        (broken(annotations=[annotation(3, [1, 2, 3, "x"])]), "annotation 0: 'x' is not a coordinate"),
        (broken(annotations=[annotation(3, [1, 2, 3, float("nan")])]), "annotation 0: nan is not a coordinate"),
        (broken(annotations=[annotation(3, [1, 2, 3, 10**400])]), "annotation 0: .* is not a coordinate"),
        (broken(annotations=[annotation(3, [1, 2, 3, 4], 99)]), "category_id 99 is not among"),
        (broken(annotations=[annotation(3, [1, 2, 3, 4], segmentation=5)]), "segmentation 5 is neither"),
        (broken(annotations=[annotation(3, [1, 2, 3, 4], segmentation=[[1, 2, 3]])]), "is not a polygon"),
        (broken(annotations=[annotation(3, [1, 2, 3, 4], segmentation={"counts": [1]})]), "run lengths have size None"),
        (
            broken(annotations=[annotation(3, [1, 2, 3, 4], segmentation={"size": [4, 4], "counts": [8, 7]})]),
            "run lengths cover 15 pixels of an image of 4x4",
        ),
        (
            broken(annotations=[annotation(3, [1, 2, 3, 4], segmentation={"size": [4, 4], "counts": [-8, 24]})]),
            r"run lengths are \[-8, 24\]",
        ),
        (
            broken(annotations=[annotation(3, [1, 2, 3, 4], segmentation={"size": [10**6, 4], "counts": []})]),
            r"run lengths have size \[1000000, 4\]",
        ),
        (
            broken(annotations=[annotation(3, [1, 2, 3, 4], segmentation={"size": [4, 4], "counts": "\t"})]),
            "compressed run lengths hold",
        ),
    ],
)
def test_malformed_annotations_are_named(tree, data, message):
    path = tree.json("annotations.json", data)
    with pytest.raises(DatasetError, match=message) as error:
        images_of(tree)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected '{' near byte 0"),
        ("[]", "expected '{' near byte 0"),
        ('{"images": [', "Expecting value near byte 12"),
        ('{"others": [1 2]}', "expected ',' or ']' near byte 14"),
        ('{"others": [1,]}', "comma before the end near byte 14"),
        ('{"images" [1]}', "expected ':' near byte 10"),
        ('{"images": [{"id": 1}', "expected ',' or ']' near byte 21"),
        ('{"images": ["\xff"]}', "codec can't decode"),
        ('{"images": ' + "[" * 100_000, "recursion"),
        ('{"images": [' + "1" * 5000 + "]}", "limit"),
    ],
)
def test_files_that_are_no_such_json_are_refused_at_the_byte(tree, text, message):
    path = tree.path("annotations.json")
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(DatasetError, match=f"cannot be read as JSON: .*{message}"):
        images_of(tree)


@pytest.mark.parametrize("chunk", [1, 2, 7, 1 << 20])
def test_elements_are_the_same_however_much_is_read_at_once(tree, monkeypatch, chunk):
    data = {"a": [1, 23, 4.5e2, "ü]", {"b": [None, True]}, []], "c": {"d": [6]}, "e": [], "f": 12}
    path = tree.path("x.json")
    path.write_bytes(json.dumps(data, ensure_ascii=False, indent=1).encode())
    monkeypatch.setattr(json_elements, "CHUNK", chunk)
    elements = list(iterate_elements(path))
    assert [(element.key, element.value) for element in elements] == [("a", value) for value in data["a"]]
    written = path.read_bytes()
    assert [json.loads(written[element.start : element.end]) for element in elements] == data["a"]


def test_an_element_of_absurd_size_is_not_read_to_its_end(tree, monkeypatch):
    monkeypatch.setattr(json_elements, "LARGEST_ELEMENT", 1000)
    monkeypatch.setattr(json_elements, "CHUNK", 100)
    tree.text("annotations.json", '{"images": ["' + "a" * 10_000)
    with pytest.raises(DatasetError, match="an element of more than 0 MiB near byte 12"):
        images_of(tree)


def encode_counts(counts: list[int]) -> str:
    """The reference: COCO's text, written from the description of the format in pycocotools."""
    text = ""
    for index, count in enumerate(counts):
        number = count - counts[index - 2] if index > 2 else count
        while True:
            group = number & 31
            number >>= 5
            done = number == (-1 if group & 16 else 0)
            text += chr(48 + group + (0 if done else 32))
            if done:
                break
    return text


def test_a_known_compressed_text_is_decoded():
    # 5 = "5"; 20 = 10100b needs a second group for its sign: chr(48+20+32), chr(48); the fourth number is 3 - 20 = -17.
    assert decode_counts("5d0`0_O", "here") == (5, 20, 16, 20 - 17)


@given(st.lists(st.integers(0, 2**30), max_size=30))
def test_compressed_run_lengths_round_trip(counts):
    assert decode_counts(encode_counts(counts), "here") == tuple(counts)


def test_compressed_run_lengths_become_the_same_mask_as_plain_ones(tree):
    counts = [645, 20, 64 * 96 - 665]
    data = broken(
        annotations=[
            annotation(3, [10, 5, 1, 20], segmentation={"size": [64, 96], "counts": encode_counts(counts)}),
            annotation(3, [10, 5, 1, 20], segmentation={"size": [64, 96], "counts": counts}),
        ]
    )
    tree.json("annotations.json", data)
    (image,) = images_of(tree)
    compressed, plain = (item.run_lengths for item in image.objects)
    assert compressed is not None and plain is not None
    assert compressed.counts == plain.counts == tuple(counts)
    mask = np.repeat([0, 1, 0], plain.counts).reshape(96, 64).T
    assert np.argwhere(mask)[[0, -1]].tolist() == [[5, 10], [24, 10]]
