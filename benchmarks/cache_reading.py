"""How fast training pairs are read: crop caches against a folder of JPEG crops, as other toolkits keep them.

Run: python benchmarks/cache_reading.py [--data DIR] [--work DIR] [--quick]

All sides give the same: batches of 32 pairs of 127 and 255 pixels at random scale and shift, mirrored, blurred (20 %)
and recoloured, float in 0..255 with their boxes. The yardstick is a folder of 511-pixel crops (JPEG, quality 90) read
with imread, warpAffine, a box blur (not the dense kernels that are common) and one colour matrix, by a DataLoader with
2 processes. The caches are read by 2 threads; "uint8" leaves blur and colour to a GPU. The sides are measured in turns,
in one run, from warm page cache: only ratios travel between machines. Pairs per second need an idle machine; processor
time per pair suffers less when others use it too.
"""

from __future__ import annotations

import argparse
import gc
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset
from trackcli_cache.batches_memory import RecycledMemory
from trackcli_cache.build import build_cache
from trackcli_cache.catalogue import open_dataset
from trackcli_cache.datasets import DatasetReader
from trackcli_cache.encode import read_rgb
from trackcli_cache.reader import CropCache
from trackcli_cache.settings import TierSettings
from trackcli_cache.windows import cut_crop, mean_colour, tier_window

from trackcli.composition.defaults import complete
from trackcli.composition.plan import Plan, plan
from trackcli.config.sampling import SamplerConfig
from trackcli.host.registry import installed
from trackcli.training.appearance import LUMA, Appearance, appearance_of
from trackcli.training.loader import finish_on_device, make_loader

BATCH = 32
WORKERS = 2
FOLDER_SIDE = 511
TEMPLATE, SEARCH = 127, 255
LENS_BLUR = 1.8
"""Pixels; gives the generated crops the size in bytes that crops of photographs have."""

CPU = torch.device("cpu")
WANTED = {"jpeg cache, float": 3.0, "raw cache, float": 5.0, "raw cache, uint8": 12.0}

Image = NDArray[np.uint8]
FloatImage = NDArray[np.float32]


@dataclass(frozen=True)
class Crop:
    """One JPEG of the yardstick's folder.

    Attributes:
        path: The file.
        box_xyxy: The target in its pixels.
    """

    path: str
    box_xyxy: tuple[float, float, float, float]


