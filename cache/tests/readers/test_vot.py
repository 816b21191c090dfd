from __future__ import annotations

import numpy as np
import pytest
from trackcli_cache.catalogue import open_dataset
from trackcli_cache.datasets import Mark
from trackcli_cache.errors import DatasetError

POLYGON = "20,10,50,20,40,50,10.5,40"


def write_sequence(tree, name, lines, images=None, folder="color/"):
    for number in range(1, (images or len(lines)) + 1):
        tree.path(f"{name}/{folder}{number:08d}.jpg").touch()
    tree.text(f"{name}/groundtruth.txt", "\n".join(lines) + "\n")


@pytest.fixture
def vot(tree):
    tree.text("list.txt", "bag\nants1\n")
    write_sequence(tree, "bag", [POLYGON, "0,0,10,0,10,10,0,10", "5,5,20,5,20,15,5,15"])
    write_sequence(tree, "ants1", [POLYGON], folder="")
    tree.text("bag/occlusion.tag", "0\n1\n")
    tree.text("bag/camera_motion.label", "1\n1\n0\n")
    tree.text("bag/size_change.tag", "0\n0\n0\n")
    return tree


@pytest.mark.parametrize("name", ["vot2016", "vot2017", "vot2018", "vot2019", "vot2018-lt", "vot2019-lt"])
def test_every_year_reads_the_sequences_of_its_list(vot, name):
    dataset = open_dataset(name, vot.root)
    assert (dataset.name, dataset.sequence_names()) == (name, ("bag", "ants1"))


def test_a_polygons_upright_box_goes_from_its_least_to_its_greatest_coordinates(vot):
    sequence = open_dataset("vot2018", vot.root).read_sequence("bag")
    assert sequence.polygons_xy.shape == (3, 4, 2)
    assert sequence.polygons_xy[0].tolist() == [[20, 10], [50, 20], [40, 50], [10.5, 40]]
    assert sequence.boxes_xywh.tolist() == [[10.5, 10, 39.5, 40], [0, 0, 10, 10], [5, 5, 15, 10]]


def test_occlusion_is_a_mark_and_tags_that_occur_are_attributes(vot):
    dataset = open_dataset("vot2018", vot.root)
    sequence = dataset.read_sequence("bag")
    assert sequence.marks.tolist() == [0, Mark.OCCLUDED, 0]
    assert sequence.attributes == ("camera_motion", "occlusion")
    tags = {name: values.tolist() for name, values in dataset.frame_tags("bag").items()}
    assert tags == {
        "camera_motion": [True, True, False],
        "occlusion": [False, True, False],
        "size_change": [False, False, False],
    }


def test_frames_lie_in_color_or_beside_the_truth(vot):
    dataset = open_dataset("vot2016", vot.root)
    assert dataset.read_sequence("bag").frames[0] == vot.root / "bag/color/00000001.jpg"
    assert dataset.read_sequence("ants1").frames[0] == vot.root / "ants1/00000001.jpg"


def test_a_toolkit_workspace_and_folders_without_list_are_read(tree):
    write_sequence(tree, "sequences/ball10", ["1,2,3,4"])
    write_sequence(tree, "sequences/ball9", ["1,2,3,4"])
    dataset = open_dataset("vot2019-lt", tree.root)
    assert (dataset.root, dataset.sequence_names()) == (tree.root / "sequences", ("ball9", "ball10"))


def test_long_term_truth_has_boxes_and_absent_frames(tree):
    write_sequence(tree, "ballet", ["319.5,143,58,127", "nan,nan,nan,nan", "0", "320,143,58,127"])
    sequence = open_dataset("vot2019-lt", tree.root).read_sequence("ballet")
    assert sequence.boxes_xywh[[0, 3]].tolist() == [[319.5, 143, 58, 127], [320, 143, 58, 127]]
    assert np.isnan(sequence.boxes_xywh[1:3]).all()
    assert sequence.absent.tolist() == [False, True, True, False]
    assert sequence.polygons_xy is None


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1,2,3,4,5,6", r"line 1: '1,2,3,4,5,6' is not a box; expected x1,y1,x2,y2,x3,y3,x4,y4 or x,y,w,h"),
        ("m10,20,30,40,5,5", r"line 1: is a mask, as in VOT2020 and later"),
        ("1,2,inf,4", r"line 1: .* infinite or absurd"),
    ],
)
def test_other_regions_are_refused(vot, line, message):
    vot.text("ants1/groundtruth.txt", line + "\n")
    with pytest.raises(DatasetError, match=message):
        open_dataset("vot2018", vot.root).read_sequence("ants1")


def test_wrong_counts_and_missing_sequences_are_errors(vot):
    vot.text("bag/occlusion.tag", "0\n" * 4)
    dataset = open_dataset("vot2018", vot.root)
    with pytest.raises(DatasetError, match=r"occlusion\.tag has 4 lines for 3 frames"):
        dataset.read_sequence("bag")
    write_sequence(vot, "ants1", [POLYGON], images=2, folder="")
    with pytest.raises(DatasetError, match=r"ants1/groundtruth\.txt has 1 boxes for the 2 images"):
        dataset.read_sequence("ants1")
    (vot.root / "bag/groundtruth.txt").unlink()
    with pytest.raises(DatasetError, match=r"sequence bag has no bag/groundtruth\.txt"):
        dataset.read_sequence("bag")


def test_a_list_cannot_lead_elsewhere(vot):
    vot.text("list.txt", "../../etc\n")
    with pytest.raises(DatasetError, match=r"list\.txt, line 1: '\.\./\.\./etc' is not a plain name"):
        open_dataset("vot2018", vot.root)


def test_a_wrong_root_shows_the_tree(tree):
    with pytest.raises(DatasetError, match=r"looked for <sequence>/groundtruth\.txt in .*\n  ROOT/list\.txt"):
        open_dataset("vot2018", tree.root)
