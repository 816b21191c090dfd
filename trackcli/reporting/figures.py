"""Draws charts as PNG and PDF files with matplotlib (extra ``report``)."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trackcli_cache.files import write_whole

from trackcli.errors import InputDataError, PluginError
from trackcli.reporting.charts import Axis, Chart, LineChart, RadarChart, ScatterChart, number_text
from trackcli.reporting.svg import shorten

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("png", "pdf")
PIXELS_PER_INCH = 160

# The page's bright palette, and its dashes, so that a tracker looks the same in all of a report.
_COLORS = ("#0b6bb5", "#cf4f00", "#00875f", "#b0519a", "#b98300", "#3aa3de", "#7a5a2b", "#5c6470")
_DASHES: tuple[Any, ...] = ("-", (0, (4, 2)), (0, (1, 1.5)), (0, (5, 2, 1, 2)))
_SIZE_INCHES = (5.2, 4.0)
_LEGEND_BELOW = 8
"""A legend with more entries than that goes below the plot."""


def check_matplotlib() -> None:
    """Refuse before any work is done.

    Raises:
        PluginError: if matplotlib is not installed.
    """
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise PluginError(
            f"PNG and PDF plots need matplotlib, which is not installed ({error}); pip install 'trackcli[report]', "
            "or do without: the HTML page needs nothing"
        ) from error


def save_figures(charts: Iterable[Chart], folder: Path, formats: Sequence[str] = FORMATS) -> list[Path]:
    """Write each chart as ``<folder>/<name>.png`` and ``.pdf``, replacing older ones.

    Raises:
        PluginError: if matplotlib is not installed.
        InputDataError: if the folder cannot be made.
        CacheError: if a file cannot be written.
    """
    check_matplotlib()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputDataError(f"cannot make {folder}: {error.strerror}; choose another folder with --plots") from error
    written = []
    for chart in charts:
        figure = draw_figure(chart)
        for file_format in formats:
            content = io.BytesIO()
            # No dates inside: the same results give the same bytes.
            dateless = {"CreationDate": None} if file_format == "pdf" else {}
            figure.savefig(content, format=file_format, dpi=PIXELS_PER_INCH, bbox_inches="tight", metadata=dateless)
            path = folder / f"{chart.name}.{file_format}"
            write_whole(path, content.getvalue())
            written.append(path)
    return written


def draw_figure(chart: Chart) -> Figure:
    """The chart with title and legend."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE_INCHES)
    axes: Any = figure.add_subplot(projection="polar" if isinstance(chart, RadarChart) else None)
    axes.set_title(_plain(chart.title))
    if isinstance(chart, LineChart):
        _draw_lines(axes, chart)
    elif isinstance(chart, ScatterChart):
        _draw_scatter(axes, chart)
    else:
        _draw_radar(axes, chart)
    return figure


def _draw_lines(axes: Any, chart: LineChart) -> None:
    _set_axes(axes, chart.x, chart.y)
    for rank, line in enumerate(chart.lines):
        label = " ".join(filter(None, (_plain(shorten(line.label)), _plain(line.note))))
        axes.plot(line.xs, line.ys, label=label, zorder=len(chart.lines) - rank + 2, **_look(line.style))
        if line.low:
            axes.fill_between(line.xs, line.low, line.high, color=_COLORS[line.style % len(_COLORS)], alpha=0.15, lw=0)
    if len(chart.lines) > _LEGEND_BELOW:
        axes.legend(fontsize=7, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.16))
    elif len(chart.lines) > 1 or chart.lines[0].note:
        axes.legend(fontsize=8, framealpha=0.85)


def _draw_scatter(axes: Any, chart: ScatterChart) -> None:
    _set_axes(axes, chart.x, chart.y)
    for point in chart.points:
        color = _COLORS[point.style % len(_COLORS)]
        if point.y_interval is not None:
            axes.vlines(point.x, *point.y_interval, color="#9aa1ab", lw=1)
        axes.plot([point.x], [point.y], "o", color=color, ms=7, mec="white")
        # Names at the right edge stand on the other side of their marks.
        side: dict[str, Any] = (
            {"xytext": (7, 4)} if chart.x.place(point.x) < 0.8 else {"xytext": (-7, 4), "ha": "right"}
        )
        axes.annotate(_plain(shorten(point.label)), (point.x, point.y), textcoords="offset points", fontsize=8, **side)


def _draw_radar(axes: Any, chart: RadarChart) -> None:
    angles = [2 * math.pi * index / len(chart.spokes) for index in range(len(chart.spokes))]
    axes.set_theta_offset(math.pi / 2)
    axes.set_theta_direction(-1)
    axes.set_ylim(0, chart.high)
    axes.set_xticks(angles, [_plain(shorten(spoke, 18)) for spoke in chart.spokes], fontsize=8)
    axes.tick_params(axis="y", labelsize=7)
    for outline in chart.outlines:
        label = f"{_plain(shorten(outline.label))} {outline.note}"
        closed = [*outline.values, outline.values[0]]
        axes.plot([*angles, angles[0]], closed, label=label, **_look(outline.style))
    axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.08, 1.05))


def _set_axes(axes: Any, x: Axis, y: Axis) -> None:
    axes.set_xlabel(_plain(x.label))
    axes.set_ylabel(_plain(y.label))
    for axis, set_scale, set_limits, set_ticks in (
        (x, axes.set_xscale, axes.set_xlim, axes.set_xticks),
        (y, axes.set_yscale, axes.set_ylim, axes.set_yticks),
    ):
        if axis.logarithmic:
            set_scale("log")
            set_ticks([], minor=True)
        ticks = axis.ticks()
        set_ticks(ticks, [number_text(tick) for tick in ticks])
        set_limits(axis.low, axis.high)
    axes.grid(color="#d9dde3", lw=0.7)
    axes.set_axisbelow(True)


def _look(style: int) -> dict[str, Any]:
    dashes = _DASHES[style // len(_COLORS) % len(_DASHES)]
    return {"color": _COLORS[style % len(_COLORS)], "ls": dashes, "lw": 1.7}


def _plain(text: str) -> str:
    """Names are no formulas to matplotlib, and have no control characters."""
    return "".join(character for character in text if character.isprintable()).replace("$", r"\$")
