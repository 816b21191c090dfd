from __future__ import annotations

import fcntl
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
from trackcli_cache.errors import CacheError, CacheFormatError, DatasetError
from trackcli_cache.reader import CropCache
from trackcli_cache.settings import TierSettings


def build(root, output, **options):
    return build_cache(open_dataset("folder", root), output, **options)


def build_in_twos(root, output, **options):
    """Two targets a shard, so that a handful of images makes several."""
    return build(root, output, max_objects_per_shard=2, **options)


def content_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_records_are_objects_in_view_and_absent_ones_are_counted(video_root, tmp_path):
    manifest = build(video_root, tmp_path / "cache").manifest
    assert (manifest.images, manifest.records, manifest.absent, manifest.skipped.count) == (6, 5, 1, 0)
    with CropCache.open(tmp_path / "cache") as cache:
        assert cache.absent_frames.tolist() == [[0, 6, 0]]
        assert cache.frame_numbers.tolist() == [2, 4, 8, 10, 12]


def test_tiny_and_foreign_boxes_are_skipped_with_their_reason(stills_root, tmp_path):
    boxes = [[1, 1, 3, 30, "a"], [200, 1, 9, 9, "a"], [-9, 1, 500, 9, "a"], [5, 5, 9, 9, "a"]]
    (stills_root / "zoo" / "boxes.json").write_text(json.dumps({"a2.jpg": boxes}))
    (stills_root / "zoo" / "polys.json").unlink()
    manifest = build(stills_root, tmp_path / "cache").manifest
    assert manifest.records == 1
    assert dict(manifest.skipped.objects) == {
        "smaller than 4 px": 1,
        "box outside the image": 1,
        "box more than 2 times the image": 1,
    }


def test_unreadable_images_are_skipped_and_listed(video_root, tmp_path):
    images = video_root / "walk" / "img"
    (images / "f4.jpg").write_bytes(b"no image")
    (images / "f8.jpg").write_bytes(b"")
    cv2.imwrite(str(video_root / "walk" / "masks" / "f2.png"), np.ones((3, 3), np.uint8))
    manifest = build(video_root, tmp_path / "cache").manifest
    assert manifest.records == 2
    assert manifest.skipped.images == (
        ("walk/img/f2.jpg", "mask f2.png is 3x3 but its image is 96x64"),
        ("walk/img/f4.jpg", "is no image that can be decoded"),
        ("walk/img/f8.jpg", "is no image that can be decoded"),
    )


def test_building_twice_gives_the_same_bytes(stills_root, tmp_path):
    build(stills_root, tmp_path / "one")
    build(stills_root, tmp_path / "two")
    assert content_of(tmp_path / "one") == content_of(tmp_path / "two")


def test_a_finished_cache_is_left_as_it_is(video_root, tmp_path):
    build(video_root, tmp_path / "cache")
    before = {path: path.stat().st_ino for path in (tmp_path / "cache").iterdir()}
    report = build(video_root, tmp_path / "cache")
    assert (report.built, report.kept) == (0, 1)
    assert {path: path.stat().st_ino for path in (tmp_path / "cache").iterdir()} == before


def test_building_again_after_an_interruption_keeps_finished_shards(video_root, tmp_path):
    whole = tmp_path / "whole"
    build_in_twos(video_root, whole)
    output = tmp_path / "cache"

    def interrupt(progress):
        if progress.images == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_in_twos(video_root, output, on_progress=interrupt)
    with pytest.raises(CacheFormatError, match="is no finished crop cache"):
        CropCache.open(output)
    (output / "shard-00001.h5.part").write_bytes(b"half a shard")
    inode = (output / "shard-00000.h5").stat().st_ino
    report = build_in_twos(video_root, output)
    assert (report.built, report.kept) == (2, 1)
    assert (output / "shard-00000.h5").stat().st_ino == inode
    assert content_of(output) == content_of(whole)


def test_building_again_after_kill_keeps_finished_shards_and_ends_the_same(video_root, tmp_path):
    script = (
        "import sys, time; from pathlib import Path\n"
        "from trackcli_cache.build import build_cache\n"
        "from trackcli_cache.catalogue import open_dataset\n"
        "reader, output, slow = open_dataset('folder', Path(sys.argv[1])), Path(sys.argv[2]), float(sys.argv[3])\n"
        "build_cache(reader, output, max_objects_per_shard=2, on_progress=lambda _: time.sleep(slow))"
    )
    output = tmp_path / "cache"
    first, second = output / "shard-00000.h5", output / "shard-00001.h5"
    process = subprocess.Popen([sys.executable, "-c", script, video_root, output, "0.3"])
    try:
        deadline = time.monotonic() + 20
        while not first.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert first.exists()
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not second.exists()
    inode = first.stat().st_ino
    for folder in (output, tmp_path / "whole"):
        subprocess.run([sys.executable, "-c", script, video_root, folder, "0"], check=True)
    assert first.stat().st_ino == inode
    assert content_of(output) == content_of(tmp_path / "whole")


