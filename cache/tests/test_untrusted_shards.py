"""Shards that were made to do harm: each is refused before anything outside it is touched."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from trackcli_cache.build import build_cache
from trackcli_cache.catalogue import open_dataset
from trackcli_cache.errors import CacheFormatError
from trackcli_cache.manifest import read_manifest
from trackcli_cache.shard import read_shard


@pytest.fixture
def shard_path(stills_root, tmp_path):
    build_cache(open_dataset("folder", stills_root), tmp_path / "cache")
    return tmp_path / "cache" / "shard-00000.h5"


def read(path):
    manifest = read_manifest(path.parent)
    return read_shard(path, manifest.shard_context)


def replace(path, name, make):
    with h5py.File(path, "r+") as file:
        values = file[name][()]
        del file[name]
        make(file, name, values)


def external_link(file, name, values):
    file[name] = h5py.ExternalLink("/etc/passwd", "/x")


def soft_link(file, name, values):
    file[name] = h5py.SoftLink("/box_xyxy")


def external_storage(file, name, values):
    file.create_dataset(name, values.shape, values.dtype, external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)])


def virtual(file, name, values):
    layout = h5py.VirtualLayout(values.shape, values.dtype)
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", shape=values.shape)
    file.create_virtual_dataset(name, layout)


def filtered(file, name, values):
    file.create_dataset(name, data=values, compression="gzip")


def never_written(file, name, values):
    file.create_dataset(name, shape=(2**40, *values.shape[1:]), dtype=values.dtype)


def other_type(file, name, values):
    file.create_dataset(name, data=values.astype("<u2"))


def other_shape(file, name, values):
    file.create_dataset(name, data=np.zeros((*values.shape, 2), values.dtype))


def group(file, name, values):
    file.create_group(name)


def missing(file, name, values):
    pass


@pytest.mark.parametrize("name", ["crops", "box_xyxy", "other_offsets", "marks", "search_crc32"])
@pytest.mark.parametrize(
    "make",
    [
        external_link,
        soft_link,
        external_storage,
        virtual,
        filtered,
        never_written,
        other_type,
        other_shape,
        group,
        missing,
    ],
)
def test_only_plain_datasets_inside_the_file_are_read(shard_path, name, make):
    replace(shard_path, name, make)
    with pytest.raises(CacheFormatError, match=rf"shard-00000\.h5: {name} "):
        read(shard_path)


def patched(name, index, value):
    def patch(path):
        with h5py.File(path, "r+") as file:
            file[name][index] = value

    return patch


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        (patched("search_offset", 0, 2**62), "search crops lie outside"),
        (patched("search_length", 1, 2**62), "search crops lie outside"),
        (patched("exemplar_offset", 0, -1), "exemplar crops lie outside"),
        (patched("exemplar_length", 0, 0), "exemplar crops lie outside"),
        (patched("other_offsets", 1, 99), "other_offsets does not grow"),
        (patched("path_offsets", 0, 1), "path_offsets does not grow"),
        (patched("target_point_offsets", -1, 5), "target_point_offsets does not grow"),
        (patched("sequence_id", 0, 1), "sequence_id points outside the 1 names"),
        (patched("category_id", 0, 3), "category_id points outside the 3 names"),
        (patched("other_category_id", 0, -2), "other_category_id points outside"),
        (patched("box_xyxy", (0, 0), np.nan), "box_xyxy holds numbers that are not finite"),
        (patched("search_window_xyxy", (0, 2), -(2**62)), "search_window_xyxy holds windows that are no squares"),
    ],
)
def test_numbers_that_point_nowhere_are_refused(shard_path, patch, message):
    patch(shard_path)
    with pytest.raises(CacheFormatError, match=message):
        read(shard_path)


def test_columns_of_different_lengths_are_refused(shard_path):
    replace(shard_path, "track_id", lambda file, name, values: file.create_dataset(name, data=values[:-1]))
    with pytest.raises(CacheFormatError, match="track_id has 2 rows; expected 3"):
        read(shard_path)


def test_another_codec_than_the_manifest_names_is_refused(shard_path):
    with h5py.File(shard_path, "r+") as file:
        file.attrs["codec"] = "raw"
    with pytest.raises(CacheFormatError, match="has crops of codec raw; expected jpeg"):
        read(shard_path)


def test_bits_that_are_no_marks_are_refused(shard_path):
    patched("marks", 0, 64)(shard_path)
    with pytest.raises(CacheFormatError, match="marks holds bits that are no marks"):
        read(shard_path)


def test_another_version_is_refused(shard_path):
    with h5py.File(shard_path, "r+") as file:
        file.attrs["trackcli_cache_version"] = 1
    with pytest.raises(
        CacheFormatError, match=r"has format version 1; this trackcli-cache reads version 2; build the cache again$"
    ):
        read(shard_path)


def test_of_a_newer_version_it_is_said_what_to_upgrade(shard_path):
    with h5py.File(shard_path, "r+") as file:
        file.attrs["trackcli_cache_version"] = 3
    with pytest.raises(CacheFormatError, match=r"has format version 3; .*: pip install --upgrade trackcli-cache$"):
        read(shard_path)


@pytest.mark.parametrize("content", [b"", b"not HDF5 at all", b"\x89HDF\r\n\x1a\n" + bytes(500)])
def test_a_file_that_is_no_shard_is_refused(shard_path, content):
    shard_path.write_bytes(content)
    with pytest.raises(CacheFormatError, match=r"shard-00000\.h5 cannot be read"):
        read(shard_path)
