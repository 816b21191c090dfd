"""Jobs of a cluster that build parts of one cache, in one folder or in folders of their own."""

from __future__ import annotations

import json
import os

import pytest
from trackcli_cache.build import build_cache
from trackcli_cache.catalogue import open_dataset
from trackcli_cache.errors import CacheError, CacheFormatError
from trackcli_cache.files import only_writer
from trackcli_cache.merge import merge_caches
from trackcli_cache.parts import Part
from trackcli_cache.reader import CropCache


@pytest.fixture
def build(video_root):
    """Build into a folder; five targets give five shards."""

    def build(output, **options):
        return build_cache(open_dataset("folder", video_root), output, **{"max_objects_per_shard": 1} | options)

    return build


@pytest.fixture
def whole(build, tmp_path):
    build(tmp_path / "whole")
    return content_of(tmp_path / "whole")


def content_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.endswith(".lock")}


def test_every_shard_belongs_to_one_part():
    for total in range(12):
        for of in range(1, 15):
            numbers = [number for i in range(1, of + 1) for number in Part(i, of).shards(total)]
            assert numbers == list(range(total))


@pytest.mark.parametrize("shard", [(0, 2), (3, 2), (-1, 2), (1, 0)])
def test_a_part_that_does_not_exist_is_refused(build, tmp_path, shard):
    with pytest.raises(CacheError, match="does not exist; expected 1/"):
        build(tmp_path / "cache", shard=shard)


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 1, 2)])
def test_jobs_that_share_a_folder_leave_a_whole_cache(build, tmp_path, whole, order):
    output = tmp_path / "cache"
    reports = [build(output, shard=(number, 3)) for number in order]
    assert [report.complete for report in reports] == [False, False, True]
    assert sum(report.built for report in reports) == 5
    assert content_of(output) == whole


def test_more_parts_than_shards_are_fine(build, tmp_path, whole):
    output = tmp_path / "cache"
    for number in range(1, 9):
        build(output, shard=(number, 8))
    assert content_of(output) == whole


def test_parts_in_folders_of_their_own_are_merged(build, tmp_path, whole):
    folders = [tmp_path / f"part-{number}" for number in (1, 2, 3)]
    for number, folder in enumerate(folders, start=1):
        build(folder, shard=(number, 3))
        with pytest.raises(CacheFormatError, match="holds parts of a crop cache; build the missing ones and join them"):
            CropCache.open(folder)
    report = merge_caches(folders[::-1], tmp_path / "merged")
    assert (report.linked, report.copied, report.kept) == (5, 0, 0)
    assert content_of(tmp_path / "merged") == whole
    assert len(CropCache.open(tmp_path / "merged")) == 5
    assert [len(list(folder.glob("shard-*.h5"))) for folder in folders] == [1, 2, 2]


