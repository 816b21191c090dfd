"""The development set of ablations: held-back videos and cut-and-paste sequences, and training data without them.

Usage::

    python benchmarks/dev_set.py --data DATA -o OUT [--cache]

``DATA`` holds ``train/video/<sequence>`` and ``train/images/<collection>`` in the layouts of ``--dataset folder``.
Writes ``OUT/dev`` (for ``trackcli eval --root``), ``OUT/train`` (for ``trackcli cache build --root``), with ``--cache``
also ``OUT/cache``, and ``OUT/split.json``, which says what was held back. The same data gives the same split and the
same sequences. An image is held back by its name, and so is every other file with the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pasted_scenes import Cutout, plan_scene
from trackcli_cache.datasets import SourceImage
from trackcli_cache.sequences import GROUNDTRUTH, IMAGE_FOLDER
from trackcli_cache.stills import BOXES, is_stills, read_stills

from trackcli.video.images import read_image

HELD_VIDEOS = ("davis_libby", "otb_Man", "segtrack_bmx", "uavdt_S1301")
HELD_SHARE = 0.10
SEQUENCES = 60
FRAMES = 40
SMALLEST, LARGEST_SHARE = 40.0, 0.6
"""Least size of a cutout in source pixels, and its largest share of the image's sides: whole objects, not details."""
_TABLES = ("boxes.json", "polys.json", "segments_boxes.json", "segments_polys.json")
LEAST_FILLED = 0.35
"""Least share of the box that the outline covers: thinner things are not what a box describes."""
_NO_OBJECT = (None, "", "segment")
_MARGIN = 4
_QUALITY = 92
_OCCLUDED_SHARE = 1 / 3


@dataclass(frozen=True)
class Split:
    """What is held back.

    Attributes:
        videos: Sequences.
        images: ``<collection>/<file>``.
    """

    videos: tuple[str, ...]
    images: frozenset[str]


