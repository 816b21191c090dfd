"""How a listing of images is divided into shards: by counting targets, so that no crop must be encoded to know it."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from trackcli_cache.datasets import AnnotatedObject, Mark, SourceImage

MAX_IMAGES_PER_SHARD = 4096
"""Images without a target cost little, but they must not pile up in one shard."""

_IGNORED = int(Mark.IGNORED)  # asked for every object of every pass: plain numbers are several times faster than flags


class Place(NamedTuple):
    """Where some of an image's targets go: those with index ``first`` to ``stop - 1`` to shard ``shard``."""

    shard: int
    first: int
    stop: int


@dataclass(frozen=True, eq=False)
class ImagePart:
    """An image, and which of its targets a shard holds; a crowd may be divided over several shards.

    Attributes:
        image: The image.
        sequence_id: Index of its sequence.
        first: Index of the first target, counting only objects for which :func:`is_target` holds.
        stop: Index after the last.
    """

    image: SourceImage
    sequence_id: int
    first: int
    stop: int


@dataclass(frozen=True, eq=False)
class ShardTask:
    """What a shard is made of.

    Attributes:
        number: Of the shard, from 0.
        parts: Its images in order.
    """

    number: int
    parts: tuple[ImagePart, ...]

    @property
    def images(self) -> int:
        """How many images begin in this shard; the sum over all shards is the number of images."""
        return sum(part.first == 0 for part in self.parts)


class Division:
    """Deals out images to shards, in order.

    Args:
        objects_per_shard: How many targets fill a shard.

    Attributes:
        shards: How many shards there are so far.
    """

    def __init__(self, objects_per_shard: int) -> None:
        self.shards = 0
        self._capacity = objects_per_shard
        self._targets = self._images = 0

    def place(self, targets: int) -> Iterator[Place]:
        """Say where the next image goes, which has so many targets."""
        first = 0
        while True:
            if not self.shards or self._targets >= self._capacity or self._images >= MAX_IMAGES_PER_SHARD:
                self.shards += 1
                self._targets = self._images = 0
            stop = min(targets, first + self._capacity - self._targets)
            self._targets += stop - first
            self._images += 1
            yield Place(self.shards - 1, first, stop)
            first = stop
            if first >= targets:
                return


def is_target(item: AnnotatedObject) -> bool:
    """Whether an object gets a record, as far as annotations tell: in view, and not to be ignored."""
    return not item.absent and not int(item.marks) & _IGNORED


def divide(
    images: Iterable[tuple[SourceImage, int]], objects_per_shard: int, wanted: Container[int]
) -> Iterator[ShardTask]:
    """Put images together to shards; holds no more than one shard's annotations.

    Args:
        images: Images with the number of their sequence.
        objects_per_shard: How many targets fill a shard.
        wanted: Numbers of the shards to give; the others are passed over.
    """
    division = Division(objects_per_shard)
    number, parts = 0, list[ImagePart]()
    for image, sequence_id in images:
        for place in division.place(sum(map(is_target, image.objects))):
            if place.shard != number:
                if parts:
                    yield ShardTask(number, tuple(parts))
                number, parts = place.shard, []
            if place.shard in wanted:
                parts.append(ImagePart(image, sequence_id, place.first, place.stop))
    if parts:
        yield ShardTask(number, tuple(parts))
