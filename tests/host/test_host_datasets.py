"""Datasets by name: built-in layouts and those of plugins, with the plugin's failures explained."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from trackcli_cache.catalogue import DATASETS
from trackcli_cache.datasets import SourceImage
from trackcli_cache.errors import DatasetError

from trackcli import DatasetSpec, hookimpl
from trackcli.builtin import plugin as builtin_plugin
from trackcli.errors import InputDataError, PluginError, UnknownNameError, UsageError
from trackcli.host.datasets import dataset_specs, open_dataset
from trackcli.host.registry import AmbiguousNameError, Registry


class TapeReader:
    """A reader that only remembers what it was asked for."""

    def __init__(self, root: Path, split: str | None) -> None:
        self.root = root
        self.name = f"tape of {split}"

    def images(self) -> Iterator[Any]:
        yield from ()


class LateReader(TapeReader):
    """A reader of one image, and then of what a test says."""

    def __init__(self, root: Path, split: str | None, then: object = None) -> None:
        super().__init__(root, split)
        self.then = then

    def images(self) -> Iterator[Any]:
        print("reading")
        yield SourceImage(self.root / "1.png", "reel", 0, ())
        if isinstance(self.then, BaseException):
            raise self.then
        yield self.then

    def sequence_names(self) -> list[Any]:
        return ["reel", self.then]

    def read_sequence(self, name: str) -> Any:
        return self.then


def late_bug(root: Path, split: str | None) -> LateReader:
    return LateReader(root, split, ZeroDivisionError("division by zero"))


def late_exit(root: Path, split: str | None) -> LateReader:
    return LateReader(root, split, SystemExit(0))


def late_damage(root: Path, split: str | None) -> LateReader:
    return LateReader(root, split, DatasetError("reel.tape line 7: expected four numbers"))


def late_loss(root: Path, split: str | None) -> LateReader:
    return LateReader(root, split, FileNotFoundError(2, "No such file or directory", "7.tape"))


def late_interruption(root: Path, split: str | None) -> LateReader:
    return LateReader(root, split, KeyboardInterrupt())


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
    assert (first.root, first.name, second.name) == (tmp_path, "tape of train", "tape of val")
    assert list(first.images()) == []


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_an_empty_root_is_answered_with_what_was_looked_for_where_and_the_tree(name: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as caught:
        next(iter(open_dataset(name, tmp_path).images()))
    first, _, tree = str(caught.value).partition("\n")
    assert first.startswith("looked for ")
    assert f" in {tmp_path}" in first
    assert "ROOT/" in tree
    assert tree == DATASETS[name].tree


def test_an_unknown_dataset_suggests_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"^unknown dataset 'taep'; did you mean 'tape'\?$"):
        open_dataset("taep", tmp_path, registry=registry_with(spec()))


def test_a_name_of_two_plugins_needs_its_distribution(tmp_path: Path) -> None:
    registry = registry_with(spec("folder"))
    with pytest.raises(AmbiguousNameError, match="write trackcli:folder or acme-data:folder"):
        open_dataset("folder", tmp_path, registry=registry)
    assert open_dataset("acme-data:folder", tmp_path, registry=registry).name == "tape of None"
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
    ("reader", "error", "message"),
    [
        ("late_bug", PluginError, r"the reader of dataset 'tape' failed \(ZeroDivisionError: .*; acme-data 2.0, which"),
        ("late_exit", PluginError, r"failed \(SystemExit: 0\); acme-data 2.0, which provides it, is broken"),
        ("LateReader", PluginError, r"images\(\) gave NoneType; expected SourceImage"),
        ("late_damage", DatasetError, r"^reel.tape line 7: expected four numbers$"),
        ("late_loss", InputDataError, r"cannot be read as 'tape' \(No such file or directory: '7.tape'\)"),
        ("late_interruption", KeyboardInterrupt, ""),
    ],
)
def test_a_reader_that_fails_halfway_is_explained_too(
    reader: str, error: type[BaseException], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = open_dataset("tape", tmp_path, registry=registry_with(spec(reader=reader))).images()
    assert next(images).sequence == "reel"
    with pytest.raises(error, match=message) as caught:
        next(images)
    assert "\n" not in str(caught.value)
    assert capsys.readouterr().out == "", "stdout is for results"


def test_sequences_of_a_wrong_type_are_explained(tmp_path: Path) -> None:
    reader: Any = open_dataset("tape", tmp_path, registry=registry_with(spec(reader="LateReader", sequences=True)))
    with pytest.raises(PluginError, match=r"sequence_names\(\) gave NoneType; expected str"):
        reader.sequence_names()
    with pytest.raises(PluginError, match=r"read_sequence\(\) gave NoneType; expected AnnotatedSequence"):
        reader.read_sequence("reel")


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
