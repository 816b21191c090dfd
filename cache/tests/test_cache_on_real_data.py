"""A few real images and frames, where they lie beside the checkout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from trackcli_cache.build import build_cache
from trackcli_cache.catalogue import open_dataset
from trackcli_cache.reader import CropCache

DATA = Path(__file__).parents[2] / ".." / "shared" / "data" / "train"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="no ../shared/data beside this checkout")


@pytest.mark.parametrize(
    ("part", "limit"),
    [("images/bsds500", 3), ("images/coco_mini", 5), ("images/cat_faces", 4), ("video/davis_goat", 4)],
)
def test_real_folders_build_and_read(tmp_path, part, limit):
    report = build_cache(open_dataset("folder", DATA / part), tmp_path / "cache", limit=limit)
    assert report.manifest.images == limit
    with CropCache.open(tmp_path / "cache") as cache:
        assert len(cache) >= limit
        for index in range(len(cache)):
            record = cache.record(index)
            assert cache.search_crop(index).std() > 0
            assert cache.exemplar_crop(index).std() > 0
            centre = (record.box_xyxy[:2] + record.box_xyxy[2:]) / 2
            assert np.abs(centre - 216).max() <= 0.51 / record.search_scale + 1e-6


def test_every_annotation_of_the_training_data_can_be_read():
    images = sum(1 for _ in open_dataset("folder", DATA / "images").images())
    frames = sum(1 for _ in open_dataset("folder", DATA / "video").images())
    assert images > 1000
    assert frames == 567