def main() -> None:
    """Make the data, measure in turns, print ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="Folder of sequences or stills with boxes; default: generated.")
    parser.add_argument("--work", type=Path, help="Where to keep the crops; default: a temporary folder.")
    parser.add_argument("--quick", action="store_true", help="A tiny run, to see that it works.")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = arguments.work or Path(temporary)
        data = arguments.data or make_data(work / "data", sequences=2 if arguments.quick else 12, quick=arguments.quick)
        measure(open_dataset("folder", data), work, rounds=1 if arguments.quick else 5, quick=arguments.quick)


def measure(reader: DatasetReader, work: Path, *, rounds: int, quick: bool) -> None:
    """Measure all sides and print what came out."""
    crops = make_folder(reader, work / "folder")
    caches = {codec: make_cache(reader, work / codec, codec) for codec in ("jpeg", "raw")}
    registry = installed()
    settings = {"preset": "siamrpn-pp", "train": {"batch": BATCH, "workers": WORKERS}}
    planned = plan(complete(settings, registry).recipe, registry)
    batches = 4 if quick else 40
    pairs = FolderPairs(crops, planned.sampler_config, BATCH * batches)
    yardstick = DataLoader(pairs, BATCH, num_workers=WORKERS, worker_init_fn=_single_threaded)
    sides: dict[str, Callable[[], Iterable[object]]] = {"JPEG folder": lambda: yardstick}
    for codec, cache in caches.items():
        for kind in ("float", "uint8"):
            sides[f"{codec} cache, {kind}"] = _Side(planned, cache, kind, batches)
    sizes = [Path(crop.path).stat().st_size for crop in crops]
    print(f"{len(crops)} object-frames, {BATCH * batches} pairs a round, {WORKERS} workers, OpenCV {cv2.__version__}")
    print(f"bytes per object-frame: JPEG folder {statistics.mean(sizes):,.0f}", end="")
    for codec, cache in caches.items():
        total = sum(entry.size_bytes for entry in cache.manifest.shards)
        print(f", {codec} cache {total / len(cache):,.0f}", end="")
    print()
    speeds: dict[str, list[Speed]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            speeds[name].append(speed_of(side))
    base = Speed.median(speeds["JPEG folder"])
    for name, measured in speeds.items():
        speed = Speed.median(measured)
        wanted = f"  (wanted {WANTED[name]:g})" if name in WANTED else ""
        print(
            f"  {name:18} {speed.pairs_per_second:7.0f} pairs/s {speed.pairs_per_second / base.pairs_per_second:6.1f}x"
            f"{1e6 * speed.processor_seconds:8.0f} us of processor a pair "
            f"{base.processor_seconds / speed.processor_seconds:5.1f}x{wanted}"
        )


@dataclass(frozen=True)
class Speed:
    """What one round of one side took.

    Attributes:
        pairs_per_second: From the first batch on, so that starting processes and threads does not count.
        processor_seconds: Per pair, of all processes, starting included.
    """

    pairs_per_second: float
    processor_seconds: float

    @classmethod
    def median(cls, rounds: list[Speed]) -> Speed:
        """Of each figure by itself."""
        return cls(*(statistics.median(getattr(each, field.name) for each in rounds) for field in fields(cls)))


def speed_of(side: Callable[[], Iterable[object]]) -> Speed:
    """Read all batches of a side once."""
    gc.collect()  # not of what other sides left behind, while this one is measured
    processor = _processor_seconds()
    iterator = iter(side())
    next(iterator)
    began = time.perf_counter()
    count = sum(1 for _ in iterator)
    elapsed = time.perf_counter() - began
    del iterator  # worker processes end, and their time is counted
    return Speed(count * BATCH / elapsed, (_processor_seconds() - processor) / ((count + 1) * BATCH))


def _processor_seconds() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


@dataclass(frozen=True)
class _Side:
    plan: Plan
    cache: CropCache
    kind: str
    batches: int

    def __call__(self) -> Iterator[object]:
        loader = make_loader(self.plan, [self.cache], [1.0], warn=lambda text: None)
        if self.kind == "uint8":
            return loader.batches(0, self.batches)
        config, memory = self.plan.sampler_config, RecycledMemory(np.float32)
        return loader.map(lambda host: finish_on_device(host, CPU, config, memory), 0, self.batches)


class FolderPairs(Dataset[tuple[FloatImage, FloatImage, FloatImage, FloatImage]]):
    """The yardstick: what today's toolkits do, without what is needlessly slow in them."""

    def __init__(self, crops: list[Crop], config: SamplerConfig, length: int) -> None:
        self.crops = crops
        self.config = config
        self.length = length
        self._looks: tuple[int, list[Appearance]] = (-1, [])

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[FloatImage, FloatImage, FloatImage, FloatImage]:
        rng = np.random.default_rng((0, index))
        number, row = divmod(index, BATCH)
        if self._looks[0] != number:  # a worker gets whole batches: drawing them at once costs less
            draws = np.random.default_rng((1, number)).random((BATCH, 32), dtype=np.float32)
            self._looks = number, [appearance_of(draws, self.config, branch) for branch in (0, 1)]
        template, template_box = self._crop(rng, row, 0, TEMPLATE)
        search, search_box = self._crop(rng, row, 1, SEARCH)
        return template, search, template_box, search_box

    def _crop(self, rng: np.random.Generator, row: int, branch: int, size: int) -> tuple[FloatImage, FloatImage]:
        crop = self.crops[int(rng.random() * len(self.crops))]
        augment = (self.config.template, self.config.search)[branch]
        image = cv2.imread(crop.path)
        x0, y0, x1, y1 = crop.box_xyxy
        scale = 1 + augment.scale * (2 * rng.random() - 1)
        shift_x, shift_y = (size / 2 + augment.shift * (2 * chance - 1) for chance in rng.random(2).tolist())
        x, y = shift_x - scale * (x0 + x1) / 2, shift_y - scale * (y0 + y1) / 2
        matrix = np.array([[scale, 0, x], [0, scale, y]])
        # The crop was made with a margin of mean colour; what lies outside even that is hardly ever seen.
        view = cv2.warpAffine(image, matrix, (size, size), borderMode=cv2.BORDER_CONSTANT)
        left, top, right, bottom = x0 * scale + x, y0 * scale + y, x1 * scale + x, y1 * scale + y
        look = self._looks[1][branch]
        if look.flip[row]:
            view = cv2.flip(view, 1)
            left, right = size - right, size - left
        blur_wh = look.blur_wh[row].tolist()
        if max(blur_wh) > 1:
            view = cv2.blur(view, blur_wh)
        red, green, blue, _ = cv2.mean(view)
        affine = np.empty((3, 4), np.float32)
        affine[:, :3] = look.matrix[row]
        affine[:, 3] = look.bias[row] * (LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue)
        changed = cv2.transform(view, affine).astype(np.float32)
        return np.ascontiguousarray(changed.transpose(2, 0, 1)), np.array([left, top, right, bottom], np.float32)


