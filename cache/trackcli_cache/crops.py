"""The two ways in which a crop is kept: as a JPEG, or as the pixels themselves."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from trackcli_cache.errors import CacheFormatError
from trackcli_cache.jpeg import encode_crop
from trackcli_cache.settings import TierSettings

Codec = Literal["jpeg", "raw"]
CODECS: tuple[Codec, ...] = get_args(Codec)

MAX_SHARD_BYTES = 64 * 2**20


def encode_pixels(crop: NDArray[np.uint8], codec: Codec, settings: TierSettings) -> bytes:
    """The bytes that are stored for an ``(S, S, 3)`` RGB crop; the same pixels always give the same bytes."""
    return crop.tobytes() if codec == "raw" else encode_crop(crop, settings.jpeg_quality)


def raw_bytes(side: int) -> int:
    """Size of a raw crop: ``side`` rows of ``side`` pixels of red, green and blue."""
    return side * side * 3


def objects_per_shard(settings: TierSettings, codec: Codec) -> int:
    """How many objects make a shard that stays under 64 MiB, whatever the pictures show.

    As JPEG, noise takes at most 1.12 bytes a pixel at quality 90 and 2.3 at 100; photographs a fifth of that.
    """
    pixels = settings.exemplar_crop_side**2 + settings.search_crop_side**2
    bytes_per_pixel = 3 if codec == "raw" else 1.25 if settings.jpeg_quality <= 90 else 2.5
    return max(1, int(MAX_SHARD_BYTES / (pixels * bytes_per_pixel)))


def checked_codec(name: object) -> Codec:
    """Return a codec read from a file (*Raises* ``CacheFormatError`` if there is no such codec)."""
    for codec in CODECS:
        if name == codec:
            return codec
    raise CacheFormatError(f"codec {name!r:.40} is unknown; expected one of: {', '.join(CODECS)}")
