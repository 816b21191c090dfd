"""Building in several processes: the same bytes, and nothing lost whoever is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from trackcli_cache.build import build_cache
from trackcli_cache.catalogue import open_dataset
from trackcli_cache.errors import CacheError
from trackcli_cache.files import LOCK_NAME, only_writer
from trackcli_cache.manifest import read_manifest
from trackcli_cache.reader import CropCache

FRAMES = 30
CHILDREN = Path("/proc/self/task")

needs_proc = pytest.mark.skipif(not CHILDREN.is_dir(), reason="this system does not list a process's children")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A video whose frames take some time to encode."""
    folder = tmp_path_factory.mktemp("videos") / "run"
    (folder / "img").mkdir(parents=True)
    noise = np.random.default_rng(0)
    for index in range(FRAMES):
        rough = noise.integers(0, 256, (60, 80, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / "img" / f"{index:04d}.jpg"), cv2.resize(rough, (1280, 960)))
    (folder / "img" / "0007.jpg").write_bytes(b"broken")
    boxes = [f"{100 + index},80,60,40" for index in range(FRAMES)]
    boxes[11] = "nan,nan,nan,nan"
    (folder / "groundtruth.txt").write_text("\n".join(boxes))
    return folder.parent


@pytest.fixture(scope="module")
def whole(root, tmp_path_factory):
    """The cache as one process builds it."""
    output = tmp_path_factory.mktemp("whole") / "cache"
    build_cache(open_dataset("folder", root), output, max_objects_per_shard=2)
    return content_of(output)


def content_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.endswith(".lock")}


def inodes_of(folder):
    return {path.name: path.stat().st_ino for path in folder.glob("shard-*.h5")}


def start_building(root, output, *arguments):
    """A build of its own, with two workers."""
    script = (
        "import sys; from pathlib import Path\n"
        "from trackcli_cache.build import build_cache\n"
        "from trackcli_cache.catalogue import open_dataset\n"
        "from trackcli_cache.errors import CacheError\n"
        "reader, output = open_dataset('folder', Path(sys.argv[1])), Path(sys.argv[2])\n"
        "try: build_cache(reader, output, max_objects_per_shard=2, jobs=2)\n"
        "except CacheError as error: sys.exit(str(error))"
    )
    command = [sys.executable, "-c", script, root, output, *arguments]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def wait_until(condition, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.005)


def children_of(process):
    return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("codec", ["jpeg", "raw"])
def test_the_bytes_are_the_same_whatever_the_number_of_processes(root, tmp_path, codec):
    reports = [
        build_cache(open_dataset("folder", root), tmp_path / str(jobs), max_objects_per_shard=5, jobs=jobs, codec=codec)
        for jobs in (1, 3)
    ]
    assert content_of(tmp_path / "1") == content_of(tmp_path / "3")
    assert [(report.built, report.kept) for report in reports] == [(6, 0)] * 2
    assert reports[1].manifest.skipped.images == (("run/img/0007.jpg", "is no image that can be decoded"),)
    assert reports[1].manifest.absent == 1


def test_progress_of_workers_reaches_the_number_of_images(root, tmp_path):
    seen = []
    build_cache(
        open_dataset("folder", root), tmp_path / "cache", max_objects_per_shard=2, jobs=2, on_progress=seen.append
    )
    assert seen[-1].images == seen[-1].images_total == seen[-1].images_encoded == FRAMES
    assert [state.images for state in seen] == sorted({state.images for state in seen})


@needs_proc
@pytest.mark.parametrize("when", [1, 5, 12])
def test_after_the_builder_is_killed_the_workers_die_and_the_same_command_continues(root, tmp_path, whole, when):
    output = tmp_path / "cache"
    process = start_building(root, output)
    wait_until(lambda: len(inodes_of(output)) >= when)
    workers = children_of(process)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert len(workers) == 2
    wait_until(lambda: not any(map(is_running, workers)), seconds=5)
    finished = inodes_of(output)
    assert len(finished) >= when
    with only_writer(output):  # no worker holds the lock
        pass
    report = build_cache(open_dataset("folder", root), output, max_objects_per_shard=2, jobs=2)
    assert report.kept == len(finished)
    assert finished.items() <= inodes_of(output).items()
    assert content_of(output) == whole


