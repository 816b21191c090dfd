"""Archives for the servers of GOT-10k and TrackingNet, which answer a wrong one with silence or with zeros.

The rules come from the servers' published code and from what their maintainers answered to rejected submissions:
GOT-10k refuses spaces between numbers; TrackingNet counts a sequence as lost if it is not found exactly once.
"""

from __future__ import annotations

import io
import math
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from trackcli_cache.files import write_whole
from trackcli_cache.numerals import to_float

from trackcli.errors import InputDataError, UsageError
from trackcli.evaluation.datasets import SequenceSet
from trackcli.evaluation.results import BOX_COLUMNS, Floats, ResultStore

_TEST_SPLIT = "test"
_MAX_MEMBERS = 10_000
_MAX_BYTES = 64 * 2**20  # of all files together, unpacked; the results of either test set take a tenth of it
_MAX_REPETITIONS = 3
_SHOWN_PROBLEMS = 5
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same results make the same archive
_REPEATED_FILE = re.compile(r"_([0-9]{3})\.txt")


@dataclass(frozen=True)
class Server:
    """What a server expects.

    Attributes:
        name: As on the command line; also the dataset's.
        sequences: How many there are in its test set.
        folders: Whether each sequence has a folder of its own, with numbered repetitions and times; otherwise all files
            lie at the top.
    """

    name: str
    sequences: int
    folders: bool


SERVERS: Mapping[str, Server] = MappingProxyType(
    {server.name: server for server in (Server("got10k", 180, folders=True), Server("trackingnet", 511, folders=False))}
)
"""By name."""


def write_submission(server: Server, store: ResultStore, sequences: SequenceSet, path: Path) -> None:
    """Pack a tracker's results, and check what was packed.

    Args:
        server: For whom.
        store: The results.
        sequences: The whole test set.
        path: The archive to write, ``.zip``.

    Raises:
        UsageError: if the archive's name is no ``.zip``, or the test set is not whole.
        InputDataError: if a result is missing or breaks a rule; the message names file and line.
        CacheError: if the archive cannot be written.
    """
    check_request(server, sequences, path)
    lengths: dict[str, int] = {}
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for sequence in sequences:
            lengths[sequence.name] = len(sequence)
            for name, text in _members(server, store, sequence.name, sequence.boxes_xywh[0], len(sequence)).items():
                archive.writestr(zipfile.ZipInfo(name, _EPOCH), text, zipfile.ZIP_DEFLATED)
    problems = check_submission(server, content, lengths)
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise InputDataError(
            f"the results in {store.folder} would be rejected: {problems[0]}{more}; nothing was written"
        )
    write_whole(path, content.getvalue())


def check_test_set(server: Server, dataset: str, split: str | None) -> None:
    """Refuse data of which the server has no truth, were it as many sequences.

    Args:
        server: For whom.
        dataset: Name of the layout, or ``distribution:name``.
        split: The split that is tracked.

    Raises:
        UsageError: if it is not the test split of the server's dataset.
    """
    if (dataset.rpartition(":")[2], split) != (server.name, _TEST_SPLIT):
        raise UsageError(
            f"--submit {server.name} was given dataset {dataset}, split {split or 'none'}; expected {server.name}, "
            f"split {_TEST_SPLIT}; leave out --dataset and --split"
        )


def check_request(server: Server, sequences: SequenceSet, path: Path) -> None:
    """Refuse what cannot become a valid archive before any time is spent on tracking.

    Raises:
        UsageError: if the archive's name is no ``.zip``, or the test set is not whole.
    """
    if path.suffix.lower() != ".zip":
        raise UsageError(f"--output {path} is no archive; expected a name that ends in .zip for --submit {server.name}")
    if len(sequences) != server.sequences:
        raise UsageError(
            f"--submit {server.name} was given {len(sequences)} sequences; expected all {server.sequences} of the test "
            "set, as the server takes a missing one for a failure; check --root, --split and --sequences"
        )


