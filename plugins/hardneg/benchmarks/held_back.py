"""A crop cache of the images that ``benchmarks/dev_set.py`` held back, for ``trackcli look-alikes``.

Usage::

    python plugins/hardneg/benchmarks/held_back.py --data DATA --split OUT/split.json -o HELD

``DATA`` holds ``train/images/<collection>``; writes ``HELD/images`` and ``HELD/cache``.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

from trackcli_cache.build import build_cache
from trackcli_cache.folder import FolderDataset
from trackcli_cache.sequences import IMAGE_FOLDER
from trackcli_cache.stills import BOXES


def main() -> None:
    """Copy what was held back, with its boxes; build the cache."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds train/images")
    parser.add_argument("--split", type=Path, required=True, help="split.json of dev_set.py")
    parser.add_argument("-o", "--output", type=Path, required=True, help="where to write")
    arguments = parser.parse_args()
    held = json.loads(arguments.split.read_text(encoding="utf-8"))["images"]
    count = copy_held(arguments.data / "train" / "images", held, arguments.output / "images")
    report = build_cache(FolderDataset(arguments.output / "images"), arguments.output / "cache")
    print(f"{count} images, {report.manifest.records} objects in {arguments.output / 'cache'}")


def copy_held(images: Path, held: list[str], output: Path) -> int:
    """Copy images named ``<collection>/<file>`` and their rows of ``boxes.json``.

    Returns:
        How many have boxes.
    """
    count = 0
    for collection in sorted({name.partition("/")[0] for name in held}):
        boxes = json.loads((images / collection / BOXES).read_text(encoding="utf-8"))
        files = [name.partition("/")[2] for name in held if name.startswith(f"{collection}/")]
        kept = {file: boxes[file] for file in files if boxes.get(file)}
        if not kept:
            continue
        folder = output / collection / IMAGE_FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        for file in kept:
            shutil.copyfile(images / collection / IMAGE_FOLDER / file, folder / file)
        (output / collection / BOXES).write_text(json.dumps(kept), encoding="utf-8")
        count += len(kept)
    return count


if __name__ == "__main__":
    main()
