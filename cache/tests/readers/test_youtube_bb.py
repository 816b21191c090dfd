"""YouTube-BB's CSV with frames as youtube-bb-utility saves them, or in a folder per video."""

from __future__ import annotations

import pytest
from trackcli_cache.catalogue import open_dataset
from trackcli_cache.datasets import Mark
from trackcli_cache.errors import DatasetError
from trackcli_cache.readers.image_size import read_image_size

SPLIT = "yt_bb_detection_train"

ROWS = """\
AAAbbb-_111,2000,5,car,0,present,0.25,0.5,0.125,0.75
AAAbbb-_111,1000,5,car,0,present,0.25,0.75,0.125,0.75
Zgone_00000,1000,0,person,0,present,0.1,0.9,0.1,0.9
AAAbbb-_111,2000,0,person,1,present,0.5,1,0,1
AAAbbb-_111,3000,5,car,0,absent,-1,-1,-1,-1
AAAbbb-_111,3000,0,person,1,uncertain,0,0.5,0,0.5
AAAbbb-_111,4000,5,car,0,absent,-1,-1,-1,-1
"""


@pytest.fixture
def ytbb(tree):
    """The car alone in second 1, both in 2, the person in 3 (as the car has left), no frame for second 4."""
    tree.text(f"{SPLIT}.csv", ROWS)
    for name in ("5/AAAbbb-_111_1000_5_0", "0/AAAbbb-_111_2000_0_1", "0/AAAbbb-_111_3000_0_1"):
        tree.image(f"{SPLIT}/{name}.jpg", width=96, height=64)
    return tree


def test_fractions_become_pixels_of_the_frames_own_size(ytbb):
    first, second, third = open_dataset("youtube-bb", ytbb.root).images()
    assert [image.frame_number for image in (first, second, third)] == [1, 2, 3]
    assert {image.sequence for image in (first, second, third)} == {"AAAbbb-_111"}
    assert second.path == ytbb.root / SPLIT / "0" / "AAAbbb-_111_2000_0_1.jpg"
    assert [item.box_xyxy for item in first.objects] == [(24, 8, 72, 48)]
    assert [item.box_xyxy for item in second.objects] == [(24, 8, 48, 48), (48, 0, 96, 64)]


def test_objects_keep_their_track_and_absent_and_uncertain_are_told_apart(ytbb):
    _, second, third = open_dataset("youtube-bb", ytbb.root).images()
    assert [(item.category, item.track_id) for item in second.objects] == [("car", 0), ("person", 1)]
    assert [(item.track_id, item.absent, item.marks) for item in third.objects] == [
        (0, True, Mark.NONE),
        (1, False, Mark.IGNORED),
    ]


def test_a_folder_per_video_is_read_as_well(tree, build):
    tree.text(f"{SPLIT}.csv", ROWS)
    for time in (1000, 2000, 4000):
        tree.image(f"{SPLIT}/AAAbbb-_111/{time}.jpg")
    images = list(open_dataset("youtube-bb", tree.root).images())
    assert [image.path.name for image in images] == ["1000.jpg", "2000.jpg", "4000.jpg"]
    assert images[2].objects[0].absent
    assert sum(shard.records for shard in build(open_dataset("youtube-bb", tree.root)).shards) == 3


def test_the_size_is_that_of_the_first_frame_that_can_be_read(ytbb):
    (ytbb.root / SPLIT / "5" / "AAAbbb-_111_1000_5_0.jpg").write_bytes(b"\xff\xd8\xff")
    _, second, _ = open_dataset("youtube-bb", ytbb.root).images()
    assert second.objects[1].box_xyxy == (48, 0, 96, 64)


def test_no_frame_at_all_is_an_error(tree):
    tree.text(f"{SPLIT}.csv", ROWS)
    (tree.root / SPLIT).mkdir()
    with pytest.raises(DatasetError, match=r"looked for frames of any video in the CSV file in (.|\n)*<video>/<ms>"):
        list(open_dataset("youtube-bb", tree.root).images())


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("AAAbbb-_111,1000,5,car,0,present,0.1,0.2,0.3", "expected 10 columns"),
        ("AAAbbb-_111,1000,../..,car,0,present,0.1,0.2,0.3,0.4", "expected 10 columns"),
        ("../../passwd,1000,5,car,0,present,0.1,0.2,0.3,0.4", "expected 10 columns"),
        ("AAAbbb-_111,1000,5,car,0,present,0.1,0.2,0.3,nan", "'nan' is not a coordinate"),
        ("AAAbbb-_111,1000.5,5,car,0,present,0.1,0.2,0.3,0.4", "is not a whole number"),
        ("x" * 5000, "a line of more than 4096 bytes"),
    ],
)
def test_a_malformed_row_is_named(ytbb, row, message):
    ytbb.text(f"{SPLIT}.csv", ROWS + row + "\n")
    with pytest.raises(DatasetError, match=message):
        list(open_dataset("youtube-bb", ytbb.root).images())


def test_a_packed_csv_is_to_be_unpacked(tree):
    tree.text(f"{SPLIT}.csv.gz", "")
    with pytest.raises(DatasetError, match=r"yt_bb_detection_train\.csv \(unpacked with gzip -d\).* holds yt_bb_det"):
        open_dataset("youtube-bb", tree.root)


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
@pytest.mark.parametrize("size", [(96, 64), (1, 1), (300, 7)])
def test_sizes_are_read_from_headers(tree, name, size):
    assert read_image_size(tree.image(name, *size)) == size


@pytest.mark.parametrize(
    "data", [b"", b"GIF89a", b"\xff\xd8", b"\xff\xd8\xff\xe0\x00\x04ab", b"\xff\xd8" + b"\xff" * 50]
)
def test_what_has_no_size_is_refused(tree, data):
    path = tree.path("a.jpg")
    path.write_bytes(data)
    with pytest.raises(DatasetError, match=r"a\.jpg is (neither a JPEG nor a PNG file|a JPEG file without a size)"):
        read_image_size(path)


def test_a_size_behind_a_large_comment_is_found(tree):
    path = tree.image("a.jpg", 40, 30)
    comment = b"\xff\xfe\xff\xff" + b"c" * 65533
    data = path.read_bytes()
    path.write_bytes(data[:2] + comment * 3 + data[2:])
    assert read_image_size(path) == (40, 30)
