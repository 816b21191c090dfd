"""A first pass over the annotations alone: names, counts and a digest, before a single image is decoded.

Numbers for sequences and categories come from here, so a shard can be built without knowing the others. Nothing is
kept per image: a listing of millions passes through.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import MappingProxyType

from trackcli_cache.crops import Codec
from trackcli_cache.datasets import AnnotatedObject, DatasetReader, SourceImage
from trackcli_cache.division import Division, ShardTask, divide, is_target
from trackcli_cache.errors import DatasetError
from trackcli_cache.manifest import SequenceEntry
from trackcli_cache.settings import TierSettings
from trackcli_cache.shard import FORMAT_VERSION


@dataclass(frozen=True)
class BuildOptions:
    """What decides a cache's bytes, beside the dataset.

    Attributes:
        settings: The tiers.
        codec: How crops are kept.
        limit: Use only the first so many annotated images; ``None``: all.
        objects_per_shard: How many targets fill a shard.
    """

    settings: TierSettings
    codec: Codec
    limit: int | None
    objects_per_shard: int

    def images(self, reader: DatasetReader) -> Iterator[SourceImage]:
        """The images that a build uses: all of them, or the first ``limit``."""
        return islice(reader.images(), self.limit)


@dataclass(frozen=True)
class Survey:
    """What a build will be about.

    Attributes:
        build_id: Digest of every annotation and of the options.
        images: How many annotated images there are.
        shard_images: How many images begin in each shard.
        sequences: All sequences, in order.
        categories: All categories, in alphabetical order.
        sequence_ids: Index of each sequence by name.
        category_ids: Index of each category by name.
    """

    build_id: str
    images: int
    shard_images: tuple[int, ...]
    sequences: tuple[SequenceEntry, ...]
    categories: tuple[str, ...]
    sequence_ids: Mapping[str, int]
    category_ids: Mapping[str, int]

    @property
    def shards(self) -> int:
        """How many shards there are."""
        return len(self.shard_images)


def survey_dataset(reader: DatasetReader, options: BuildOptions) -> Survey:
    """Read all annotations once.

    Raises:
        DatasetError: if an annotation cannot be read, or there is no object at all.
    """
    facts = [FORMAT_VERSION, reader.name, options.limit, options.settings.as_dict()]
    facts += [options.codec, options.objects_per_shard]
    digest = hashlib.sha256(json.dumps(facts).encode())
    sequences: dict[str, SequenceEntry] = {}
    categories: set[str] = set()
    division = Division(options.objects_per_shard)
    shard_images: list[int] = []
    images = objects = 0
    for image in options.images(reader):
        if image.sequence not in sequences:
            sequences[image.sequence] = SequenceEntry(image.sequence, image.still)
        categories.update(item.category for item in image.objects if item.category is not None)
        _digest_image(digest, image, reader.root)
        targets = sum(map(is_target, image.objects))
        for place in division.place(targets):
            shard_images.extend([0] * (place.shard + 1 - len(shard_images)))
            shard_images[place.shard] += place.first == 0
        images += 1
        objects += targets
    if not objects:
        raise DatasetError(f"{reader.root} holds no annotated object in {images} images; nothing to build")
    names = sorted(categories)
    return Survey(
        build_id=digest.hexdigest(),
        images=images,
        shard_images=tuple(shard_images),
        sequences=tuple(sequences.values()),
        categories=tuple(names),
        sequence_ids=MappingProxyType({name: index for index, name in enumerate(sequences)}),
        category_ids=MappingProxyType({name: index for index, name in enumerate(names)}),
    )


def shard_tasks(
    reader: DatasetReader, options: BuildOptions, survey: Survey, wanted: Container[int]
) -> Iterator[ShardTask]:
    """The second pass: what each wanted shard is made of, one at a time.

    Raises:
        DatasetError: if the dataset is not what it was in the first pass.
    """
    return divide(_numbered(reader, options, survey), options.objects_per_shard, wanted)


def relative_path(path: Path, root: Path) -> str:
    """A source path relative to the dataset's root, with forward slashes, free of undecodable bytes.

    Raises:
        DatasetError: if it leads out of the root: annotations must not make a builder read other files.
    """
    whole, start = str(path), f"{root}{os.sep}"  # compared as text first: pathlib takes ten times as long
    try:
        relative = whole[len(start) :] if whole.startswith(start) else str(path.relative_to(root))
    except ValueError:
        raise DatasetError(f"{path} is not inside {root}; a dataset's images must lie under its --root") from None
    relative = relative.replace(os.sep, "/")
    if ".." in relative.split("/"):
        raise DatasetError(f"{path} leads out of {root}; a dataset's images must lie under its --root")
    return relative.encode("utf-8", errors="replace").decode("utf-8")


def _numbered(reader: DatasetReader, options: BuildOptions, survey: Survey) -> Iterator[tuple[SourceImage, int]]:
    count = 0
    for image in options.images(reader):
        sequence_id = survey.sequence_ids.get(image.sequence)
        known = all(item.category is None or item.category in survey.category_ids for item in image.objects)
        count += 1
        if sequence_id is None or not known or count > survey.images:
            raise _changed(reader)
        yield image, sequence_id
    if count != survey.images:
        raise _changed(reader)


def _changed(reader: DatasetReader) -> DatasetError:
    return DatasetError(f"{reader.root} changed while it was read; let it rest and run the same command again")


def _digest_image(digest: hashlib._Hash, image: SourceImage, root: Path) -> None:
    objects = [_describe_object(item, root) for item in image.objects]
    where = [relative_path(image.path, root), image.sequence, image.frame_number, image.still, image.video_frame]
    digest.update(json.dumps([where, objects]).encode())
    for item in image.objects:
        for points in item.polygons:
            digest.update(points.tobytes())


def _describe_object(item: AnnotatedObject, root: Path) -> list[object]:
    mask = relative_path(item.mask_path, root) if item.mask_path else None
    runs = [item.run_lengths.size_hw, item.run_lengths.counts] if item.run_lengths else None
    outlines = [len(points) for points in item.polygons]
    facts: list[object] = [item.box_xyxy, item.track_id, item.category, item.absent, int(item.marks)]
    return [*facts, mask, item.mask_label, runs, outlines]