@needs_proc
def test_a_killed_worker_stops_the_build_with_a_clear_error_and_it_can_be_continued(root, tmp_path, whole):
    output = tmp_path / "cache"
    process = start_building(root, output)
    wait_until(lambda: len(inodes_of(output)) >= 2)
    first, second = children_of(process)
    os.kill(first, signal.SIGKILL)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 1
    assert f"worker process {first} was killed by signal 9 (out of memory?) while it built shard-000" in said
    assert "finished shards are kept: run the same command again to continue" in said
    assert not is_running(second)
    assert not list(output.glob("*.part"))
    finished = inodes_of(output)
    build_cache(open_dataset("folder", root), output, max_objects_per_shard=2, jobs=2)
    assert finished.items() <= inodes_of(output).items()
    assert content_of(output) == whole


@needs_proc
def test_workers_do_not_inherit_the_lock(root, tmp_path):
    output = tmp_path / "cache"
    process = start_building(root, output)
    try:
        wait_until(lambda: len(inodes_of(output)) >= 1)
        for worker in children_of(process):
            files = [str(path.readlink()) for path in Path(f"/proc/{worker}/fd").iterdir()]
            assert not any(name.endswith(LOCK_NAME) for name in files)
        with pytest.raises(CacheError, match="another process is writing"), only_writer(output):
            pass
    finally:
        process.kill()
        process.communicate()


@needs_proc
def test_an_interrupted_builder_ends_its_workers_before_it_lets_go_of_the_lock(root, tmp_path):
    output = tmp_path / "cache"
    seen = set()

    def children():
        return {int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()}

    others = children()

    def interrupt(progress):
        seen.update(children() - others)
        if progress.images > 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_cache(open_dataset("folder", root), output, max_objects_per_shard=2, jobs=2, on_progress=interrupt)
    assert seen
    assert not any(map(is_running, seen))
    assert not list(output.glob("*.part"))


def test_a_worker_that_outlives_its_builder_cannot_name_a_shard(root, tmp_path):
    # What such a worker leaves is a file with a name of its own; the next builder removes it.
    output = tmp_path / "cache"
    build_cache(open_dataset("folder", root), output, max_objects_per_shard=2)
    (output / "building.json").write_text(json.dumps({"build_id": read_manifest(output).build_id}))
    (output / "manifest.json").unlink()
    stray = output / "shard-00003.h5.0123abcd.part"
    stray.write_bytes(b"half a shard")
    before = inodes_of(output)
    build_cache(open_dataset("folder", root), output, max_objects_per_shard=2, jobs=2)
    assert not stray.exists()
    assert inodes_of(output) == before


def test_a_full_disk_in_a_worker_is_one_clear_error(root, tmp_path):
    output = tmp_path / "cache"
    script = (
        "import resource, sys; from pathlib import Path\n"
        "from trackcli_cache.build import build_cache\n"
        "from trackcli_cache.catalogue import open_dataset\n"
        "from trackcli_cache.errors import CacheError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "try: build_cache(open_dataset('folder', Path(sys.argv[1])), Path(sys.argv[2]), jobs=2,"
        " max_objects_per_shard=2, codec='raw')\n"
        "except CacheError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", script, root, output], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"cannot write {output}/shard-0000")
    assert "File too large; free some space or choose another --output" in done.stdout
    assert sorted(content_of(output)) == ["building.json"]


def test_jobs_below_one_are_refused(root, tmp_path):
    with pytest.raises(CacheError, match="jobs is 0; expected at least 1"):
        build_cache(open_dataset("folder", root), tmp_path / "cache", jobs=0)


def test_what_is_left_of_an_unfinished_build_says_so(root, tmp_path):
    output = tmp_path / "cache"

    def interrupt(progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_cache(open_dataset("folder", root), output, max_objects_per_shard=2, on_progress=interrupt)
    with pytest.raises(CacheError, match="it is being built, or that was interrupted; run the same cache build again"):
        CropCache.open(output)
    with pytest.raises(CacheError, match="it is being built"):
        read_manifest(output)
