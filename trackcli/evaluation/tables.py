"""Evaluation results as tables for people."""

from __future__ import annotations

import math
from collections.abc import Sequence

from trackcli.evaluation.metrics import Score
from trackcli.evaluation.protocols import PROTOCOLS, Protocol
from trackcli.evaluation.runner import TrackerResult
from trackcli.evaluation.summaries import attribute_scores, difference_of, interval_of

OPE = PROTOCOLS["ope"]
_GAP = "  "
_UNKNOWN = "-"


def sequence_table(result: TrackerResult, protocol: Protocol = OPE) -> str:
    """One row per sequence, and the mean in the last two: its value, and its interval where there are several."""
    header = ("sequence", "frames", *(measure.label for measure in protocol.measures), "fps")
    rows = [[one.name, str(one.frames), *_cells(one.score, protocol, one.fps)] for one in result.sequences]
    if not result.scored:
        return format_table(
            header, [*rows, [f"all {len(rows)}", str(result.frames), *_cells(None, protocol, result.fps)]]
        )
    mean = [f"mean of {len(result.scored)}", str(result.frames), *_cells(result.score, protocol, result.fps)]
    table = format_table(header, [*rows, mean], rule_above_last=True)
    if len(result.scored) < 2:
        return table
    ranges = [f"{measure.label} {_range(result, measure.key)}" for measure in protocol.measures]
    return f"{table}\n95% of resampled means: {', '.join(ranges)}"


def tracker_table(results: Sequence[tuple[str, TrackerResult]], protocol: Protocol = OPE) -> str:
    """One row per tracker, the best first, with the interval of its mean and that of what it lacks to the best."""
    first = protocol.measures[0]
    ranked = sorted(results, key=lambda named: -first.read(named[1].score))
    best = ranked[0]
    header = ["tracker", *(measure.label for measure in protocol.measures), "fps"]
    with_intervals = len(best[1].scored) > 1
    if with_intervals:
        header += [f"95% of {first.label}", f"vs {best[0]}", "95% of it"]
    rows = []
    for label, result in ranked:
        row = [label, *_cells(result.score, protocol, result.fps)]
        if with_intervals:
            row += [_range(result, first.key), *_against(result, best[1], first.key)]
        rows.append(row)
    return format_table(header, rows)


def attribute_table(results: Sequence[tuple[str, TrackerResult]], protocol: Protocol = OPE) -> str:
    """One row per attribute, one column per tracker; empty if the dataset has no attributes."""
    first = protocol.measures[0]
    by_tracker = [(label, attribute_scores(result)) for label, result in results]
    counts = {
        attribute: sum(attribute in one.attributes for one in results[0][1].scored) for attribute in by_tracker[0][1]
    }
    if not counts:
        return ""
    rows = [
        [attribute, str(count), *(f"{first.read(scores[attribute]):.3f}" for _, scores in by_tracker)]
        for attribute, count in counts.items()
    ]
    return f"{first.label} by attribute\n" + format_table(
        ("attribute", "sequences", *(label for label, _ in by_tracker)), rows
    )


def format_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, rule_above_last: bool = False) -> str:
    """Align columns: the first to the left, the others, numbers, to the right. Each row stays on one line."""
    cells = [[as_cell(cell) for cell in row] for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [_format_row(row, widths) for row in cells]
    rule = "-" * (sum(widths) + len(_GAP) * (len(widths) - 1))
    lines.insert(1, rule)
    if rule_above_last:
        lines.insert(-1, rule)
    return "\n".join(lines)


def as_cell(text: str) -> str:
    """Text on one line, without control characters: a line break in a foreign name would look like another row."""
    return "".join(letter for letter in " ".join(text.splitlines()) if letter.isprintable())


def _format_row(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = cells
    aligned = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))]
    return _GAP.join(aligned)


def _cells(score: Score | None, protocol: Protocol, fps: float) -> list[str]:
    shares = [_UNKNOWN if score is None else f"{measure.read(score):.3f}" for measure in protocol.measures]
    return [*shares, f"{fps:.1f}" if math.isfinite(fps) else _UNKNOWN]


def _range(result: TrackerResult, key: str) -> str:
    interval = interval_of(result, key)
    return f"{interval.low:.3f}..{interval.high:.3f}"


def _against(result: TrackerResult, best: TrackerResult, key: str) -> tuple[str, str]:
    if result is best:
        return _UNKNOWN, _UNKNOWN
    mean, interval = difference_of(result, best, key)
    return f"{mean:+.3f}", f"{interval.low:+.3f}..{interval.high:+.3f}"