def main() -> None:
    """Build what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds train/video and train/images")
    parser.add_argument("-o", "--output", type=Path, required=True, help="where to write")
    parser.add_argument("--sequences", type=int, default=SEQUENCES, help="cut-and-paste sequences")
    parser.add_argument("--frames", type=int, default=FRAMES, help="frames of each")
    parser.add_argument("--cache", action="store_true", help="also build the crop cache of the training data")
    arguments = parser.parse_args()
    split = build(arguments.data / "train", arguments.output, sequences=arguments.sequences, frames=arguments.frames)
    print(f"held back: {len(split.videos)} videos, {len(split.images)} images; dev set: {arguments.output / 'dev'}")
    if arguments.cache:
        build_training_cache(arguments.output)


def build(train: Path, output: Path, *, sequences: int, frames: int) -> Split:
    """Write the development set and the training data without it.

    Returns:
        What was held back.
    """
    split = choose_split(train)
    for name in split.videos:
        _copy_tree(train / "video" / name, output / "dev" / name)
    _write_pasted(train / "images", output / "dev", split, sequences, frames)
    for folder in sorted((train / "video").iterdir()):
        if folder.name not in split.videos:
            _copy_tree(folder, output / "train" / folder.name)
    for folder in collections_in(train / "images"):
        _copy_collection(folder, output / "train" / folder.name, split)
    content = {"videos": list(split.videos), "images": sorted(split.images)}
    (output / "split.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return split


def choose_split(train: Path) -> Split:
    """Held-back videos by name, images by a hash of theirs; copies under other names go with them."""
    videos = tuple(name for name in HELD_VIDEOS if (train / "video" / name).is_dir())
    files = [
        (f"{folder.name}/{path.name}", path)
        for folder in collections_in(train / "images")
        for path in sorted((folder / IMAGE_FOLDER).iterdir())
    ]
    contents = {key: hashlib.sha256(path.read_bytes()).hexdigest() for key, path in files}
    chosen = {contents[key] for key, path in files if _is_held(path.stem)}
    return Split(videos, frozenset(key for key, _ in files if contents[key] in chosen))


def build_training_cache(output: Path) -> None:
    """The crop cache of ``OUT/train`` in ``OUT/cache``; what is there is kept."""
    from trackcli_cache.build import build_cache
    from trackcli_cache.folder import FolderDataset

    report = build_cache(FolderDataset(output / "train"), output / "cache")
    print(f"cache: {report.manifest.records} objects in {output / 'cache'}")


def _is_held(stem: str) -> bool:
    """The stem alone, since two collections may hold the same photograph under one name."""
    return int.from_bytes(hashlib.sha256(stem.encode()).digest()[:4], "big") < HELD_SHARE * 2**32


def collections_in(images: Path) -> list[Path]:
    """The folders of stills in a folder, in order."""
    return [folder for folder in sorted(images.iterdir()) if is_stills(folder)]


def _copy_tree(source: Path, target: Path) -> None:
    if not target.is_dir():
        shutil.copytree(source, target)


def _copy_collection(source: Path, target: Path, split: Split) -> None:
    """A collection without the images that are held back."""
    (target / IMAGE_FOLDER).mkdir(parents=True, exist_ok=True)
    for path in sorted((source / IMAGE_FOLDER).iterdir()):
        if f"{source.name}/{path.name}" not in split.images:
            shutil.copyfile(path, target / IMAGE_FOLDER / path.name)
    for name in _TABLES:
        if (source / name).is_file():
            table: dict[str, Any] = json.loads((source / name).read_text(encoding="utf-8"))
            kept = {file: rows for file, rows in table.items() if f"{source.name}/{file}" not in split.images}
            (target / name).write_text(json.dumps(kept), encoding="utf-8")


def _write_pasted(images: Path, dev: Path, split: Split, sequences: int, frames: int) -> None:
    cutouts, photographs = _held_material(images, split)
    if not cutouts or not photographs:
        raise SystemExit(f"no held-back image with an outlined object in {images}; expected {BOXES} and polys.json")
    for number in range(sequences):
        folder = dev / f"pasted_{number:02d}"
        if (folder / GROUNDTRUTH).is_file():
            continue  # written last
        rng = np.random.default_rng((2024, number))
        target = cutouts[int(rng.integers(len(cutouts)))]
        behind = _choose_alike(rng, target, cutouts)
        in_front = [cutouts[int(rng.integers(len(cutouts)))]] if rng.uniform() < _OCCLUDED_SHARE else []
        background = read_image(photographs[int(rng.integers(len(photographs)))])
        scene = plan_scene(rng, background, target, behind=behind, in_front=in_front, frames=frames)
        (folder / IMAGE_FOLDER).mkdir(parents=True, exist_ok=True)
        for frame in range(frames):
            picture = cv2.cvtColor(scene.paint(frame), cv2.COLOR_RGB2BGR)
            cv2.imwrite(str(folder / IMAGE_FOLDER / f"{frame:04d}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
        boxes = scene.boxes_xywh()
        (folder / GROUNDTRUTH).write_text("".join(",".join(f"{v:.2f}" for v in box) + "\n" for box in boxes))


def _choose_alike(rng: np.random.Generator, target: Cutout, cutouts: list[Cutout]) -> list[Cutout]:
    """0 to 3 look-alikes: objects of the target's category, the target's twin among them."""
    alike = [other for other in cutouts if other.category == target.category]
    return [alike[int(rng.integers(len(alike)))] for _ in range(int(rng.integers(4)))]


def _held_material(images: Path, split: Split) -> tuple[list[Cutout], list[Path]]:
    cutouts: list[Cutout] = []
    photographs: list[Path] = []
    for folder in collections_in(images):
        photographs += [
            path for path in sorted((folder / IMAGE_FOLDER).iterdir()) if f"{folder.name}/{path.name}" in split.images
        ]
        for image in read_stills(folder):
            if f"{folder.name}/{image.path.name}" in split.images:
                cutouts += cut_out(image)
    return cutouts, photographs


def cut_out(source: SourceImage) -> Iterator[Cutout]:
    """The outlined objects of an image that are large enough, and not most of it."""
    usable = [one for one in source.objects if one.polygons and one.category not in _NO_OBJECT]
    if not usable:
        return
    image = read_image(source.path)
    limits = np.array([image.shape[1], image.shape[0]], dtype=np.float64)
    for one in usable:
        points = np.concatenate(one.polygons)
        low, high = points.min(axis=0), points.max(axis=0)
        inside = (low > 1).all() and (high < limits - 1).all()  # cut by the border, it would have a straight edge
        filled = sum(cv2.contourArea(outline.astype(np.float32)) for outline in one.polygons) / np.prod(high - low)
        if (
            inside
            and filled >= LEAST_FILLED
            and np.sqrt(np.prod(high - low)) >= SMALLEST
            and (high - low <= LARGEST_SHARE * limits).all()
        ):
            left, top = np.maximum(np.floor(low) - _MARGIN, 0).astype(int)
            right, bottom = np.minimum(np.ceil(high) + _MARGIN, limits).astype(int)
            outlines = tuple(outline - (left, top) for outline in one.polygons)
            yield Cutout(image[top:bottom, left:right].copy(), outlines, one.category or "")


if __name__ == "__main__":
    main()