def test_without_hard_links_shards_are_copied(build, tmp_path, whole, monkeypatch):
    for number in (1, 2):
        build(tmp_path / str(number), shard=(number, 2))

    def refuse(source, target):
        raise OSError("Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    report = merge_caches([tmp_path / "1", tmp_path / "2"], tmp_path / "merged")
    assert (report.linked, report.copied) == (0, 5)
    assert content_of(tmp_path / "merged") == whole


def test_merging_again_after_an_interruption_keeps_what_is_there(build, tmp_path, whole):
    for number in (1, 2):
        build(tmp_path / str(number), shard=(number, 2))
    folders, output = [tmp_path / "1", tmp_path / "2"], tmp_path / "merged"

    def interrupt(done, total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        merge_caches(folders, output, on_shard=interrupt)
    (output / "shard-00004.h5.part").write_bytes(b"half")
    report = merge_caches(folders, output)
    assert (report.linked, report.kept) == (2, 3)
    assert content_of(output) == whole


def test_a_merge_into_one_of_the_parts_completes_it(build, tmp_path, whole):
    for number in (1, 2):
        build(tmp_path / str(number), shard=(number, 2))
    report = merge_caches([tmp_path / "1", tmp_path / "2"], tmp_path / "1")
    assert report.kept == 2
    assert content_of(tmp_path / "1") == whole


def test_force_spares_a_part_that_the_output_is_another_name_of(build, tmp_path, whole):
    for number in (1, 2):
        build(tmp_path / str(number), shard=(number, 2))
    (tmp_path / "link").symlink_to(tmp_path / "2")
    merge_caches([tmp_path / "1", tmp_path / "2"], tmp_path / "link", force=True)
    assert content_of(tmp_path / "2") == whole


def test_a_part_is_continued_like_a_whole(build, tmp_path):
    output = tmp_path / "cache"

    def interrupt(progress):
        if progress.images == 3:  # the first two are one shard: in one of them nothing is in view
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(output, shard=(2, 2), on_progress=interrupt)
    assert sorted(path.name for path in output.glob("shard-*")) == ["shard-00002.h5"]
    report = build(output, shard=(2, 2))
    assert (report.built, report.kept, report.complete) == (2, 1, False)
    again = build(output, shard=(2, 2))
    assert (again.built, again.kept) == (0, 3)


def test_a_whole_build_takes_over_finished_parts(build, tmp_path, whole):
    output = tmp_path / "cache"
    build(output, shard=(2, 3))
    report = build(output)
    assert (report.built, report.kept) == (3, 2)
    assert content_of(output) == whole


def test_progress_of_a_part_counts_its_own_images(build, tmp_path):
    seen = []
    build(tmp_path / "cache", shard=(1, 2), on_progress=seen.append)
    assert seen[-1].images == seen[-1].images_total == 2


# Who may write where


def test_two_jobs_with_the_same_part_do_not_share_a_folder(build, tmp_path):
    output = tmp_path / "cache"
    build(output, shard=(1, 3))
    with only_writer(output, name=Part(2, 3).lock_name):
        with pytest.raises(CacheError, match=r"another process is writing to .* \(it builds part 2/3\)"):
            build(output, shard=(2, 3))
        build(output, shard=(3, 3))


def test_whoever_divides_differently_waits_for_running_parts(build, tmp_path):
    output = tmp_path / "cache"
    build(output, shard=(1, 3))
    with only_writer(output, name=Part(2, 3).lock_name):
        for options in ({}, {"shard": (1, 2)}):
            with pytest.raises(CacheError, match=r"\(it builds part 2/3\)"):
                build(output, **options)


def test_a_part_does_not_touch_what_another_is_writing(build, tmp_path):
    output = tmp_path / "cache"
    build(output, shard=(1, 2))
    others = output / "shard-00004.h5.0123abcd.part"
    others.write_bytes(b"being written")
    (output / "part-00001-of-00002.json").unlink()
    mine = output / "shard-00000.h5.0123abcd.part"
    mine.write_bytes(b"left behind")
    build(output, shard=(1, 2))
    assert others.exists()
    assert not mine.exists()


def test_force_replaces_another_cache_but_not_the_other_parts_of_this_one(build, tmp_path, whole):
    output = tmp_path / "cache"
    build(output, limit=2)
    with pytest.raises(CacheFormatError, match="holds another cache"):
        build(output, shard=(1, 2))
    build(output, shard=(1, 2), force=True)
    report = build(output, shard=(2, 2), force=True)
    assert report.complete
    assert content_of(output) == whole


# What is not whole


def test_missing_parts_are_named(build, tmp_path):
    for number in (2, 4):
        build(tmp_path / str(number), shard=(number, 4))
    with pytest.raises(CacheFormatError, match="2 of 4 parts are missing: 1/4, 3/4; build them with --shard"):
        merge_caches([tmp_path / "2", tmp_path / "4"], tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_parts_of_different_builds_are_not_joined(build, tmp_path):
    build(tmp_path / "1", shard=(1, 2))
    build(tmp_path / "2", shard=(2, 2), codec="raw")
    with pytest.raises(CacheFormatError, match="are parts of different caches"):
        merge_caches([tmp_path / "1", tmp_path / "2"], tmp_path / "merged")


def test_parts_of_different_numbers_are_not_joined(build, tmp_path):
    build(tmp_path / "1", shard=(1, 2))
    build(tmp_path / "2", shard=(2, 3))
    with pytest.raises(CacheFormatError, match=r"holds part 1/2 and .* part 2/3; expected parts of one number"):
        merge_caches([tmp_path / "1", tmp_path / "2"], tmp_path / "merged")


def test_a_part_given_twice_is_named(build, tmp_path):
    for name in ("a", "b"):
        build(tmp_path / name, shard=(1, 2))
    with pytest.raises(CacheFormatError, match=r"part 1/2 is in .*a and in .*b; name one of them"):
        merge_caches([tmp_path / "a", tmp_path / "b"], tmp_path / "merged")


def test_a_missing_or_truncated_shard_of_a_part_is_named(build, tmp_path):
    for number in (1, 2):
        build(tmp_path / str(number), shard=(number, 2))
    os.truncate(tmp_path / "2" / "shard-00003.h5", 5000)
    with pytest.raises(CacheFormatError, match=r"shard-00003\.h5 has 5000 bytes; expected"):
        merge_caches([tmp_path / "1", tmp_path / "2"], tmp_path / "merged")
    (tmp_path / "2" / "shard-00003.h5").unlink()
    with pytest.raises(CacheFormatError, match=r"shard-00003\.h5 is missing; run that part's cache build --shard"):
        merge_caches([tmp_path / "1", tmp_path / "2"], tmp_path / "merged")


def test_a_whole_cache_and_a_folder_without_parts_are_not_merged(build, tmp_path):
    build(tmp_path / "whole")
    with pytest.raises(CacheFormatError, match="is a whole cache; only parts made with --shard are merged"):
        merge_caches([tmp_path / "whole"], tmp_path / "merged")
    with pytest.raises(CacheFormatError, match="is not a folder"):
        merge_caches([tmp_path / "nothing"], tmp_path / "merged")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CacheFormatError, match="holds no part of a cache"):
        merge_caches([tmp_path / "empty"], tmp_path / "merged")


@pytest.mark.parametrize("change", [{"part": [2, 2]}, {"format": "recipe"}, {"cache": {}}, {"cache": None}])
def test_a_part_from_elsewhere_is_checked(build, tmp_path, change):
    build(tmp_path / "1", shard=(1, 2))
    path = tmp_path / "1" / "part-00001-of-00002.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(CacheFormatError, match=r"part-00001-of-00002\.json: .*; build that part again"):
        merge_caches([tmp_path / "1"], tmp_path / "merged")


def test_a_part_whose_shards_are_not_its_own_is_refused(build, tmp_path):
    for number in (1, 2):
        build(tmp_path / str(number), shard=(number, 2))
    path = tmp_path / "2" / "part-00002-of-00002.json"
    content = json.loads(path.read_text())
    content["cache"]["shards"] = content["cache"]["shards"][1:]
    path.write_text(json.dumps(content))
    with pytest.raises(CacheFormatError, match=r"shard-00002\.h5 belongs to no part"):
        merge_caches([tmp_path / "1", tmp_path / "2"], tmp_path / "merged")