def test_a_lost_or_truncated_shard_is_built_again(video_root, tmp_path):
    output = tmp_path / "cache"
    build_in_twos(video_root, output)
    before = content_of(output)
    (output / "shard-00000.h5").unlink()
    os.truncate(output / "shard-00002.h5", 5000)
    report = build_in_twos(video_root, output)
    assert (report.built, report.kept) == (2, 1)
    assert content_of(output) == before


@pytest.mark.parametrize("options", [{"limit": 2}, {"settings": TierSettings(jpeg_quality=80)}])
def test_another_cache_is_not_overwritten_without_force(video_root, tmp_path, options):
    output = tmp_path / "cache"
    build(video_root, output)
    before = content_of(output)
    with pytest.raises(CacheFormatError, match=r"holds another cache .*; choose another --output, or .* --force"):
        build(video_root, output, **options)
    assert content_of(output) == before
    assert build(video_root, output, force=True, **options).built == 1


def test_other_files_are_never_removed(video_root, tmp_path):
    precious = tmp_path / "documents" / "thesis.part"
    precious.parent.mkdir()
    precious.write_text("years of work")
    for force in (False, True):
        with pytest.raises(CacheFormatError, match=r"holds other files \(thesis\.part, …\) and no cache"):
            build(video_root, precious.parent, force=force)
    assert content_of(precious.parent) == {"thesis.part": b"years of work"}


def test_two_builders_do_not_share_a_folder(video_root, tmp_path):
    output = tmp_path / "cache"
    output.mkdir()
    with (output / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(CacheError, match="another process is writing to"):
            build(video_root, output)
    assert build(video_root, output).built == 1


def test_a_full_disk_is_one_clear_error_and_leaves_no_half_shard(video_root, tmp_path):
    script = (
        "import resource, sys; from pathlib import Path\n"
        "from trackcli_cache.build import build_cache\n"
        "from trackcli_cache.catalogue import open_dataset\n"
        "from trackcli_cache.errors import CacheError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))\n"
        "try: build_cache(open_dataset('folder', Path(sys.argv[1])), Path(sys.argv[2]))\n"
        "except CacheError as error: print(error)"
    )
    output = tmp_path / "cache"
    command = [sys.executable, "-c", script, video_root, output]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"cannot write {output / 'shard-00000.h5'}: File too large; free some space")
    assert sorted(content_of(output)) == [".lock", "building.json"]
    assert build(video_root, output).built == 1


def test_a_limit_takes_the_first_images(video_root, tmp_path):
    assert build(video_root, tmp_path / "cache", limit=2).manifest.images == 2


def test_a_dataset_without_objects_is_an_error(stills_root, tmp_path):
    (stills_root / "zoo" / "boxes.json").write_text('{"a2.jpg": []}')
    (stills_root / "zoo" / "polys.json").unlink()
    with pytest.raises(DatasetError, match="holds no annotated object"):
        build(stills_root, tmp_path / "cache")


def test_progress_reaches_the_number_of_images(video_root, tmp_path):
    seen = []
    build(video_root, tmp_path / "cache", on_progress=seen.append)
    assert [state.images for state in seen] == [1, 2, 3, 4, 5, 6]
    assert seen[-1].images_total == 6


def test_a_cache_of_the_former_format_is_built_again_with_force(video_root, tmp_path):
    output = tmp_path / "cache"
    build(video_root, output)
    content = json.loads((output / "manifest.json").read_text()) | {"version": 1}
    (output / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(CacheFormatError, match=r"has format version 1; .* reads version 2; .* with --force"):
        build(video_root, output)
    assert build(video_root, output, force=True).built == 1


def test_a_dataset_that_changes_between_the_passes_is_an_error(video_root, tmp_path):
    class Growing:
        """Another frame each time it is read."""

        name, root, passes = "growing", video_root, 0

        def images(self):
            self.passes += 1
            images = list(open_dataset("folder", video_root).images())
            return iter(images[: 3 + self.passes])

    with pytest.raises(DatasetError, match="changed while it was read; let it rest and run the same command again"):
        build_cache(Growing(), tmp_path / "cache")
    assert not (tmp_path / "cache" / "manifest.json").exists()


def test_a_kill_while_another_cache_is_removed_leaves_a_folder_that_is_still_known(video_root, tmp_path, monkeypatch):
    output = tmp_path / "cache"
    build_in_twos(video_root, output)
    unlink, removed = Path.unlink, []

    def killed_after_two(path, missing_ok=False):
        if len(removed) == 2:
            raise KeyboardInterrupt
        removed.append(path)
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", killed_after_two)
    with pytest.raises(KeyboardInterrupt):
        build(video_root, output, force=True)
    monkeypatch.undo()
    assert build(video_root, output, force=True).built == 1
