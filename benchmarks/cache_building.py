"""How fast caches are built: against the decoding and encoding that cannot be avoided, in one process.

Run: python benchmarks/cache_building.py [--images N] [--data DIR] [--rounds N]

The yardstick decodes the same images once each and encodes the same crops of both tiers, cut beforehand; building also
reads the annotations, cuts and resizes, keeps the labels, writes and syncs. Both sides take turns in one run in one
process; only the ratios travel between machines. Wanted: at most 1.5 for JPEG. The processor's time leaves out waiting,
for the disk and for other programs; the median of the rounds counts. The rate is that of the last three quarters of the
images: it leaves out what every build takes once, such as reading the annotations of a whole folder.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from trackcli_cache.build import build_cache
from trackcli_cache.catalogue import open_dataset
from trackcli_cache.crops import Codec, encode_pixels
from trackcli_cache.datasets import DatasetReader
from trackcli_cache.frames import read_rgb
from trackcli_cache.reader import CropCache
from trackcli_cache.settings import TierSettings

SIZE_WH = (1280, 720)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=200, help="how many images to build from")
    parser.add_argument("--data", type=Path, help="a folder dataset to take them from; made up if not given")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        root = arguments.data or _make_images(folder / "data", arguments.images)
        for codec in ("jpeg", "raw"):
            _compare(root, folder / "cache", arguments.images, arguments.rounds, codec)


def _compare(root: Path, output: Path, limit: int, rounds: int, codec: Codec) -> None:
    reader = open_dataset("folder", root)
    sizes = (limit // 4, limit)
    material = [_material(reader, output, size, codec) for size in sizes]
    times: dict[str, list[list[dict[str, float]]]] = {"pure": [[], []], "build": [[], []]}
    for _ in range(rounds):
        for place, (size, (paths, crops)) in enumerate(zip(sizes, material, strict=True)):
            times["pure"][place].append(_seconds(lambda: _decode_and_encode(paths, crops, codec)))  # noqa: B023
            times["build"][place].append(_seconds(lambda: build_cache(reader, output, limit=size, codec=codec)))  # noqa: B023
            shutil.rmtree(output)
    paths, crops = material[1]
    objects, more = len(crops) // 2, (len(crops) - len(material[0][1])) // 2
    print(f"{codec}: {objects} objects of {len(paths)} images, one process")
    for clock in ("elapsed", "processor"):
        (few_pure, pure), (few_build, build) = (
            [statistics.median(seconds[clock] for seconds in place) for place in times[side]]
            for side in ("pure", "build")
        )
        rate, pure_rate = (build - few_build) / more, (pure - few_pure) / more
        print(
            f"  {clock:10} decode + encode {pure:6.2f} s, cache build {build:6.2f} s, ratio {build / pure:.2f}; "
            f"an object {1e3 * pure_rate:.2f} and {1e3 * rate:.2f} ms, ratio {rate / pure_rate:.2f}"
        )


def _material(
    reader: DatasetReader, output: Path, limit: int, codec: Codec
) -> tuple[list[Path], list[NDArray[np.uint8]]]:
    """The images of a build, and all crops that it encodes."""
    build_cache(reader, output, limit=limit, codec=codec, force=True)
    with CropCache.open(output) as cache:
        crops = [crop for index in range(len(cache)) for crop in (cache.exemplar_crop(index), cache.search_crop(index))]
        paths = sorted({reader.root / cache.record(index).path for index in range(len(cache))})
    shutil.rmtree(output)
    return paths, crops


def _decode_and_encode(paths: list[Path], crops: list[NDArray[np.uint8]], codec: Codec) -> None:
    for path in paths:
        read_rgb(path)
    for crop in crops:
        encode_pixels(crop, codec, TierSettings())


def _seconds(work: Callable[[], object]) -> dict[str, float]:
    elapsed, processor = time.perf_counter(), time.process_time()
    work()
    return {"elapsed": time.perf_counter() - elapsed, "processor": time.process_time() - processor}


def _make_images(folder: Path, count: int) -> Path:
    """Video frames with texture at every scale, as photographs have, and one box each."""
    images = folder / "video" / "img"
    images.mkdir(parents=True)
    generator = np.random.default_rng(0)
    boxes = []
    for number in range(count):
        cv2.imwrite(str(images / f"{number:06d}.jpg"), _texture(generator), [cv2.IMWRITE_JPEG_QUALITY, 90])
        width, height = generator.uniform(40, 240, 2)
        left, top = generator.uniform(0, SIZE_WH[0] - width), generator.uniform(0, SIZE_WH[1] - height)
        boxes.append(f"{left:.2f},{top:.2f},{width:.2f},{height:.2f}")
    (folder / "video" / "groundtruth.txt").write_text("\n".join(boxes) + "\n")
    return folder


def _texture(generator: np.random.Generator) -> NDArray[np.uint8]:
    """Noise whose strength halves with every halving of its scale."""
    width, height = SIZE_WH
    picture = np.full((height, width, 3), 128, np.float32)
    for step in (128, 64, 32, 16, 8, 4, 2):
        rough = generator.normal(0, 4 * step**0.5, (height // step + 1, width // step + 1, 3)).astype(np.float32)
        picture += cv2.resize(rough, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(picture, 0, 255).astype(np.uint8)


if __name__ == "__main__":
    main()
