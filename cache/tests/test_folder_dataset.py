from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from trackcli_cache.catalogue import open_dataset
from trackcli_cache.errors import DatasetError
from trackcli_cache.masks import ImageMasks


def images_of(root):
    return list(open_dataset("folder", root).images())


def test_frames_come_in_natural_order_with_the_numbers_in_their_names(video_root):
    images = images_of(video_root)
    assert [image.path.name for image in images] == ["f2.jpg", "f4.jpg", "f6.jpg", "f8.jpg", "f10.jpg", "f12.jpg"]
    assert [image.frame_number for image in images] == [2, 4, 6, 8, 10, 12]
    assert {(image.sequence, image.still) for image in images} == {("walk", False)}


def test_names_without_numbers_are_numbered_by_place(video_root):
    for index, path in enumerate(sorted((video_root / "walk" / "img").iterdir())):
        path.rename(path.with_name("abcdef"[index] + ".jpg"))
    assert [image.frame_number for image in images_of(video_root)] == [0, 1, 2, 3, 4, 5]


def test_hidden_files_beside_the_frames_are_none(video_root):
    (video_root / "walk" / "img" / "._f2.jpg").write_bytes(b"left by another system")
    assert len(images_of(video_root)) == 6


def test_boxes_may_be_separated_by_commas_tabs_or_spaces(video_root):
    boxes = [image.objects[0].box_xyxy for image in images_of(video_root) if not image.objects[0].absent]
    assert boxes == [(x, 20, x + 16, 32) for x in (10, 11.5, 13, 14, 15)]


@pytest.mark.parametrize("line", ["nan,nan,nan,nan", "0,0,0,0", "-1,-1,-1,-1", "5 5 NaN 5"])
def test_nan_and_empty_boxes_mean_out_of_view(video_root, line):
    path = video_root / "walk" / "groundtruth.txt"
    path.write_text("\n".join([line] + ["1,2,30,40"] * 5))
    assert [image.objects[0].absent for image in images_of(video_root)] == [True] + [False] * 5


@pytest.mark.parametrize("line", ["1,2,3", "1,2,3,x", "1,2,3,4,5", "", "1,2,inf,4"])
def test_a_malformed_line_is_named(video_root, line):
    path = video_root / "walk" / "groundtruth.txt"
    path.write_text("\n".join(["1,2,30,40", line] + ["1,2,30,40"] * 4))
    with pytest.raises(DatasetError, match=r"groundtruth\.txt, line 2: .*expected x,y,w,h in pixels"):
        images_of(video_root)


def test_too_few_boxes_are_an_error_with_both_counts(video_root):
    (video_root / "walk" / "groundtruth.txt").write_text("1,2,3,4\n")
    with pytest.raises(DatasetError, match="has 1 boxes for the 6 images"):
        images_of(video_root)


def test_a_root_may_itself_be_a_sequence(video_root):
    assert [image.sequence for image in images_of(video_root / "walk")] == ["walk"] * 6


def test_masks_belong_to_the_frame_of_the_same_name(video_root):
    masks = [image.objects[0].mask_path for image in images_of(video_root)]
    assert [path and path.name for path in masks] == ["f2.png", None, None, None, None, None]


def test_the_outline_of_a_mask_runs_through_its_border_pixels_centres(video_root):
    (outline,) = ImageMasks((64, 96)).outlines_of(images_of(video_root)[0].objects[0])
    assert sorted(map(tuple, outline.tolist())) == [(10.5, 20.5), (10.5, 31.5), (25.5, 20.5), (25.5, 31.5)]


def test_a_mask_of_another_size_is_refused(video_root):
    with pytest.raises(DatasetError, match="is 96x64 but its image is 10x10"):
        ImageMasks((10, 10)).outlines_of(images_of(video_root)[0].objects[0])


def test_stills_have_categories_outlines_and_one_track_per_object(stills_root):
    first, second = images_of(stills_root)
    assert [first.path.name, second.path.name] == ["a2.jpg", "a10.jpg"]
    assert (first.still, first.sequence, first.frame_number, second.frame_number) == (True, "zoo", 0, 1)
    assert [item.category for item in first.objects] == ["dog", "cat", "bird"]
    assert [item.track_id for item in first.objects + second.objects] == [0, 1, 2, 3]
    assert first.objects[0].box_xyxy == (10, 20, 26, 32)
    assert [len(item.polygons) for item in first.objects] == [2, 0, 0]
    assert np.array_equal(first.objects[0].polygons[1], [[11, 30], [14, 30], [11, 32]])


def test_segments_stand_in_where_there_are_no_boxes(stills_root):
    folder = stills_root / "zoo"
    (folder / "segments_boxes.json").write_text((folder / "boxes.json").read_text())
    assert images_of(folder)[0].objects[0].category == "dog"
    (folder / "boxes.json").write_text(json.dumps({"a2.jpg": []}))
    (folder / "segments_boxes.json").write_text(json.dumps({"a2.jpg": [[1, 2, 30, 40, "segment"]]}))
    (image,) = images_of(folder)
    assert [item.category for item in image.objects] == ["segment"]


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ("[]", "holds a JSON list; expected an object"),
        ("{", "cannot be read as JSON"),
        ('{"a2.jpg": [[1, 2, 3]]}', r"image 'a2\.jpg', object 0: \[1, 2, 3\] is not a box"),
        ('{"a2.jpg": [[1, 2, -3, 4, "cat"]]}', "w and h of at least 0"),
        ('{"a2.jpg": [[1, 2, 1e999, 4, "cat"]]}', "is not a box"),
        ('{"a2.jpg": [[1, 2, 3, 4, 5]]}', "category 5 is not text"),
        ('{"a2.jpg": 7}', "expected a list"),
        ('{"../a2.jpg": [[1, 2, 3, 4, "cat"]]}', "is not a file name"),
    ],
)
def test_malformed_boxes_are_named(stills_root, boxes, message):
    (stills_root / "zoo" / "boxes.json").write_text(boxes)
    (stills_root / "zoo" / "polys.json").unlink()
    with pytest.raises(DatasetError, match=message):
        images_of(stills_root)


