from __future__ import annotations

import subprocess
import sys

import pytest
from trackcli_cache.errors import DatasetError
from trackcli_cache.readers import trackingnet
from trackcli_cache.readers.entries_tracking import TRACKING


@pytest.mark.parametrize("entry", TRACKING, ids=lambda entry: entry.name)
def test_every_entry_opens_its_reader_and_shows_its_tree_for_an_empty_root(entry, tmp_path):
    for split in entry.splits or (None,):
        with pytest.raises(DatasetError) as error:
            entry.open(tmp_path, split)
        assert str(error.value).endswith(f"it holds nothing); expected\n{entry.tree}")


@pytest.mark.parametrize("entry", TRACKING, ids=lambda entry: entry.name)
def test_a_root_that_is_no_folder_shows_the_tree(entry, tmp_path):
    with pytest.raises(DatasetError, match=r"--root .*nowhere is not a folder; expected one that holds\n  ROOT"):
        entry.open(tmp_path / "nowhere")


def test_every_entry_is_for_evaluation_too_and_splits_agree_with_the_readers():
    assert all(entry.sequences for entry in TRACKING)
    assert {entry.name: entry.splits for entry in TRACKING}["trackingnet"] == trackingnet.SPLITS


def test_listing_the_datasets_imports_nothing_heavy():
    code = (
        "import sys, trackcli_cache.catalogue as c; print(len(c.DATASETS), {'numpy', 'cv2', 'h5py'} & set(sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    count, heavy = out.split(maxsplit=1)
    assert int(count) >= len(TRACKING)
    assert heavy.strip() == "set()"
