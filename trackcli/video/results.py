"""Boxes on disk or on stdout, a frame at a time and in whole lines only, whatever happens next."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from trackcli.errors import TrackcliError, UsageError

if TYPE_CHECKING:
    from trackcli.tracking.run import TrackedFrame

RESULT_SUFFIXES = (".txt", ".csv", ".jsonl")
CSV_HEADER = "frame,time,target,x,y,w,h,score\n"

LineFormat = Callable[["TrackedFrame", Sequence[str]], str]


class ResultWriter:
    """Writes the lines of one frame in a single system call, so that a killed program leaves no half line.

    Args:
        descriptor: An open file descriptor; closed in the end only if ``owned``.
        name: What to call it in messages.
        names: One name per target, in the order of the boxes.
        format_frame: Makes the lines of a frame.
        header: Written at once.
        owned: Whether to close the descriptor.
    """

    def __init__(
        self,
        descriptor: int,
        name: str,
        names: Sequence[str],
        format_frame: LineFormat,
        *,
        header: str = "",
        owned: bool = True,
    ) -> None:
        self._descriptor = descriptor
        self._name = name
        self._names = tuple(names)
        self._format_frame = format_frame
        self._owned = owned
        self._whole_bytes = 0
        self._write_text(header)

    def write(self, frame: TrackedFrame) -> None:
        """Append the lines of one frame.

        Raises:
            TrackcliError: if the disk is full or the file went away.
            BrokenPipeError: if whoever read the output has stopped reading.
        """
        self._write_text(self._format_frame(frame, self._names))

    def _write_text(self, text: str) -> None:
        data = text.encode("utf-8")
        written = 0
        try:
            while written < len(data):
                written += os.write(self._descriptor, data[written:])
        except BrokenPipeError:
            raise
        except OSError as error:
            self._drop_half_lines()
            raise TrackcliError(
                f"writing to {self._name} failed: {error.strerror}; what came before is there; make room and run again"
            ) from error
        self._whole_bytes += len(data)

    def _drop_half_lines(self) -> None:
        """A disk that fills up takes the first part of a write; cut the file back to its last whole line."""
        if self._owned:
            with suppress(OSError):  # no file but a pipe, which cannot be cut
                os.ftruncate(self._descriptor, self._whole_bytes)

    def close(self) -> None:
        """Close the file, if it is this writer's own; closing twice is fine."""
        if self._owned:
            os.close(self._descriptor)
            self._owned = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def check_results_path(path: Path, target_count: int) -> None:
    """Refuse a file name that results cannot be written to, before anything is computed.

    Raises:
        UsageError: if the suffix is unknown, or ``.txt`` was asked for several targets.
    """
    suffix = path.suffix.lower()
    if suffix not in RESULT_SUFFIXES:
        raise UsageError(f"output '{path}' has an unknown suffix; expected one of {', '.join(RESULT_SUFFIXES)}")
    if suffix == ".txt" and target_count != 1:
        raise UsageError(f"output '{path}' holds one target, but {target_count} were given; use .csv or .jsonl")


def open_results(path: Path, names: Sequence[str]) -> ResultWriter:
    """Create (or empty) a file for results; its suffix chooses the format.

    ``.txt`` has one ``x,y,w,h`` per frame, from the first tracked frame on; ``.csv`` and ``.jsonl`` have a line per
    frame and target: frame, time in seconds, target, box, score. Boxes are x, y, w, h in pixels, top-left, 0-based.

    Args:
        path: Ends in ``.txt``, ``.csv`` or ``.jsonl``.
        names: One name per target.

    Raises:
        UsageError: see :func:`check_results_path`; also if the file cannot be created.
    """
    check_results_path(path, len(names))
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags, 0o666)
    except OSError as error:
        raise UsageError(
            f"output '{path}' cannot be written: {error.strerror}; choose a folder that exists and is writable"
        ) from error
    suffix = path.suffix.lower()
    header = CSV_HEADER if suffix == ".csv" else ""
    return ResultWriter(descriptor, f"'{path}'", names, _FORMATS[suffix], header=header)


def results_to(descriptor: int, names: Sequence[str]) -> ResultWriter:
    """Write CSV to a descriptor that stays open, such as stdout's."""
    return ResultWriter(descriptor, "stdout", names, _csv_lines, header=CSV_HEADER, owned=False)


def format_number(value: float, decimals: int = 3) -> str:
    """Write a number with at most that many decimals and no trailing zeros: ``12``, ``12.5``, ``0.333``."""
    text = f"{value:.{decimals}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _text_lines(frame: TrackedFrame, names: Sequence[str]) -> str:
    return "".join(",".join(map(format_number, box_xywh)) + "\n" for box_xywh in frame.boxes_xywh.tolist())


def _csv_lines(frame: TrackedFrame, names: Sequence[str]) -> str:
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    time = format_number(frame.time_s, 6)
    for name, box_xywh, score in zip(names, frame.boxes_xywh.tolist(), frame.scores.tolist(), strict=True):
        writer.writerow([frame.index, time, name, *map(format_number, box_xywh), format_number(score, 4)])
    return lines.getvalue()


def _json_lines(frame: TrackedFrame, names: Sequence[str]) -> str:
    return "".join(
        json.dumps(
            {
                "frame": frame.index,
                "time": round(frame.time_s, 6),
                "target": name,
                "box": [round(value, 3) for value in box_xywh],
                "score": round(score, 4) if math.isfinite(score) else None,  # JSON has no NaN
            },
            ensure_ascii=False,
        )
        + "\n"
        for name, box_xywh, score in zip(names, frame.boxes_xywh.tolist(), frame.scores.tolist(), strict=True)
    )


_FORMATS: dict[str, LineFormat] = {".txt": _text_lines, ".csv": _csv_lines, ".jsonl": _json_lines}
