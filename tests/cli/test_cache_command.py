from __future__ import annotations

import json
import os
import shutil
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


def test_a_cache_for_larger_crops_keeps_their_proportions(root, tmp_path):
    built = trackcli("cache", "build", "--root", root, "-o", tmp_path / "cache", "--template-size", "254")
    assert built.returncode == 0, built.stderr
    described = trackcli("cache", "info", tmp_path / "cache", "--json")
    settings = json.loads(described.stdout)["settings"]
    assert (settings["template_size"], settings["search_size"]) == (254, 510)
    assert (settings["template_shift"], settings["search_shift"]) == (8, 128)
    other = trackcli("cache", "build", "--root", root, "-o", tmp_path / "cache")
    assert other.returncode == 3 and "--template-size" in other.stderr


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
    again = trackcli("cache", "build", "--root", root, "-o", tmp_path / "cache")
    assert "skipped 1 image; if they were repaired since, build again with --force\n" in again.stdout
    assert "skipped ball/img/2.jpg: is no image that can be decoded" in built.stderr


def test_without_arguments_the_seeded_synthetic_cache_is_built_once(tmp_path, monkeypatch):
    monkeypatch.setenv("TRACKCLI_CACHE_DIR", str(tmp_path / "mine [/x]"))
    first, second = trackcli("cache", "build"), trackcli("cache", "build")
    cache = tmp_path / "mine [/x]" / "synth-v2-format2"
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


def test_parts_are_built_and_merged(root, tmp_path):
    whole = trackcli("cache", "build", "--root", root, "-o", tmp_path / "whole", "--codec", "raw")
    assert whole.returncode == 0, whole.stderr
    for number in (1, 2):
        part = trackcli(
            "cache", "build", "--root", root, "-o", tmp_path / str(number), "--codec", "raw", "--shard", f"{number}/2"
        )
        assert part.returncode == 0, part.stderr
        assert part.stdout.startswith(f"part {number}/2: ")
        assert "trackcli cache merge DIR… -o DIR" in part.stdout
    missing = trackcli("cache", "merge", tmp_path / "1", "-o", tmp_path / "merged")
    assert missing.returncode == 3
    assert missing.stderr == (
        "error: 1 of 2 parts are missing: 2/2; build them with --shard, or name their folders too\n"
    )
    merged = trackcli("cache", "merge", tmp_path / "1", tmp_path / "2", "-o", tmp_path / "merged")
    assert merged.returncode == 0, merged.stderr
    assert merged.stdout == f"2 objects in {tmp_path / 'merged'} (1 shard linked, 0 copied, 0 kept)\n"
    first, second = (tmp_path / name / "manifest.json" for name in ("whole", "merged"))
    assert first.read_bytes() == second.read_bytes()


def test_verify_names_the_damaged_record(root, tmp_path):
    cache = tmp_path / "cache"
    assert trackcli("cache", "build", "--root", root, "-o", cache).returncode == 0
    intact = trackcli("cache", "verify", cache)
    assert (intact.returncode, intact.stdout) == (0, f"{cache}: 2 objects in 1 shard, all intact\n")
    shard = cache / "shard-00000.h5"
    content = bytearray(shard.read_bytes())
    content[content.rindex(b"\xff\xd8\xff") + 900] ^= 0xFF
    shard.write_bytes(content)
    damaged = trackcli("cache", "verify", cache)
    assert damaged.returncode == 3
    assert damaged.stdout.startswith(
        "damaged: shard-00000.h5, record 1 (ball/img/2.jpg): the checksum of the search crop differs\n"
    )
    content = json.loads(trackcli("cache", "verify", cache, "--json").stdout)
    assert content["intact"] is False
    assert content["damaged"][0] | {"problem": ""} == {
        "shard": "shard-00000.h5",
        "record": 1,
        "source": "ball/img/2.jpg",
        "problem": "",
    }


def test_info_draws_a_contact_sheet(root, tmp_path):
    assert trackcli("cache", "build", "--root", root, "-o", tmp_path / "cache").returncode == 0
    sheet = tmp_path / "sheet [x].png"
    described = trackcli("cache", "info", tmp_path / "cache", "--picture", sheet)
    assert described.returncode == 0, described.stderr
    assert f"picture     {sheet}\n" in described.stdout
    assert cv2.imread(str(sheet)).shape == (322, 824, 3)


