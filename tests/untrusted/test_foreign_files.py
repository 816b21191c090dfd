"""Checkpoints, configs, caches and annotations from elsewhere, through the commands that read them."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import h5py
import pytest


class Payload:
    """Unpickled carelessly, it leaves a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


TRACK = ("track", "frame.png", "--init", "1,1,4,4", "--tracker")


@pytest.mark.parametrize(
    ("arguments", "suffix"),
    [
        (TRACK, ".safetensors"),
        (TRACK, ".pth"),
        (("eval", "--root", ".", "--tracker"), ".pth"),
        (("train", "--steps", "1", "-o", "run", "-q", "--init-backbone"), ".pth"),
        (("trackers", "show"), ".pth"),
    ],
)
def test_a_pickle_that_holds_code_is_refused_and_never_run(run, tmp_path: Path, arguments, suffix: str) -> None:
    import cv2
    import numpy as np

    cv2.imwrite(str(tmp_path / "frame.png"), np.zeros((32, 32, 3), np.uint8))
    write_sequence(tmp_path)
    evil = tmp_path / f"evil{suffix}"
    evil.write_bytes(pickle.dumps({"state_dict": Payload(tmp_path / "ran")}))
    done = run(*arguments, evil, cwd=tmp_path)
    assert done.returncode in {2, 3}, done.stderr
    lines = [line for line in done.stderr.splitlines() if not line.startswith("warning: the data has no ")]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("import.toml", '[matcher]\nname = "os.system"\n'),
        ("path.toml", '[matcher]\nname = "os:system"\n'),
        ("tag.yaml", "matcher: !!python/object/apply:os.system ['touch ran']\n"),
        ("bomb.yaml", "a: &a [1, 1]\n" + "".join(f"b{i}: &a [*a, *a, *a, *a]\n" for i in range(30))),
        ("large.yaml", "matcher: " + "x" * (2 << 20)),
        ("deep.yaml", "[" * 200_000),
        ("deep.toml", "a = " + "[" * 200_000),
        ("binary.toml", "\x00\x01\x02"),
    ],
)
def test_a_config_names_components_and_nothing_else(run, tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    done = run("train", "--config", name, "--print-config", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert len(done.stderr) < 2000
    assert not (tmp_path / "ran").exists()


def write_sequence(root: Path, truth: str = "1,2,3,4\n") -> Path:
    import cv2
    import numpy as np

    folder = root / "a"
    (folder / "img").mkdir(parents=True)
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    for number in (1, 2):
        cv2.imwrite(str(folder / "img" / f"{number}.jpg"), noise)
    (folder / "groundtruth.txt").write_text(truth * 2)
    return folder


@pytest.fixture(scope="module")
def cache(run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("root")
    write_sequence(root, "10,10,20,16\n")
    done = run("cache", "build", "--root", root, "-o", root / "cache")
    assert done.returncode == 0, done.stderr
    return root / "cache"


@pytest.fixture
def own_cache(cache: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(cache, tmp_path / "cache"))


def external_link(file: h5py.File) -> None:
    del file["crops"]
    file["crops"] = h5py.ExternalLink("/etc/passwd", "/x")


def external_storage(file: h5py.File) -> None:
    values = file["crops"][()]
    del file["crops"]
    file.create_dataset("crops", values.shape, values.dtype, external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)])


def virtual(file: h5py.File) -> None:
    values = file["crops"][()]
    del file["crops"]
    layout = h5py.VirtualLayout(values.shape, values.dtype)
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", shape=values.shape)
    file.create_virtual_dataset("crops", layout)


def filtered(file: h5py.File) -> None:
    values = file["crops"][()]
    del file["crops"]
    file.create_dataset("crops", data=values, compression="gzip")


def length_beyond_the_file(file: h5py.File) -> None:
    file["search_length"][0] = 2**40


@pytest.mark.parametrize("tamper", [external_link, external_storage, virtual, filtered, length_beyond_the_file])
def test_a_shard_that_reaches_out_of_its_file_is_refused(run, own_cache: Path, tamper) -> None:
    with h5py.File(own_cache / "shard-00000.h5", "r+") as file:
        tamper(file)
    done = run("train", "--data", own_cache, "--steps", "1", "-o", own_cache.parent / "run", "-q")
    assert (done.returncode, done.stdout) == (3, "")
    assert len(done.stderr.splitlines()) == 1
    assert "shard-00000.h5" in done.stderr


@pytest.mark.parametrize("name", ["../shard-00000.h5", "/etc/passwd", "sub/../../shard-00000.h5"])
def test_a_manifest_cannot_name_files_outside_its_folder(run, own_cache: Path, name: str) -> None:
    manifest = json.loads((own_cache / "manifest.json").read_text())
    manifest["shards"][0]["name"] = name
    (own_cache / "manifest.json").write_text(json.dumps(manifest))
    done = run("cache", "verify", own_cache)
    assert (done.returncode, done.stdout) == (3, "")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("name", ["../secret.jpg", "/etc/passwd", "a/../../secret.jpg"])
def test_annotations_cannot_name_images_outside_their_root(run, tmp_path: Path, name: str) -> None:
    root = tmp_path / "root"
    write_sequence(root)
    shutil.copy(root / "a" / "img" / "1.jpg", tmp_path / "secret.jpg")
    annotations = {
        "images": [{"id": 1, "file_name": name, "width": 64, "height": 48}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 10, 20, 16]}],
        "categories": [{"id": 1, "name": "thing"}],
    }
    (root / "annotations.json").write_text(json.dumps(annotations))
    done = run("cache", "build", "--dataset", "coco-json", "--root", root, "-o", tmp_path / "cache")
    assert done.returncode == 3
    assert "secret" not in "".join(path.name for path in (tmp_path / "cache").glob("shard*"))
    assert done.stderr.startswith("error: ")


def test_an_image_that_claims_billions_of_pixels_is_not_decoded(run, tmp_path: Path) -> None:
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 8, 2, 0, 0, 0)
    (tmp_path / "huge.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    )
    done = run("track", "huge.png", "--init", "1,2,3,4", cwd=tmp_path)
    assert done.returncode == 3
    assert done.stderr.splitlines()[-1].startswith("error: no frame of 'huge.png' can be read (1 tried); expected ")
