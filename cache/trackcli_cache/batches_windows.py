"""Where in a search crop there is photograph rather than fill colour."""

from __future__ import annotations

import math

import numpy as np

from trackcli_cache.batches_views import Window
from trackcli_cache.records import Record

Area = tuple[float, float, float, float]
"""x0, y0, x1, y1 in crop pixels."""


def photograph_in_crop(record: Record) -> Area:
    """The part of a search crop that shows the photograph; the rest is fill colour."""
    left, top, right, _ = (float(value) for value in record.search_window_xyxy)
    scale = record.search_crop_side / (right - left)
    width, height = record.image_size_wh
    side = float(record.search_crop_side)
    return (
        max(0.0, -left * scale),
        max(0.0, -top * scale),
        min(side, (width - left) * scale),
        min(side, (height - top) * scale),
    )


def random_square(area: Area, rng: np.random.Generator) -> Window:
    """A square of whole pixels inside an area, at least half as wide as the area's shorter side."""
    left, top = math.ceil(area[0]), math.ceil(area[1])
    width, height = max(1, math.floor(area[2]) - left), max(1, math.floor(area[3]) - top)
    side = max(1, int(min(width, height) * (0.5 + 0.5 * rng.random())))
    x, y = (int(rng.random() * (room - side + 1)) for room in (width, height))
    return Window(left + x, top + y, side, side)