@pytest.mark.parametrize(
    "outlines",
    [
        "[[[1, 2, 3, 4]], null, null]",
        "[null]",
        "[[[1, 2, 3, 4, 5, 6, 7]], null, null]",
        "[[[1, 2, 3, 4, 5, NaN]], null, null]",
        "[[[1, 2, 3, 4, 5, -1e400]], null, null]",
        '[[[1, 2, 3, 4, 5, "6"]], null, null]',
        "[[[1, 2, 3, 4, 5, 1" + 400 * "0" + "]], null, null]",
    ],
)
def test_malformed_outlines_are_refused(stills_root, outlines):
    (stills_root / "zoo" / "polys.json").write_text(f'{{"a2.jpg": {outlines}}}')
    with pytest.raises(DatasetError, match=r"image 'a2\.jpg'"):
        images_of(stills_root)


def test_a_wrong_root_says_what_was_looked_for_and_shows_the_tree(tmp_path):
    (tmp_path / "holiday").mkdir()
    with pytest.raises(DatasetError) as error:
        open_dataset("folder", tmp_path)
    assert f"looked for groundtruth.txt or boxes.json beside img/ in {tmp_path} and its 1 sub-folders" in str(
        error.value
    )
    assert "ROOT/<sequence>/groundtruth.txt" in str(error.value)


def test_a_root_that_is_no_folder_shows_the_tree():
    with pytest.raises(DatasetError, match=r"/nowhere is not a folder; expected one that holds\n  ROOT"):
        open_dataset("folder", Path("/nowhere"))


def test_images_without_annotations_are_not_passed_over(video_root):
    (video_root / "run" / "img").mkdir(parents=True)
    with pytest.raises(DatasetError, match=r"run has img/ but neither groundtruth\.txt nor boxes\.json"):
        images_of(video_root)


def test_sequences_are_listed_in_natural_order_without_collections_of_stills(video_root, stills_root):
    (stills_root / "zoo").rename(video_root / "zoo")
    for name in ("walk10", "walk9", ".hidden"):
        shutil.copytree(video_root / "walk", video_root / name)
    assert open_dataset("folder", video_root).sequence_names() == ["walk", "walk9", "walk10"]


def test_a_sequence_has_exactly_the_numbers_of_its_file(video_root):
    path = video_root / "walk" / "groundtruth.txt"
    path.write_text("0.1,0.2,335.74,258.55\n" + "1;2;3;4\n" + "nan,nan,nan,nan\n" + "5,6,0,8\n" + "1 2 3 4\n" * 2)
    sequence = open_dataset("folder", video_root).read_sequence("walk")
    assert sequence.boxes_xywh[:2].tolist() == [[0.1, 0.2, 335.74, 258.55], [1, 2, 3, 4]]
    assert np.isnan(sequence.boxes_xywh[2:4]).all()
    assert sequence.absent.tolist() == [False, False, True, True, False, False]
    assert sequence.marks.tolist() == [0] * 6
    assert sequence.frame_numbers.tolist() == [2, 4, 6, 8, 10, 12]
    assert [path.name for path in sequence.frames[:2]] == ["f2.jpg", "f4.jpg"]
    assert [path and path.name for path in sequence.mask_paths] == ["f2.png", None, None, None, None, None]


def test_half_a_sequence_is_listed_and_refused_when_read(video_root):
    (video_root / "run" / "img").mkdir(parents=True)
    (video_root / "swim").mkdir()
    (video_root / "swim" / "groundtruth.txt").write_text("1,2,3,4\n")
    dataset = open_dataset("folder", video_root)
    assert dataset.sequence_names() == ["run", "swim", "walk"]
    assert len(dataset.read_sequence("walk")) == 6
    with pytest.raises(DatasetError, match=r"run has img/ but no groundtruth\.txt; add it or move the folder away"):
        dataset.read_sequence("run")
    with pytest.raises(DatasetError, match=r"swim has groundtruth\.txt but no img/ with its frames"):
        dataset.read_sequence("swim")


def test_an_unknown_sequence_suggests_the_nearest_one(video_root, stills_root):
    with pytest.raises(DatasetError, match=r"has no sequence 'wolk'; did you mean walk\?"):
        open_dataset("folder", video_root).read_sequence("wolk")
    with pytest.raises(DatasetError, match="has no sequence 'zoo'; it has 0"):
        open_dataset("folder", stills_root).read_sequence("zoo")


def test_an_unknown_layout_lists_the_known_ones(tmp_path):
    with pytest.raises(DatasetError, match=r"--dataset 'vid' is unknown; choose one of: .*folder, got10k"):
        open_dataset("vid", tmp_path)
