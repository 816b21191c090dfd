"""Loaders: the same batches from threads and processes, finished with labels that follow."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from trackcli_cache.reader import CropCache

from trackcli.composition.defaults import complete
from trackcli.composition.plan import Plan, plan
from trackcli.host.registry import installed
from trackcli.training.loader import PairLoader, finish_on_device, make_loader

CPU = torch.device("cpu")
SMALL = ("crop.template_size=63", "crop.search_size=127", "train.batch=4")


def planned(*settings: str) -> Plan:
    registry = installed()
    return plan(complete({"preset": "default"}, registry, [*SMALL, *settings]).recipe, registry)


def loader(cache: CropCache, *settings: str, rank: int = 0, world: int = 1) -> PairLoader:
    return make_loader(planned(*settings), [cache], [1.0], warn=lambda text: None, rank=rank, world=world)


DATA_LOADER = """
import sys
from pathlib import Path
import numpy as np
import torch
from torch.utils.data import DataLoader
from trackcli_cache.reader import CropCache
from trackcli.composition.defaults import complete
from trackcli.composition.plan import plan
from trackcli.host.registry import installed
from trackcli.training.loader import PairDataset, PairLoader, make_pair_maker

cache, method, *settings = sys.argv[1:]
registry = installed()
planned = plan(complete({"preset": "default"}, registry, settings).recipe, registry)
maker = make_pair_maker(planned, [CropCache.open(Path(cache))], [1.0], warn=print)
maker.make(0, *(np.empty((side, side, 3), np.uint8) for side in (63, 127)))  # files are open when it forks
dataset = PairDataset(maker, batch_size=4, start=3, stop=8)
by_processes = list(DataLoader(dataset, batch_size=None, num_workers=2, multiprocessing_context=method))
by_threads = list(PairLoader(maker, batch_size=4, workers=2).batches(3, 8))
assert len(by_processes) == len(by_threads) == len(dataset) == 5
for one, other in zip(by_processes, by_threads):
    assert torch.equal(one.draws, other.draws)
    for name in ("sample_ids", "template_images", "search_images", "objects_xyxy", "positive", "pair_kind"):
        assert torch.equal(getattr(one.batch, name), getattr(other.batch, name)), name
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_data_loaders_processes_give_what_threads_give(tiny_cache: CropCache, method: str) -> None:
    """Asked of a program of its own: a fork of this process, which has threads of other tests, may hang."""
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} on this system")
    command = [sys.executable, "-c", DATA_LOADER, str(tiny_cache.path), method, *SMALL]
    subprocess.run(command, check=True, timeout=240)


def test_crops_that_training_would_enlarge_are_told_with_the_command_that_helps(tiny_cache: CropCache) -> None:
    said: list[str] = []
    make_loader(planned("crop.template_size=127", "crop.search_size=255"), [tiny_cache], [1.0], warn=said.append)
    assert not [text for text in said if "enlarged" in text]
    make_loader(planned("crop.template_size=190", "crop.search_size=380"), [tiny_cache], [1.0], warn=said.append)
    (enlarged,) = (text for text in said if "enlarged" in text)
    assert f"{tiny_cache.path} are enlarged 1.50 times" in enlarged
    assert enlarged.endswith("trackcli cache build --template-size 190 --search-size 380")


def test_nobody_is_sent_to_rebuild_the_cache_of_a_smoke_run(
    tiny_cache: CropCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trackcli.training.loader.SOURCE_NAME", Path(tiny_cache.manifest.root).name)
    said: list[str] = []
    make_loader(planned("crop.template_size=190", "crop.search_size=380"), [tiny_cache], [1.0], warn=said.append)
    assert not [text for text in said if "enlarged" in text]


def test_context_counts_when_crops_are_compared(tiny_cache: CropCache) -> None:
    said: list[str] = []
    wide = ("crop.template_size=254", "crop.context=1.5")  # four times the target's side in twice the pixels
    make_loader(planned(*wide), [tiny_cache], [1.0], warn=said.append)
    assert not [text for text in said if "enlarged" in text]


def test_the_batches_of_two_ranks_are_the_halves_of_one(tiny_cache: CropCache) -> None:
    (whole,) = loader(tiny_cache).batches(2, 3)
    halves = [next(loader(tiny_cache, rank=rank, world=2).batches(2, 3)) for rank in (0, 1)]
    assert whole.batch.sample_ids.tolist() == [8, 9, 10, 11]
    config = planned().sampler_config
    finished = [finish_on_device(each, CPU, config) for each in (whole, *halves)]
    for name in ("template_images", "search_images", "search_boxes_xyxy", "positive"):
        joined = torch.cat([getattr(half, name) for half in finished[1:]])
        torch.testing.assert_close(joined, getattr(finished[0], name), rtol=0, atol=0)


def test_mirroring_a_pair_mirrors_its_boxes(tiny_cache: CropCache) -> None:
    (plain,), (mirrored,) = (
        [
            finish_on_device(host, CPU, planned(f"sampler.flip={flip}").sampler_config)
            for host in loader(tiny_cache, f"sampler.flip={flip}").batches(0, 1)
        ]
        for flip in (0.0, 1.0)
    )
    for boxes, size in (("template_boxes_xyxy", 63), ("search_boxes_xyxy", 127), ("objects_xyxy", 127)):
        one, other = getattr(plain, boxes), getattr(mirrored, boxes)
        torch.testing.assert_close(other[..., 0] + one[..., 2], torch.full_like(one[..., 0], size))
        torch.testing.assert_close(other[..., [1, 3]], one[..., [1, 3]])
    torch.testing.assert_close(mirrored.search_images, plain.search_images.flip(3), rtol=0, atol=0.01)


def test_a_finished_batch_is_what_losses_expect(tiny_cache: CropCache) -> None:
    (host,) = loader(tiny_cache, "sampler.negative=0.5").batches(0, 1)
    assert host.batch.search_images.dtype == torch.uint8
    batch = finish_on_device(host, CPU, planned().sampler_config)
    assert batch.template_images.shape == (4, 3, 63, 63) and batch.search_images.shape == (4, 3, 127, 127)
    assert batch.search_images.dtype == torch.float32
    assert float(batch.search_images.min()) >= 0 and float(batch.search_images.max()) <= 255
    assert batch.absent.tolist() == (~batch.positive).tolist()
    torch.testing.assert_close(batch.search_boxes_xyxy, batch.objects_xyxy[:, 0])


def test_a_host_batch_splits_into_rows_for_accumulation(tiny_cache: CropCache) -> None:
    from trackcli.training.spread import split_rows

    (host,) = loader(tiny_cache).batches(0, 1)
    config = planned().sampler_config
    whole = finish_on_device(host, CPU, config)
    parts = [finish_on_device(part, CPU, config) for part in split_rows(host, 2)]
    torch.testing.assert_close(torch.cat([part.search_images for part in parts]), whole.search_images, rtol=0, atol=0)


def test_reading_real_caches_of_the_shared_images(shared_data, tmp_path) -> None:  # type: ignore[no-untyped-def]
    from trackcli_cache.build import build_cache
    from trackcli_cache.catalogue import open_dataset

    build_cache(open_dataset("folder", shared_data / "train" / "images" / "voc_mini"), tmp_path / "cache", limit=20)
    with CropCache.open(tmp_path / "cache") as cache:
        (host,) = loader(cache).batches(0, 1)
    assert host.batch.search_images.shape == (4, 3, 127, 127)
