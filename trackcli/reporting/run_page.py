"""The page and the charts on a training run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from trackcli.reporting.charts import Axis, Chart, Line, LineChart, axis_over, thin_out
from trackcli.reporting.page import Cell, chart_figures, facts, folded, heading, paragraph, row_name, table, whole_page
from trackcli.reporting.run_record import RunRecord, Series
from trackcli.reporting.svg import text_of

POINTS = 160
"""Points of a curve: more than a chart can show."""

LOSS = "loss"
LOGARITHMIC_FROM = 30.0
"""Ratio of the largest to the smallest value."""

_COURSE_CHARTS = (
    ("rate", "Learning rate", "rate"),
    ("gradient_norm", "Gradient norm before clipping", "norm"),
    ("pairs_per_second", "Speed", "pairs per second"),
    ("waiting", "Waiting for data", "share of the time"),
)


def run_charts(run: RunRecord) -> list[Chart]:
    """Loss terms, validation, rate, gradient norm, speed and waiting, as far as the run noted them."""
    charts: list[Chart] = []
    if run.terms:
        charts.append(_chart(LOSS, "Loss terms", "weighted loss", run, run.terms))
    if run.validation:
        charts.append(_chart("validation", "Validation by tracking", "share", run, run.validation))
    for name, title, label in _COURSE_CHARTS:
        if name in run.course:
            charts.append(_chart(name, title, label, run, {label: run.course[name]}, noted=False))
    return charts


def run_page(run: RunRecord) -> str:
    """The page on one run."""
    title = f"Training run {run.folder.resolve().name}"
    parts = [heading(title, 1), facts(_facts(run))]
    if run.cut:
        parts.append(paragraph("The last line of the metrics was half written and is left out.", "warning"))
    parts += [heading("Curves"), chart_figures(run_charts(run))]
    if any(len(series.steps) > POINTS for series in run.terms.values()):
        parts.append(paragraph("Lines are means of neighbouring steps, bands their extremes.", "quiet"))
    parts += _validations(run)
    if run.recipe:
        recipe = f"<pre><code>{text_with_lines(json.dumps(run.recipe, indent=1))}</code></pre>"
        parts += [heading("Recipe"), folded("Every setting", f'<div class="table">{recipe}</div>')]
    return whole_page(title, parts)


def run_summary(run: RunRecord) -> dict[str, Any]:
    """The figures of a run for ``--json``."""
    return {
        "steps": run.last_step,
        "terms": {name: series.values[-1] for name, series in run.terms.items()},
        "validation": {name: series.values[-1] for name, series in run.validation.items()},
        "best": {
            name: {"value": value, "step": step}
            for name, series in run.validation.items()
            for value, step in [best_of(series)]
        },
    }


def best_of(series: Series) -> tuple[float, int]:
    """The highest value and its step, the first of several."""
    value = max(series.values)
    return value, series.steps[series.values.index(value)]


def text_with_lines(text: str) -> str:
    """Escaped text that keeps its line breaks."""
    return "\n".join(text_of(line) for line in text.splitlines())


def _chart(
    name: str, title: str, label: str, run: RunRecord, series: Mapping[str, Series], *, noted: bool = True
) -> LineChart:
    thinned = {key: thin_out(one.steps, one.values, POINTS) for key, one in series.items()}
    values = [value for _, _, edges in thinned.values() for edge in edges for value in edge]
    y = _loss_axis(label, values) if name == LOSS else axis_over(label, values)
    lines = []
    for style, (key, (xs, ys, edges)) in enumerate(thinned.items()):
        banded = len(series[key].steps) > POINTS
        low = tuple(edge[0] for edge in edges) if banded else ()
        high = tuple(edge[1] for edge in edges) if banded else ()
        note = f"{series[key].values[-1]:.3g}" if noted else ""
        lines.append(Line(key, tuple(xs), tuple(ys), style, note, low, high))
    return LineChart(name, title, Axis("step", 0.0, max(1.0, float(run.last_step))), y, tuple(lines))


def _loss_axis(label: str, values: Sequence[float]) -> Axis:
    """Logarithmic where the values span orders of magnitude, as a loss that begins high does."""
    logarithmic = min(values) > 0 and max(values) > LOGARITHMIC_FROM * min(values)
    return axis_over(f"{label} (logarithmic)" if logarithmic else label, values, logarithmic=logarithmic)


def _facts(run: RunRecord) -> Iterator[tuple[str, str]]:
    yield "folder", str(run.folder)
    recipe = run.recipe
    if recipe.get("preset"):
        yield "preset", str(recipe["preset"])
    for kind in ("backbone", "matcher", "head", "loss", "postprocessor", "sampler"):
        if names := _names(recipe.get(kind)):
            yield kind, names
    yield "steps", str(run.last_step)
    train = recipe.get("train")
    if isinstance(train, Mapping):
        if isinstance(train.get("batch"), int):
            yield "pairs", f"{run.last_step * train['batch']} ({train['batch']} per step)"
        if "seed" in train:
            yield "seed", str(train["seed"])
    for name, series in run.validation.items():
        value, step = best_of(series)
        yield f"best {name}", f"{value:.3f} at step {step}"


def _names(part: Any) -> str:
    """The names of one component, or of a list of them."""
    if isinstance(part, Mapping):
        return str(part.get("name", ""))
    if isinstance(part, list):
        return ", ".join(filter(None, map(_names, part)))
    return ""


def _validations(run: RunRecord) -> Iterator[str]:
    if not run.validation:
        return
    steps = sorted({step for series in run.validation.values() for step in series.steps})
    by_step = {name: dict(zip(series.steps, series.values, strict=True)) for name, series in run.validation.items()}
    tops = {name: max(series.values) for name, series in run.validation.items()}
    rows = []
    for step in steps:
        cells = []
        for name, values in by_step.items():
            value = values.get(step)
            cells.append(Cell("–") if value is None else Cell(f"{value:.3f}", best=value == tops[name]))
        rows.append((row_name(str(step)), cells))
    yield heading("Validation")
    yield table([Cell("step"), *(Cell(name) for name in by_step)], rows)
