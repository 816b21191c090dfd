"""A first pass over the annotations alone: names, counts and a digest, before a single image is decoded.

Numbers for sequences and categories come from here, so a shard can be built without knowing the others.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import MappingProxyType

from trackcli_cache.datasets import AnnotatedObject, DatasetReader, SourceImage
from trackcli_cache.errors import DatasetError
from trackcli_cache.manifest import SequenceEntry
from trackcli_cache.settings import TierSettings

OBJECTS_PER_SHARD = 512
"""About 22 MiB of ordinary crops, and under 64 MiB even if they average 128 KiB."""


@dataclass(frozen=True)
class Survey:
    """What a build will be about.

    Attributes:
        build_id: Digest of every annotation, the settings and the limit.
        images: How many annotated images there are.
        sequences: All sequences, in order.
        categories: All categories, in alphabetical order.
        sequence_ids: Index of each sequence by name.
        category_ids: Index of each category by name.
    """

    build_id: str
    images: int
    sequences: tuple[SequenceEntry, ...]
    categories: tuple[str, ...]
    sequence_ids: Mapping[str, int]
    category_ids: Mapping[str, int]


def limited_images(reader: DatasetReader, limit: int | None) -> Iterator[SourceImage]:
    """The images that a build uses: all of them, or the first ``limit``."""
    return islice(reader.images(), limit)


def survey_dataset(reader: DatasetReader, settings: TierSettings, limit: int | None) -> Survey:
    """Read all annotations once.

    Raises:
        DatasetError: if an annotation cannot be read, or there is no object at all.
    """
    digest = hashlib.sha256(json.dumps([reader.name, limit, settings.as_dict()]).encode())
    sequences: dict[str, SequenceEntry] = {}
    categories: set[str] = set()
    images = objects = 0
    for image in limited_images(reader, limit):
        sequences.setdefault(image.sequence, SequenceEntry(image.sequence, image.still))
        categories.update(item.category for item in image.objects if item.category is not None)
        digest.update(_describe_image(image, reader.root))
        images += 1
        objects += sum(not item.absent for item in image.objects)
    if not objects:
        raise DatasetError(f"{reader.root} holds no annotated object in {images} images; nothing to build")
    names = sorted(categories)
    return Survey(
        build_id=digest.hexdigest(),
        images=images,
        sequences=tuple(sequences.values()),
        categories=tuple(names),
        sequence_ids=MappingProxyType({name: index for index, name in enumerate(sequences)}),
        category_ids=MappingProxyType({name: index for index, name in enumerate(names)}),
    )


def shard_batches(reader: DatasetReader, limit: int | None) -> Iterator[tuple[SourceImage, ...]]:
    """Divide the images into shards by counting objects, so that the division needs no encoded crop."""
    batch: list[SourceImage] = []
    objects = 0
    for image in limited_images(reader, limit):
        batch.append(image)
        objects += sum(not item.absent for item in image.objects)
        if objects >= OBJECTS_PER_SHARD:
            yield tuple(batch)
            batch, objects = [], 0
    if batch:
        yield tuple(batch)


def relative_path(path: Path, root: Path) -> str:
    """A source path relative to the dataset's root, with forward slashes, free of undecodable bytes."""
    return path.relative_to(root).as_posix().encode("utf-8", errors="replace").decode("utf-8")


def _describe_image(image: SourceImage, root: Path) -> bytes:
    path = relative_path(image.path, root)
    description = [path, image.sequence, image.frame_number, image.still]
    return json.dumps([description, [_describe_object(item, root) for item in image.objects]]).encode()


def _describe_object(item: AnnotatedObject, root: Path) -> list[object]:
    mask = relative_path(item.mask_path, root) if item.mask_path else None
    outlines = [points.tolist() for points in item.polygons]
    return [item.box_xyxy, item.track_id, item.category, item.absent, mask, outlines]
