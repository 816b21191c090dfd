"""The example on the format's page reads a cache with h5py alone."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from trackcli_cache.build import build_cache
from trackcli_cache.catalogue import open_dataset
from trackcli_cache.columns import Columns
from trackcli_cache.crops import CODECS
from trackcli_cache.datasets import Mark
from trackcli_cache.reader import CropCache
from trackcli_cache.shard import FORMAT_VERSION

PAGE = Path(__file__).parents[2] / "docs" / "cache-format.md"

pytestmark = pytest.mark.skipif(not PAGE.is_file(), reason="the documentation is not beside this package")


@pytest.mark.parametrize("codec", CODECS)
def test_the_example_on_the_page_runs_and_agrees_with_the_reader(stills_root, tmp_path, codec):
    build_cache(open_dataset("folder", stills_root), tmp_path / "my-cache", codec=codec)
    lines = lines_of_the_example(tmp_path)
    with CropCache.open(tmp_path / "my-cache") as cache:
        expected = [
            f"{cache.record(index).path} {cache.categories[cache.record(index).category_id]}"
            f" {cache.record(index).source_box_xyxy.round(2).tolist()} (432, 432, 3)"
            f" {len(cache.record(index).other_boxes_xyxy)} others"
            for index in range(len(cache))
        ]
    assert lines == expected


def test_the_example_on_the_page_reads_a_cache_without_categories(video_root, tmp_path):
    build_cache(open_dataset("folder", video_root), tmp_path / "my-cache")
    lines = lines_of_the_example(tmp_path)
    assert len(lines) == 5
    assert lines[0].startswith("walk/img/f2.jpg None [10.0, 20.0, 26.0, 32.0] ")


def lines_of_the_example(folder):
    """What the page's program prints about ``my-cache`` in a folder."""
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert "trackcli" not in example
    done = subprocess.run([sys.executable, "-c", example], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_the_page_describes_every_column():
    page = PAGE.read_text(encoding="utf-8")
    assert [column.name for column in fields(Columns) if f"`{column.name}`" not in page] == []


def test_the_page_names_the_version_and_every_mark():
    page = PAGE.read_text(encoding="utf-8")
    assert page.startswith(f"# The crop cache, version {FORMAT_VERSION}\n")
    sentence = re.search(r"Marks are bits: (.*)\.", page)
    assert sentence is not None
    assert [int(item.split()[0]) for item in sentence[1].split(", ")] == [int(mark) for mark in Mark]