def check_submission(server: Server, archive: Path | io.BytesIO, lengths: Mapping[str, int]) -> list[str]:
    """Everything about an archive that its server would reject or count as a failure; empty if nothing.

    Args:
        server: For whom.
        archive: The archive, as a file or in memory.
        lengths: Frames of each sequence of the test set.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [member for member in opened.infolist() if not member.is_dir()]
            if len(members) > _MAX_MEMBERS or sum(member.file_size for member in members) > _MAX_BYTES:
                return [
                    f"it is too large; expected at most {_MAX_MEMBERS} files, unpacked {_MAX_BYTES // 2**20} MiB in all"
                ]
            texts = {member.filename: opened.read(member) for member in members}
    except (OSError, zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError) as error:
        return [f"it cannot be opened as a zip archive ({error})"]
    counts = Counter(member.filename for member in members)
    repeated = [f"{name} is in it {count} times" for name, count in counts.items() if count > 1]
    checker = _check_folders if server.folders else _check_flat
    return repeated + checker(texts, lengths)


def _members(server: Server, store: ResultStore, name: str, first_box: Floats, frames: int) -> dict[str, str]:
    if not store.has(name):
        raise InputDataError(f"{store.boxes_path(name)} is missing; expected results of all sequences")
    repetitions = min(store.repetitions(name), _MAX_REPETITIONS) if server.folders else 1
    runs = [store.read_from(name, first_box, frames, index) for index in range(repetitions)]
    if not server.folders:
        return {f"{name}.txt": _lines(runs[0].boxes_xywh)}
    texts = {f"{name}/{name}_{index:03d}.txt": _lines(run.boxes_xywh) for index, run in enumerate(runs, start=1)}
    times = "".join(
        ",".join(f"{value:.8f}" for value in row) + "\n" for row in np.stack([run.seconds for run in runs], 1)
    )
    return {**texts, f"{name}/{name}_time.txt": times}


def _lines(boxes_xywh: Floats) -> str:
    """Fixed decimals, as servers may not read 1e-07; a ten-thousandth of a pixel changes no score."""
    return "".join(",".join(f"{value:.4f}" for value in row) + "\n" for row in boxes_xywh)


def _check_flat(texts: Mapping[str, bytes], lengths: Mapping[str, int]) -> list[str]:
    problems = [f"{name} lies in a folder; expected all files at the top" for name in texts if "/" in name]
    expected = {f"{sequence}.txt": frames for sequence, frames in lengths.items()}
    problems += [f"{name} is missing" for name in expected if name not in texts]
    problems += [f"{name} is no result of a sequence" for name in texts if "/" not in name and name not in expected]
    for name, frames in expected.items():
        if name in texts:
            problems += _check_boxes(name, texts[name], frames)
    return problems


def _check_folders(texts: Mapping[str, bytes], lengths: Mapping[str, int]) -> list[str]:
    problems: list[str] = []
    by_sequence: dict[str, dict[str, bytes]] = {sequence: {} for sequence in lengths}
    for name, text in texts.items():
        parts = name.split("/")  # as it is written: a server may not take ./ and // away
        if len(parts) != 2 or parts[0] not in by_sequence:
            problems.append(f"{name} lies in the wrong place; expected <sequence>/<sequence>_001.txt")
        else:
            by_sequence[parts[0]][parts[1]] = text
    for sequence, files in by_sequence.items():
        problems += _check_sequence(sequence, files, lengths[sequence])
    return problems


def _check_sequence(sequence: str, files: Mapping[str, bytes], frames: int) -> list[str]:
    """A folder of GOT-10k: ``_001.txt`` and perhaps ``_002.txt``, ``_003.txt``, and ``_time.txt``."""
    problems: list[str] = []
    numbered: dict[int, bytes] = {}
    times_name = f"{sequence}_time.txt"
    for name, text in files.items():
        repeated = _REPEATED_FILE.fullmatch(name, len(sequence)) if name.startswith(sequence) else None
        if repeated is not None:
            numbered[int(repeated[1])] = text
        elif name != times_name:
            problems.append(f"{sequence}/{name} is not expected there")
    if sorted(numbered) != list(range(1, len(numbered) + 1)) or not 1 <= len(numbered) <= _MAX_REPETITIONS:
        given = ", ".join(f"_{number:03d}" for number in sorted(numbered)) or "none"
        problems.append(f"{sequence} has the repetitions {given}; expected _001, and perhaps _002 and _003")
    for number, text in sorted(numbered.items()):
        problems += _check_boxes(f"{sequence}/{sequence}_{number:03d}.txt", text, frames)
    if times_name not in files:
        return [*problems, f"{sequence}/{times_name} is missing"]
    return problems + _check_times(f"{sequence}/{times_name}", files[times_name], frames, len(numbered) or 1)


def _check_boxes(name: str, text: bytes, frames: int) -> list[str]:
    lines, problems = _decode(name, text, frames)
    for number, line in enumerate(lines, start=1):
        numbers = _numbers(line)
        if len(numbers) != len(BOX_COLUMNS):
            problems.append(f"{name}, line {number}: {line[:60]!r}; expected x,y,w,h separated by commas")
        elif not all(map(math.isfinite, numbers)):
            problems.append(f"{name}, line {number}: {line[:60]!r} is not finite; expected a box for each frame")
        elif min(numbers[2:]) <= 0:
            problems.append(f"{name}, line {number}: {line[:60]!r} has no width or height")
    return problems[:_SHOWN_PROBLEMS]


def _check_times(name: str, text: bytes, frames: int, repetitions: int) -> list[str]:
    lines, problems = _decode(name, text, frames)
    for number, line in enumerate(lines, start=1):
        numbers = _numbers(line)
        if len(numbers) != repetitions or not all(math.isfinite(value) and value >= 0 for value in numbers):
            problems.append(
                f"{name}, line {number}: {line[:60]!r}; expected seconds separated by commas, one per repetition "
                f"({repetitions})"
            )
    return problems[:_SHOWN_PROBLEMS]


def _decode(name: str, text: bytes, frames: int) -> tuple[list[str], list[str]]:
    """The lines of a file, if there are as many as frames; and what is wrong with it."""
    if not text.isascii():
        return [], [f"{name} is no plain text"]
    content = text.decode("ascii").removesuffix("\n")
    count = content.count("\n") + 1 if content else 0
    if count != frames:
        return [], [f"{name} has {count} lines for {frames} frames"]
    return [line.removesuffix("\r") for line in content.split("\n")], []


def _numbers(line: str) -> list[float]:
    """Numbers between commas; none if the line has anything else in it, spaces included."""
    words = line.split(",")
    try:
        return [] if any(word != word.strip() for word in words) else [to_float(word) for word in words]
    except ValueError:
        return []
