"""Who may write into a cache's folder: one builder, or several that build different parts of the same cache."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from trackcli_cache.errors import CacheError, CacheFormatError
from trackcli_cache.files import LOCK_NAME, PART_SUFFIX, only_writer, write_whole
from trackcli_cache.manifest import BUILDING_NAME, MANIFEST_NAME, Manifest, read_json, read_manifest
from trackcli_cache.parts import PART_LOCK_PATTERN, PART_PATTERN, Part, part_of_name
from trackcli_cache.survey import Survey

PATIENCE_SECONDS = 30
"""How long a job waits for another that is just entering or leaving the same folder."""

_SHARD_NUMBER = re.compile(r"shard-([0-9]+)\.h5.*")


@contextmanager
def claim_folder(output: Path, survey: Survey, part: Part, *, force: bool) -> Iterator[Manifest | None]:
    """Hold the right to build a part in a folder, and clear what a killed builder left half-written there.

    Gives the cache's manifest if it is finished already.

    Args:
        output: The folder; made if missing.
        survey: What will be built.
        part: 1/1 for all of it; then nobody else may build there.
        force: Remove another cache first. Files that are no cache are never removed.

    Raises:
        CacheFormatError: if the folder holds another cache or other files.
        CacheError: if another process builds the same part, or the folder cannot be written.
    """
    refuse_foreign_folder(output)
    alone = part.of == 1
    with ExitStack() as held:
        with ExitStack() as entering:
            (held if alone else entering).enter_context(only_writer(output, wait=0 if alone else PATIENCE_SECONDS))
            _refuse_running(output, besides=None if alone else part.of)
            if not alone:
                held.enter_context(_part_lock(output, part))
            if force:
                _make_room(output, survey, part)
            finished = _finished_manifest(output, survey)
            if finished is None:
                _mark(output, survey)
        if finished is None:
            remove_leftovers(output, survey, part)
        yield finished


def refuse_foreign_folder(output: Path) -> None:
    """Make sure that a folder is empty, missing, or a cache.

    Raises:
        CacheFormatError: if it holds something else.
    """
    if not output.exists():
        return
    if not output.is_dir():
        raise CacheFormatError(f"{output} is a file; expected a folder for the cache")
    own = {path.name for path in _own_files(output)}
    marked = MANIFEST_NAME in own or any(name.startswith(BUILDING_NAME) for name in own)  # or half of it
    others = sorted(path.name for path in output.iterdir() if path.name != LOCK_NAME and path.suffix != ".lock")
    if others and not marked:
        raise CacheFormatError(f"{output} holds other files ({others[0]}, …) and no cache; choose an empty --output")


def remove_leftovers(output: Path, survey: Survey, part: Part) -> None:
    """Remove half-written files, as far as they belong to this part: others may be at work on theirs."""
    mine = part.shards(survey.shards)
    for path in _own_files(output):
        if not path.name.endswith(PART_SUFFIX):
            continue
        number = _SHARD_NUMBER.fullmatch(path.name)
        if part.of == 1 or (int(number[1]) in mine if number else path.name.startswith(part.name)):
            path.unlink(missing_ok=True)


def remove_cache(output: Path) -> None:
    """Remove the files of a cache, and no other; those that mark the folder as a cache last, should it be killed."""
    for path in reversed(list(_own_files(output))):
        path.unlink(missing_ok=True)


def another_cache(output: Path, which: str) -> CacheFormatError:
    """The error about a folder that is taken."""
    return CacheFormatError(
        f"{output} holds another cache {which}: its images, boxes, crop sizes (--template-size, "
        "--search-size), --codec or --limit differ; "
        "choose another --output, or replace it with --force"
    )


def _refuse_running(output: Path, *, besides: int | None) -> None:
    """Whoever divides the build differently would write the same shards."""
    for path in sorted(output.glob(PART_LOCK_PATTERN)):
        part = part_of_name(path.name)
        if part is not None and part.of != besides:
            with _part_lock(output, part):
                pass


@contextmanager
def _part_lock(output: Path, part: Part) -> Iterator[None]:
    with ExitStack() as held:
        try:
            held.enter_context(only_writer(output, name=part.lock_name))
        except CacheError as error:
            raise CacheError(f"{error} (it builds part {part})") from error
        yield


def _make_room(output: Path, survey: Survey, part: Part) -> None:
    if part.of == 1:
        remove_cache(output)
        return
    if _build_ids(output) - {survey.build_id}:
        for path in sorted(output.glob(PART_LOCK_PATTERN)):
            other = part_of_name(path.name)
            if other is not None and other != part:
                with _part_lock(output, other):
                    pass
        remove_cache(output)
        return
    for name in (MANIFEST_NAME, part.name, *(f"shard-{number:05d}.h5" for number in part.shards(survey.shards))):
        (output / name).unlink(missing_ok=True)


def _build_ids(output: Path) -> set[object]:
    """What the folder's files say it is; something unreadable counts as another cache."""
    found: set[object] = set()
    for name in (MANIFEST_NAME, BUILDING_NAME):
        if (output / name).exists():
            try:
                content: Any = read_json(output / name, missing="")
            except CacheFormatError:
                content = None
            found.add(content.get("build_id") if isinstance(content, dict) else None)
    return found


def _finished_manifest(output: Path, survey: Survey) -> Manifest | None:
    """The manifest of this very cache if it and all its shards are there."""
    if not (output / MANIFEST_NAME).exists():
        return None
    try:
        manifest = read_manifest(output)
    except CacheFormatError as error:
        problem = str(error).removesuffix("; build the cache again")
        raise CacheFormatError(f"{problem}; choose another --output, or replace it with --force") from error
    if manifest.build_id != survey.build_id:
        raise another_cache(output, f"of {manifest.dataset} {manifest.root}")
    whole = all(_size(output / shard.name) == shard.size_bytes for shard in manifest.shards)
    return manifest if whole else None


def _mark(output: Path, survey: Survey) -> None:
    """Say that the folder is being built from this survey."""
    path = output / BUILDING_NAME
    if path.exists():
        content: Any = read_json(path, missing="is no cache")
        if not isinstance(content, dict) or content.get("build_id") != survey.build_id:
            raise another_cache(output, "that is half-built")
        return
    write_whole(path, json.dumps({"build_id": survey.build_id}).encode())


def _own_files(output: Path) -> Iterator[Path]:
    for pattern in (MANIFEST_NAME, BUILDING_NAME, PART_PATTERN, "shard-*.h5"):
        yield from sorted(output.glob(pattern))
        yield from sorted(output.glob(f"{pattern}*{PART_SUFFIX}"))


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else -1