def test_datasets_are_listed_and_shown_with_their_tree():
    listed = trackcli("cache", "datasets")
    assert listed.returncode == 0
    assert any(line.startswith("got10k ") and "train, val, test" in line for line in listed.stdout.splitlines())
    names = [entry["name"] for entry in json.loads(trackcli("cache", "datasets", "--json").stdout)["datasets"]]
    assert {"folder", "got10k", "coco", "lasot"} <= set(names)
    assert names == sorted(names)
    shown = trackcli("cache", "datasets", "got10k")
    assert "ROOT/train/<sequence>/groundtruth.txt" in shown.stdout
    assert "trackcli cache build --dataset got10k --root DIR --split train -o DIR\n" in shown.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--dataset", "got10q"], "unknown dataset 'got10q'; did you mean 'got10k'?"),
        (["--split", "train"], "split 'train' is unknown for dataset 'folder'; this dataset has no splits"),
        (["--codec", "rew"], "--codec 'rew' is unknown; did you mean 'raw'?"),
        (["--shard", "0/4"], "--shard '0/4' is no part; expected I/N with I from 1 to N"),
        (["--shard", "2"], "--shard '2' is no part; expected I/N with I from 1 to N"),
    ],
)
def test_options_that_make_no_sense_are_usage_errors(root, tmp_path, options, message):
    done = trackcli("cache", "build", "--root", root, "-o", tmp_path / "cache", *options)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {message}")
    assert not (tmp_path / "cache").exists()


def test_an_unknown_dataset_to_show_is_a_usage_error():
    done = trackcli("cache", "datasets", "lasott")
    assert done.returncode == 2
    assert done.stderr == "error: unknown dataset 'lasott'; did you mean 'lasot'?\n"


def test_many_skipped_images_are_listed_up_to_ten(root, tmp_path):
    for number in range(3, 17):
        (root / "ball" / "img" / f"{number}.jpg").write_bytes(b"broken")
    boxes = (root / "ball" / "groundtruth.txt").read_text() + "12,10,20,16\n" * 14
    (root / "ball" / "groundtruth.txt").write_text(boxes)
    built = trackcli("cache", "build", "--root", root, "-o", tmp_path / "cache")
    assert built.stdout.endswith("skipped 14 images\n")
    assert built.stderr.count("is no image that can be decoded") == 10
    assert built.stderr.endswith("… and 4 more; -v lists all, and manifest.json does\n")
    described = trackcli("cache", "info", tmp_path / "cache").stdout
    assert described.count("is no image that can be decoded") == 10
    assert "            … and 4 more; --json lists all\n" in described


def test_the_split_is_recorded_and_shown_the_first_one_too(root, tmp_path):
    sequence = tmp_path / "got" / "val" / "GOT-10k_Val_000001"
    sequence.mkdir(parents=True)
    for number in range(3):
        shutil.copyfile(root / "ball" / "img" / f"{number}.jpg", sequence / f"{number + 1:08d}.jpg")
    lines = {"groundtruth.txt": "10,10,20,16", "cover.label": "8", "absence.label": "0", "cut_by_image.label": "0"}
    for name, line in lines.items():
        (sequence / name).write_text(f"{line}\n" * 3)
    (tmp_path / "got" / "val" / "list.txt").write_text("GOT-10k_Val_000001\n")
    shutil.copytree(tmp_path / "got" / "val", tmp_path / "got" / "train")
    for asked, recorded in (("val", "val"), (None, "train")):
        cache = tmp_path / recorded
        option = ("--split", asked) if asked else ()
        built = trackcli("cache", "build", "--dataset", "got10k", "--root", tmp_path / "got", *option, "-o", cache)
        assert built.returncode == 0, built.stderr
        assert f"from        got10k {tmp_path / 'got'}, split {recorded}\n" in trackcli("cache", "info", cache).stdout
        assert json.loads(trackcli("cache", "info", cache, "--json").stdout)["split"] == recorded


def test_info_says_what_was_asked_for(root, tmp_path):
    trackcli("cache", "build", "--root", root, "-o", tmp_path / "cache", "--limit", "1")
    described = trackcli("cache", "info", tmp_path / "cache").stdout
    assert f"from        folder {root}, only the first 1 image (--limit)\n" in described
    assert "sequences   1 video, 0 collections of stills\n" in described
