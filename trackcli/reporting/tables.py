"""An evaluation's ranking as a table to paste into a text: Markdown or LaTeX."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from trackcli.evaluation.summaries import interval_of
from trackcli.evaluation.tables import as_cell
from trackcli.reporting.gather import Entrant, Evaluation

_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
    }
)
_UNKNOWN = "–"

Rows = Sequence[Sequence[str]]


def ranking_rows(evaluation: Evaluation, emphasise: Callable[[str], str]) -> list[list[str]]:
    """A heading and one row per tracker, best first; the best of each column goes through ``emphasise``."""
    measures = evaluation.protocol.measures
    several = len(evaluation.sequences) > 1
    interval_heading = ["95% interval"] if several else []
    rows = [["tracker", measures[0].label, *interval_heading, *(measure.label for measure in measures[1:]), "fps"]]
    tops = {measure.key: max(measure.read(one.result.score) for one in evaluation.entrants) for measure in measures}
    for entrant in evaluation.entrants:
        values = {measure.key: measure.read(entrant.result.score) for measure in measures}
        cells = [
            emphasise(f"{value:.3f}") if value == tops[key] and len(evaluation.entrants) > 1 else f"{value:.3f}"
            for key, value in values.items()
        ]
        interval = [_interval(entrant, measures[0].key)] if several else []
        fps = entrant.result.fps
        rows.append(
            [as_cell(entrant.label), cells[0], *interval, *cells[1:], f"{fps:.1f}" if math.isfinite(fps) else _UNKNOWN]
        )
    return rows


def markdown_table(evaluation: Evaluation) -> str:
    """The ranking as a GitHub-flavoured Markdown table; names are shown as they are."""
    rows = ranking_rows(evaluation, lambda text: f"**{text}**")
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    escaped = [rows[0], rule, *([_markdown(row[0]), *row[1:]] for row in rows[1:])]
    return "".join(f"| {' | '.join(_padded(row, widths))} |\n" for row in escaped)


def latex_table(evaluation: Evaluation) -> str:
    """The ranking as a LaTeX ``tabular`` with the rules of package ``booktabs``."""
    rows = ranking_rows(evaluation, lambda text: rf"\textbf{{{text}}}")
    columns = "l" + "r" * (len(rows[0]) - 1)
    lines = [
        "% needs \\usepackage{booktabs}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        _latex_row([cell.translate(_LATEX) for cell in rows[0]]),
        r"\midrule",
        *(_latex_row([row[0].translate(_LATEX), *(cell.replace("–", "--") for cell in row[1:])]) for row in rows[1:]),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


TABLES: Mapping[str, Callable[[Evaluation], str]] = MappingProxyType({"md": markdown_table, "tex": latex_table})
"""Formats by the word on the command line."""


def _interval(entrant: Entrant, key: str) -> str:
    interval = interval_of(entrant.result, key)
    return f"{interval.low:.3f}–{interval.high:.3f}"


def _markdown(text: str) -> str:
    return "".join(f"\\{letter}" if letter in "\\`*_{}[]<>#|~" else letter for letter in text)


def _padded(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"
