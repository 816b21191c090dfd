"""Make a crop cache from a dataset of your own: here, a table of boxes beside a folder of images.

Usage::

    python examples/own_dataset.py boxes.csv images/ my-cache/

The table has one object per line, ``file,x,y,w,h,category``: pixels, top-left corner first, 0-based; lines of one image
follow one another. ``trackcli train --data my-cache`` learns from the result.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from itertools import count, groupby
from pathlib import Path

from trackcli_cache.build import build_cache
from trackcli_cache.datasets import AnnotatedObject, SourceImage


class BoxTable:
    """A dataset is an object with a name, a root that all files lie under, and ``images()``."""

    name = "box-table"

    def __init__(self, table: Path, root: Path) -> None:
        self.table = table
        self.root = root.resolve()

    def images(self) -> Iterator[SourceImage]:
        """Yield the same images in the same order each time; nothing is decoded here."""
        track_ids = count()
        with self.table.open(newline="", encoding="utf-8") as lines:
            for number, (file, rows) in enumerate(groupby(csv.reader(lines), key=lambda row: row[0])):
                objects = tuple(read_object(row, next(track_ids)) for row in rows)
                yield SourceImage(self.root / file, self.root.name, number, objects, still=True)


def read_object(row: list[str], track_id: int) -> AnnotatedObject:
    """Boxes are half-open corners, in pixels of the image."""
    x, y, w, h = map(float, row[1:5])
    return AnnotatedObject((x, y, x + w, y + h), track_id, category=row[5])


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Make a crop cache from a table of boxes.")
    parser.add_argument("table", type=Path, help="file,x,y,w,h,category per line")
    parser.add_argument("images", type=Path, help="folder of the images")
    parser.add_argument("output", type=Path, help="folder of the cache")
    options = parser.parse_args()
    report = build_cache(BoxTable(options.table, options.images), options.output)
    records = sum(shard.records for shard in report.manifest.shards)
    print(f"{records} objects in {report.manifest.categories}, {report.manifest.skipped.count} left out")


if __name__ == "__main__":
    main()