def _single_threaded(worker: int) -> None:
    cv2.setNumThreads(0)


def make_folder(reader: DatasetReader, folder: Path) -> list[Crop]:
    """The yardstick's crops: 511 pixels, at the scale of the caches' crops."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = TierSettings()
    crops: list[Crop] = []
    for image in reader.images():
        pixels = read_rgb(image.path)
        for item in image.objects:
            box = item.box_xyxy
            if item.absent or min(box[2] - box[0], box[3] - box[1]) < 8:
                continue
            window = tier_window(box, FOLDER_SIDE, settings)
            crop = cut_crop(pixels, window, FOLDER_SIDE, mean_colour(pixels))
            path = folder / f"{len(crops):06d}.jpg"
            cv2.imwrite(str(path), cv2.cvtColor(crop, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 90])
            x0, y0, x1, y1 = window.boxes_to_crop(np.array([box]), FOLDER_SIDE)[0].tolist()
            crops.append(Crop(str(path), (x0, y0, x1, y1)))
    return crops


def make_cache(reader: DatasetReader, folder: Path, codec: str) -> CropCache:
    """The same objects as a crop cache."""
    build_cache(reader, folder, codec="raw" if codec == "raw" else "jpeg")
    return CropCache.open(folder)


def make_data(root: Path, *, sequences: int, quick: bool) -> Path:
    """Sequences with a moving box over pictures whose spectrum falls off as that of photographs does."""
    rng = np.random.default_rng(0)
    for number in range(sequences):
        folder = root / f"sequence-{number:02d}"
        (folder / "img").mkdir(parents=True, exist_ok=True)
        picture = _texture(rng, 900, 1200)
        lines = []
        for frame in range(10 if quick else 50):
            left, top = 4 * frame, 2 * frame
            width, height = rng.integers(60, 140, 2).tolist()
            cv2.imwrite(str(folder / "img" / f"{frame:05d}.jpg"), picture[top : top + 600, left : left + 800])
            lines.append(f"{400 - width // 2},{300 - height // 2},{width},{height}")
        (folder / "groundtruth.txt").write_text("\n".join(lines) + "\n")
    return root


def _texture(rng: np.random.Generator, height: int, width: int) -> Image:
    """Coloured noise, amplitude ~ 1 / frequency (Field 1987)."""
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    frequency[0, 0] = 1.0
    planes = [
        np.fft.irfft2(np.fft.rfft2(rng.standard_normal((height, width))) / frequency, s=(height, width))
        for _ in range(3)
    ]
    shared = planes[0]
    mixed = np.stack([shared, 0.9 * shared + 0.3 * planes[1], 0.8 * shared + 0.4 * planes[2]], axis=2)
    scaled = 128 + 48 * (mixed - mixed.mean()) / mixed.std()
    return np.asarray(cv2.GaussianBlur(np.clip(scaled, 0, 255).astype(np.uint8), (0, 0), LENS_BLUR), np.uint8)


if __name__ == "__main__":
    main()
