"""How large the two tiers of crops are, and why: the limits of the augmentation that will cut from them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

from trackcli_cache.errors import CacheFormatError

CROP_MULTIPLE = 16
"""Crop sides are multiples of this: a JPEG's 4:2:0 blocks are 16 pixels wide."""

MAX_CROP_SIDE = 4096


@dataclass(frozen=True)
class TierSettings:
    """The augmentation's limits, from which the crop sizes follow.

    A tier must still hold the network's input after the largest zoom and the largest shift:
    ``input · (1 + scale) + 2 · shift``, rounded up to a multiple of 16.

    Attributes:
        template_size: Side of the template that SiamFC's context region ``s_z`` is scaled to, in pixels.
        template_scale: Largest relative zoom of a template.
        template_shift: Largest shift of a template, in crop pixels.
        search_size: Side of the search region at the same scale, in pixels.
        search_scale: Largest relative zoom of a search region.
        search_shift: Largest shift of a search region, in crop pixels.
        context_amount: Context around the target as a share of ``w + h`` (SiamFC: 0.5).
        jpeg_quality: Quality of the stored crops, 1..100; at 88 two crops take less than one of 511 pixels at 90 does.
    """

    template_size: int = 127
    template_scale: float = 0.05
    template_shift: int = 4
    search_size: int = 255
    search_scale: float = 0.18
    search_shift: int = 64
    context_amount: float = 0.5
    jpeg_quality: int = 88

    def __post_init__(self) -> None:
        """Refuse limits that give no usable crop (*Raises* ``CacheFormatError``: they may come from a manifest)."""
        numbers = asdict(self)
        for name, number in numbers.items():
            if not math.isfinite(number) or number < 0:
                raise CacheFormatError(f"cache setting {name} is {number}; expected a finite number of at least 0")
        if not 1 <= self.jpeg_quality <= 100:
            raise CacheFormatError(f"cache setting jpeg_quality is {self.jpeg_quality}; expected 1 to 100")
        if self.template_size < 1 or self.search_size < 1:
            raise CacheFormatError("cache settings template_size and search_size must be at least 1")
        for side in (self.exemplar_crop_side, self.search_crop_side):
            if side > MAX_CROP_SIDE:
                raise CacheFormatError(
                    f"cache settings ask for crops of {side} px; at most {MAX_CROP_SIDE} are allowed"
                )

    @property
    def exemplar_crop_side(self) -> int:
        """Side of the exemplar tier in pixels (144 by default)."""
        return _round_up(self.template_size * (1 + self.template_scale) + 2 * self.template_shift)

    @property
    def search_crop_side(self) -> int:
        """Side of the search tier in pixels (432 by default)."""
        return _round_up(self.search_size * (1 + self.search_scale) + 2 * self.search_shift)

    def as_dict(self) -> dict[str, float]:
        """The settings as plain numbers, for the manifest."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> TierSettings:
        """Read settings back from a manifest.

        Raises:
            CacheFormatError: if a setting is missing, unknown, not a number of its type, or out of range.
        """
        types: dict[str, type] = {field.name: type(field.default) for field in fields(cls)}
        if set(values) != set(types):
            odd = ", ".join(sorted(set(values) ^ set(types)))
            raise CacheFormatError(f"cache settings do not fit this version: {odd} missing or unknown; build it again")
        numbers: dict[str, float] = {}
        for name, value in values.items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise CacheFormatError(f"cache setting {name} is {value!r}; expected a number")
            if types[name] is int and not isinstance(value, int):
                raise CacheFormatError(f"cache setting {name} is {value!r}; expected a whole number")
            numbers[name] = value
        return cls(**numbers)  # type: ignore[arg-type]  # whole numbers were checked above


def _round_up(pixels: float) -> int:
    return math.ceil(pixels / CROP_MULTIPLE) * CROP_MULTIPLE
