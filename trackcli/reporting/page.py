"""The HTML shell of reports: one file without scripts and without anything from elsewhere, for screens of any width."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

from trackcli.reporting.charts import Chart, LineChart, RadarChart
from trackcli.reporting.svg import draw, swatch, text_of

GENERATOR = '<meta name="generator" content="trackcli report">'
"""Tells pages that may be overwritten from other people's files."""

# Nothing may be loaded or run, even if a name from outside should get past the escaping.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_STYLE_FILE = "page.css"


@dataclass(frozen=True)
class Cell:
    """One number in a table.

    Attributes:
        text: What it says.
        note: Smaller, after it.
        best: The best of its column.
        is_text: Aligned to the left, as words are.
    """

    text: str
    note: str = ""
    best: bool = False
    is_text: bool = False


def whole_page(title: str, parts: Iterable[str]) -> str:
    """A complete HTML document; ``title`` is plain text, ``parts`` are HTML."""
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"{GENERATOR}\n<title>{text_of(title)}</title>\n<style>{_style()}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


@cache
def _style() -> str:
    return resources.files(__package__).joinpath(_STYLE_FILE).read_text(encoding="utf-8")


def heading(text: str, level: int = 2) -> str:
    """``<h2>`` by default."""
    return f"<h{level}>{text_of(text)}</h{level}>"


def paragraph(text: str, kind: str = "") -> str:
    """Plain text as a paragraph; ``kind`` is ``quiet``, ``facts`` or ``warning``."""
    return f'<p class="{kind}">{text_of(text)}</p>' if kind else f"<p>{text_of(text)}</p>"


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Names and values, one pair per line."""
    return f'<dl class="facts">{"".join(f"<dt>{text_of(k)}</dt><dd>{text_of(v)}</dd>" for k, v in pairs)}</dl>'


def chart_figures(charts: Iterable[Chart]) -> str:
    """Charts with title and legend, side by side where there is room."""
    return f'<div class="charts">{"".join(map(_chart_figure, charts))}</div>'


def table(header: Sequence[Cell], rows: Iterable[tuple[str, Sequence[Cell]]]) -> str:
    """A table that scrolls by itself where it is wider than the screen.

    Args:
        header: Names of all columns.
        rows: The first cell of each as HTML (see :func:`row_name`), and the others.
    """
    head = "".join(f'<th scope="col"{_class_of(cell)}>{text_of(cell.text)}</th>' for cell in header)
    body = "".join(f'<tr><th scope="row">{name}</th>{"".join(map(_cell, cells))}</tr>' for name, cells in rows)
    return f'<div class="table"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def row_name(text: str, style: int | None = None) -> str:
    """A row's first cell: plain text, with the colour of a series before it."""
    if style is None:
        return f'<span title="{text_of(text)}">{text_of(text)}</span>'
    return f'<span class="inline">{swatch(style)}<span title="{text_of(text)}">{text_of(text)}</span></span>'


def folded(summary: str, content: str, *, opened: bool = False) -> str:
    """Content that opens on a click; ``summary`` is plain text."""
    return f"<details{' open' if opened else ''}><summary>{text_of(summary)}</summary>{content}</details>"


def _cell(cell: Cell) -> str:
    note = f" <small>{text_of(cell.note)}</small>" if cell.note else ""
    return f"<td{_class_of(cell)}>{text_of(cell.text)}{note}</td>"


def _class_of(cell: Cell) -> str:
    names = " ".join(name for name, on in (("best", cell.best), ("text", cell.is_text)) if on)
    return f' class="{names}"' if names else ""


def _chart_figure(chart: Chart) -> str:
    return f"<figure>{heading(chart.title, 3)}{draw(chart)}{_legend(chart)}</figure>"


def _legend(chart: Chart) -> str:
    if isinstance(chart, LineChart):
        entries = [(line.label, line.note, line.style) for line in chart.lines]
    elif isinstance(chart, RadarChart):
        entries = [(outline.label, outline.note, outline.style) for outline in chart.outlines]
    else:
        return ""  # its marks are labelled where they are
    items = "".join(
        f"<li>{swatch(style)}<span>{text_of(label)}{f' <b>{text_of(note)}</b>' if note else ''}</span></li>"
        for label, note, style in entries
    )
    return f'<ol class="legend">{items}</ol>'
