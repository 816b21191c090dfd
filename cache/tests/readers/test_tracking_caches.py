"""Readers of tracking datasets, through the builder into a cache."""

from __future__ import annotations

import numpy as np
from trackcli_cache.build import build_cache
from trackcli_cache.catalogue import open_dataset
from trackcli_cache.reader import CropCache


def test_a_cache_of_got10k_holds_the_frames_in_view(tree, tmp_path):
    folder = "val/GOT-10k_Val_000001"
    tree.text("val/list.txt", "GOT-10k_Val_000001\n")
    for number in range(1, 5):
        tree.image(f"{folder}/{number:08d}.jpg")
    tree.text(f"{folder}/groundtruth.txt", "10,8,20,16\n12,8,20,16\n14,8,20,16\nnan,nan,nan,nan\n")
    tree.text(f"{folder}/cover.label", "8\n4\n0\n0\n")
    tree.text(f"{folder}/absence.label", "0\n0\n0\n1\n")
    tree.text(f"{folder}/cut_by_image.label", "0\n0\n0\n0\n")
    tree.text(f"{folder}/meta_info.ini", "object_class: goat\n")
    build_cache(open_dataset("got10k", tree.root, "val"), tmp_path / "cache")
    with CropCache.open(tmp_path / "cache") as cache:
        assert cache.frame_numbers.tolist() == [1, 2]
        assert cache.absent_frames.tolist() == [[0, 3, 0], [0, 4, 0]]


def test_a_cache_of_vot_has_the_upright_boxes(tree, tmp_path):
    for number in (1, 2):
        tree.image(f"bag/color/{number:08d}.jpg")
    tree.text("list.txt", "bag\n")
    tree.text("bag/groundtruth.txt", "30,10,50,20,40,40,20,30\n31,10,51,20,41,40,21,30\n")
    build_cache(open_dataset("vot2018", tree.root), tmp_path / "cache")
    with CropCache.open(tmp_path / "cache") as cache:
        assert cache.frame_numbers.tolist() == [1, 2]
        np.testing.assert_allclose(cache.target_sizes, [[30, 30], [30, 30]], atol=1e-9)
