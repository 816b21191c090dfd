"""Datasets by name: built-in layouts and those of plugins, with the plugin's failures explained."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from trackcli_cache.catalogue import DATASETS
from trackcli_cache.errors import DatasetError

from trackcli import DatasetSpec, hookimpl
from trackcli.builtin import plugin as builtin_plugin
from trackcli.errors import InputDataError, PluginError, UnknownNameError, UsageError
from trackcli.host.datasets import dataset_specs, open_dataset
from trackcli.host.registry import AmbiguousNameError, Registry


class TapeReader:
    """A reader that only remembers what it was asked for."""

    name = "tape"

    def __init__(self, root: Path, split: str | None) -> None:
        self.root = root
        self.split = split

    def images(self) -> Iterator[Any]:
        yield from ()


def no_folder(root: Path, split: str | None) -> TapeReader:
    raise DatasetError(f"{root} has no reels; expected reels/*.tape")


def no_permission(root: Path, split: str | None) -> TapeReader:
    raise PermissionError(13, "Permission denied")


def buggy(root: Path, split: str | None) -> TapeReader:
    raise KeyError("reel")


def no_reader(root: Path, split: str | None) -> object:
    return object()


def spec(name: str = "tape", reader: str = "TapeReader", **more: Any) -> DatasetSpec:
    return DatasetSpec(name=name, summary="Reels", reader=f"{__name__}:{reader}", **more)


def registry_with(*given: DatasetSpec) -> Registry:
    class Plugin:
        @hookimpl
        def trackcli_datasets(self) -> Iterator[DatasetSpec]:
            yield from given

    registry = Registry()
    registry.add_plugin(builtin_plugin, name="builtin", distribution="trackcli", version="0.1.0")
    registry.add_plugin(Plugin(), name="acme", distribution="acme-data", version="2.0")
    assert registry.broken == []
    return registry


def test_all_layouts_of_the_cache_and_of_plugins_are_listed_by_name() -> None:
    listed = dataset_specs(registry_with(spec()))
    assert set(listed) == {*DATASETS, "tape"}
    entry = DATASETS["folder"]
    assert (listed["folder"].summary, listed["folder"].reader) == (entry.summary, entry.reader)
    assert (listed["folder"].splits, listed["folder"].tree) == (entry.splits, entry.tree)
    assert listed["folder"].sequences is entry.sequences


def test_a_plugins_dataset_is_opened_with_root_and_split(tmp_path: Path) -> None:
    registry = registry_with(spec(splits=("train", "val")))
    first, second = (open_dataset("tape", tmp_path, split, registry) for split in (None, "val"))
    assert isinstance(first, TapeReader)
    assert isinstance(second, TapeReader)
    assert (first.root, first.split, second.split) == (tmp_path, "train", "val")


def test_an_unknown_dataset_suggests_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"^unknown dataset 'taep'; did you mean 'tape'\?$"):
        open_dataset("taep", tmp_path, registry=registry_with(spec()))


def test_a_name_of_two_plugins_needs_its_distribution(tmp_path: Path) -> None:
    registry = registry_with(spec("folder"))
    with pytest.raises(AmbiguousNameError, match="write trackcli:folder or acme-data:folder"):
        open_dataset("folder", tmp_path, registry=registry)
    assert isinstance(open_dataset("acme-data:folder", tmp_path, registry=registry), TapeReader)
    assert {"acme-data:folder", "trackcli:folder"} <= set(dataset_specs(registry))


@pytest.mark.parametrize(
    ("given", "split", "error", "message"),
    [
        (
            spec(splits=("train",)),
            "test",
            UsageError,
            "split 'test' is unknown for dataset 'tape'; expected one of: train",
        ),
        (spec(), "test", UsageError, "this dataset has no splits"),
        (spec(reader="no_folder"), None, DatasetError, "has no reels; expected reels"),
        (spec(reader="no_permission"), None, InputDataError, r"cannot be read as 'tape' \(Permission denied\)"),
        (spec(reader="buggy"), None, PluginError, r"the reader of dataset 'tape' failed \(KeyError: 'reel'\)"),
        (spec(reader="no_reader"), None, PluginError, "gave a object without name, root, images"),
        (spec(sequences=True), None, PluginError, "without sequence_names, read_sequence"),
        (spec(reader="Missing"), None, PluginError, "cannot load .*:Missing"),
    ],
)
def test_what_goes_wrong_is_one_line(
    given: DatasetSpec, split: str | None, error: type[Exception], message: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message) as caught:
        open_dataset("tape", tmp_path, split, registry_with(given))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("reader", "no colon", "refers to 'no colon'; expected 'package.module:name'"),
        ("splits", ["train"], "expected a tuple of names"),
        ("tree", None, "expected lines of text"),
    ],
)
def test_a_spec_that_makes_no_sense_is_refused(field: str, value: object, message: str) -> None:
    facts: dict[str, Any] = {"name": "tape", "summary": "s", "reader": "a.b:C", field: value}
    with pytest.raises(PluginError, match=message):
        DatasetSpec(**facts)


def test_listing_datasets_imports_no_reader() -> None:
    code = (
        "import sys; from trackcli.host.datasets import dataset_specs; dataset_specs();"
        "print(sorted({'numpy', 'cv2', 'h5py', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
