"""``evaluation.json``: what the results in a folder are results of, so that a report finds the dataset again."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trackcli_cache.files import write_whole

from trackcli.errors import InputDataError
from trackcli.evaluation.ownership import is_other_data

MANIFEST_FILE = "evaluation.json"
FORMAT = 1
MAX_BYTES = 16 * 2**20
"""More is not read: the names of a million sequences take less."""


@dataclass(frozen=True)
class Manifest:
    """One dataset's part of a results folder, ``<output>/<dataset>/evaluation.json``.

    Attributes:
        dataset: Name of its layout.
        root: Its folder, absolute.
        split: Its split; ``None`` for the first.
        protocol: As in ``trackcli eval --protocol``.
        variant: As in ``trackcli eval --variant``.
        sequences: Names of all sequences that were asked for, in the dataset's order.
        elsewhere: Folders of results that were read and not copied, by tracker.
    """

    dataset: str
    root: Path
    split: str | None
    protocol: str
    variant: str
    sequences: tuple[str, ...]
    elsewhere: Mapping[str, Path] = field(default_factory=dict)

    def joined(self, earlier: Manifest, tracked: Collection[str] = ()) -> Manifest:
        """This evaluation together with what an earlier one left in the same folder.

        Sequences add up while both are of one split of one dataset, in one place unless the earlier place is gone;
        otherwise the earlier ones are not compared.

        Args:
            earlier: The earlier one.
            tracked: Names of the trackers that this one runs: what was elsewhere under these no longer counts.
        """
        if (earlier.dataset, earlier.split) != (self.dataset, self.split) or is_other_data(earlier.root, self.root):
            return self
        sequences = tuple(dict.fromkeys((*earlier.sequences, *self.sequences)))
        still = {label: path for label, path in earlier.elsewhere.items() if label not in tracked}
        elsewhere = {**still, **self.elsewhere}
        return Manifest(self.dataset, self.root, self.split, self.protocol, self.variant, sequences, elsewhere)


@contextmanager
def noted_evaluation(folder: Path, manifest: Manifest, tracked: Collection[str] = ()) -> Iterator[None]:
    """:func:`note_evaluation` for what the block evaluates: at its start, so that what is finished can be shown.

    If data turns out not to fit before there is any new result, the earlier note comes back: its results stand.
    """
    path = folder / MANIFEST_FILE
    before = None
    with suppress(OSError):
        before = path.read_bytes()
    note_evaluation(folder, manifest, tracked)
    results = _written(folder)
    try:
        yield
    except InputDataError:
        if before is not None and _written(folder) == results:
            write_whole(path, before)
        raise


def _written(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*.txt")}


def note_evaluation(folder: Path, manifest: Manifest, tracked: Collection[str] = ()) -> None:
    """Write down what is evaluated in ``<output>/<dataset>``, keeping what an earlier evaluation noted there.

    A note that cannot be read is replaced: it is no result.

    Args:
        folder: Of the results.
        manifest: What is evaluated.
        tracked: Names of the trackers that are run, not read.

    Raises:
        CacheError: if it cannot be written.
    """
    with suppress(InputDataError):
        manifest = manifest.joined(read_manifest(folder), tracked)
    content = {
        "format": FORMAT,
        "dataset": manifest.dataset,
        "root": str(manifest.root),
        "split": manifest.split,
        "protocol": manifest.protocol,
        "variant": manifest.variant,
        "sequences": list(manifest.sequences),
        "elsewhere": {label: str(path) for label, path in manifest.elsewhere.items()},
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / MANIFEST_FILE, (json.dumps(content, indent=1) + "\n").encode())


def read_manifest(folder: Path) -> Manifest:
    """Read the note in ``<output>/<dataset>``.

    Raises:
        InputDataError: if there is none, or it is not what ``trackcli eval`` writes.
    """
    path = folder / MANIFEST_FILE
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"larger than {MAX_BYTES // 2**20} MiB")
        return _parse(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise InputDataError(
            f"cannot read {path}: {error.strerror or error}; expected the note of trackcli eval -o"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputDataError(
            f"{path} is not a note of trackcli eval ({type(error).__name__}: {error}); "
            "run trackcli eval with the same -o again, or give --root"
        ) from error


def _parse(content: Any) -> Manifest:
    if content["format"] != FORMAT:
        raise ValueError(f"format {content['format']!r}, expected {FORMAT}")
    split = content["split"]
    return Manifest(
        dataset=_text(content["dataset"]),
        root=Path(_text(content["root"])),
        split=None if split is None else _text(split),
        protocol=_text(content["protocol"]),
        variant=_text(content["variant"]),
        sequences=_texts(content["sequences"]),
        elsewhere={_text(label): Path(_text(path)) for label, path in content["elsewhere"].items()},
    )


def _texts(values: Sequence[Any]) -> tuple[str, ...]:
    if not isinstance(values, list):
        raise TypeError("sequences are no list")
    return tuple(map(_text, values))


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value or "\0" in value:
        raise TypeError(f"{value!r} is no text")
    return value
