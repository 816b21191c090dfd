"""A dataset of one's own: the example program, the documentation's class, and the documentation's trees."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from trackcli_cache.manifest import read_manifest
from trackcli_cache.readers import trees

PROJECT = Path(__file__).parents[3]
PAGE = PROJECT / "docs" / "datasets.md"


def run(*arguments: object, cwd: Path) -> str:
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_example_makes_a_cache_from_a_table_of_boxes(tree):
    for name in ("a.jpg", "b.jpg"):
        tree.image(f"images/{name}")
    tree.text("boxes.csv", "a.jpg,10,20,16,12,dog\na.jpg,40,10,20,20,cat\nb.jpg,5,5,30,30,dog\nb.jpg,1,1,2,2,cat\n")
    said = run(PROJECT / "examples" / "own_dataset.py", "boxes.csv", "images", "cache", cwd=tree.root)
    assert said == "3 objects in ('cat', 'dog'), 1 left out\n"
    manifest = read_manifest(tree.root / "cache")
    assert [(entry.name, entry.still) for entry in manifest.sequences] == [("images", True)]


def test_the_class_in_the_documentation_makes_a_cache(tree):
    code = next(block for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S) if "class Shots" in block)
    tree.text("shots.py", code)
    for name in ("1", "2"):
        tree.image(f"shots/{name}.jpg")
        tree.text(f"shots/{name}.txt", "10 20 16 12")
    run("shots.py", cwd=tree.root)
    manifest = read_manifest(tree.root / "my-cache")
    assert sum(shard.records for shard in manifest.shards) == 2
    assert manifest.categories == ("dog",)


@pytest.mark.parametrize("name", [name for name in vars(trees) if name.isupper()])
def test_the_documentation_shows_the_very_tree_of_the_messages(name):
    assert f"```\n{getattr(trees, name)}\n```" in PAGE.read_text()
