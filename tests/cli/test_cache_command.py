from __future__ import annotations

import json
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest

PROGRAM = "import sys; from trackcli.cli.main import main; sys.argv[0] = 'trackcli'; main()"


def trackcli(*arguments):
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "clips [/take]" / "ball"
    (folder / "img").mkdir(parents=True)
    noise = np.random.default_rng(0)
    for number in range(3):
        cv2.imwrite(str(folder / "img" / f"{number}.jpg"), noise.integers(0, 256, (48, 64, 3), dtype=np.uint8))
    (folder / "groundtruth.txt").write_text("10,10,20,16\nnan,nan,nan,nan\n12,10,20,16\n")
    return folder.parent


def test_building_and_describing_a_cache(root, tmp_path):
    built = trackcli("cache", "build", "--dataset", "folder", "--root", root, "-o", tmp_path / "cache")
    assert built.returncode == 0, built.stderr
    assert built.stdout == f"2 objects of 3 images in {tmp_path / 'cache'} (1 shard built, 0 kept)\n"
    described = trackcli("cache", "info", tmp_path / "cache")
    assert described.returncode == 0, described.stderr
    assert f"from        folder {root}\n" in described.stdout
    assert "objects     2 in 3 images, 0 with an outline\n" in described.stdout
    assert "absent      1\n" in described.stdout


def test_json_is_one_object_and_nothing_else(root, tmp_path):
    built = trackcli("cache", "build", "--root", root, "-o", tmp_path / "cache", "--json")
    content = json.loads(built.stdout)
    assert (content["objects"], content["shards_built"], content["shards_kept"]) == (2, 1, 0)
    assert built.stderr == ""
    again = json.loads(trackcli("cache", "build", "--root", root, "-o", tmp_path / "cache", "--json").stdout)
    assert (again["shards_built"], again["shards_kept"]) == (0, 1)
    info = json.loads(trackcli("cache", "info", tmp_path / "cache", "--json").stdout)
    assert (info["sequences"], info["objects"], info["shards"], info["skipped"], info["absent"]) == (1, 2, 1, 0, 1)
    assert info["bytes"] == (tmp_path / "cache" / "shard-00000.h5").stat().st_size


def test_skipped_images_are_counted_and_listed_with_v(root, tmp_path):
    (root / "ball" / "img" / "2.jpg").write_bytes(b"broken")
    built = trackcli("cache", "build", "--root", root, "-o", tmp_path / "cache", "-v")
    assert built.returncode == 0
    assert "skipped 1 image\n" in built.stdout
    assert "skipped ball/img/2.jpg: 2.jpg is no image that can be decoded" in built.stderr


def test_without_arguments_the_seeded_synthetic_cache_is_built_once(tmp_path, monkeypatch):
    monkeypatch.setenv("TRACKCLI_CACHE_DIR", str(tmp_path / "mine [/x]"))
    first, second = trackcli("cache", "build"), trackcli("cache", "build")
    cache = tmp_path / "mine [/x]" / "synth-v1-format2"
    assert (first.returncode, second.returncode) == (0, 0), first.stderr
    assert "no --root given: building the cache of seeded synthetic sequences" in first.stderr
    assert first.stdout.endswith(f"of 288 images in {cache} (2 shards built, 0 kept)\n")
    assert second.stdout.endswith(f"of 288 images in {cache} (already complete)\n")


def test_a_dataset_without_an_output_shows_an_example(tmp_path):
    done = trackcli("cache", "build", "--root", tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        f"error: --output is missing; expected a folder for the cache of {tmp_path}, as in: "
        "trackcli cache build --dataset folder --root my-videos -o my-cache\n"
    )


def test_a_wrong_root_is_an_input_error_that_shows_the_tree(tmp_path):
    done = trackcli("cache", "build", "--root", tmp_path, "-o", tmp_path / "cache")
    assert done.returncode == 3
    assert f"error: looked for groundtruth.txt or boxes.json beside img/ in {tmp_path}" in done.stderr
    assert "ROOT/<sequence>/img/*.jpg" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_that_is_no_cache_is_an_input_error_in_json_too(tmp_path):
    done = trackcli("cache", "info", tmp_path, "--json")
    assert done.returncode == 3
    error = json.loads(done.stdout)
    assert error["exit_code"] == 3
    assert "is no finished crop cache" in error["error"]
