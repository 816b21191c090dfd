"""The page on an evaluation."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from trackcli.evaluation.bootstrap import CONFIDENCE, RESAMPLES
from trackcli.evaluation.metrics import Floats, Score
from trackcli.evaluation.protocols import MEASURES, Measure
from trackcli.evaluation.summaries import attribute_scores, difference_of, interval_of
from trackcli.reporting.evaluation_charts import MOST_LINES, evaluation_charts
from trackcli.reporting.gather import Entrant, Evaluation
from trackcli.reporting.page import (
    Cell,
    chart_figures,
    facts,
    folded,
    heading,
    paragraph,
    row_name,
    table,
    whole_page,
)
from trackcli.reporting.published import PUBLISHED, Published, published_on
from trackcli.reporting.svg import color_of, text_of
from trackcli.reporting.worst import WorstFrame, worst_frames

PICTURES = 12
OPEN_ROWS = 30
"""Longer tables of sequences begin folded."""

_LABELS = {measure.key: measure.label for measure in MEASURES} | {"mean_overlap": "AO", "success_auc": "success"}


def evaluation_page(evaluations: Sequence[Evaluation], *, pictures: int = PICTURES) -> str:
    """One page on one or several datasets.

    Args:
        evaluations: One per dataset.
        pictures: How many worst frames to show per dataset.
    """
    names = ", ".join(evaluation.manifest.dataset for evaluation in evaluations)
    title = f"Evaluation on {names}"
    parts = [heading(title, 1)]
    for evaluation in evaluations:
        parts += _sections(evaluation, pictures, named=len(evaluations) > 1)
    parts += _explanations()
    return whole_page(title, parts)


def _sections(evaluation: Evaluation, pictures: int, *, named: bool) -> Iterator[str]:
    manifest = evaluation.manifest
    if named:
        yield heading(manifest.dataset)
    frames = evaluation.entrants[0].result.frames
    split = f", split {manifest.split}" if manifest.split else ""
    counted = (
        f"{len(evaluation.sequences)} sequences, {frames} frames{split}; frames counted as by {evaluation.variant.name}"
    )
    yield paragraph(f"{len(evaluation.entrants)} trackers on {counted}.", "facts")
    for note in evaluation.notes:
        yield paragraph(note, "warning")
    yield heading("Ranking")
    yield _ranking(evaluation)
    yield heading("Plots")
    if len(evaluation.entrants) > MOST_LINES:
        yield paragraph(f"The plots show the best {MOST_LINES} of {len(evaluation.entrants)} trackers.", "quiet")
    yield chart_figures(evaluation_charts(evaluation))
    yield from _attributes(evaluation)
    yield heading("Sequences")
    yield folded(
        f"{evaluation.first.label} on each of {len(evaluation.sequences)} sequences",
        _by_sequence(evaluation),
        opened=len(evaluation.sequences) <= OPEN_ROWS,
    )
    yield from _failures(evaluation, pictures)
    yield from _published(evaluation)


def _ranking(evaluation: Evaluation) -> str:
    several = len(evaluation.sequences) > 1
    measures, best = evaluation.protocol.measures, evaluation.entrants[0]
    header = [Cell("tracker"), *(Cell(measure.label) for measure in measures), Cell("fps")]
    if several:
        header.insert(2, Cell(f"{CONFIDENCE:.0%} interval"))
        header.append(Cell(f"{measures[0].label} against {best.label}", is_text=True))
    tops = {measure.key: _top(evaluation.entrants, measure) for measure in measures}
    rows = []
    for entrant in evaluation.entrants:
        cells = [_measure_cell(entrant, measure, tops[measure.key]) for measure in measures]
        cells.append(Cell(f"{entrant.result.fps:.1f}" if math.isfinite(entrant.result.fps) else "–"))
        if several:
            cells.insert(1, Cell(_interval(entrant, measures[0])))
            cells.append(_against(entrant, best, measures[0]))
        rows.append((row_name(entrant.label, entrant.style), cells))
    return table(header, rows)


def _measure_cell(entrant: Entrant, measure: Measure, top: float) -> Cell:
    value = measure.read(entrant.result.score)
    return Cell(f"{value:.3f}", best=value == top)


def _top(entrants: Sequence[Entrant], measure: Measure) -> float:
    return max(measure.read(entrant.result.score) for entrant in entrants)


def _interval(entrant: Entrant, measure: Measure) -> str:
    interval = interval_of(entrant.result, measure.key)
    return f"{interval.low:.3f} – {interval.high:.3f}"


def _against(entrant: Entrant, best: Entrant, measure: Measure) -> Cell:
    if entrant is best:
        return Cell("", is_text=True)
    difference, interval = difference_of(entrant.result, best.result, measure.key)
    verdict = "behind" if interval.excludes_zero else "may be chance"
    return Cell(f"{difference:+.3f}", f"{interval.low:+.3f} … {interval.high:+.3f}, {verdict}", is_text=True)


def _attributes(evaluation: Evaluation) -> Iterator[str]:
    by_tracker = [attribute_scores(entrant.result) for entrant in evaluation.entrants]
    if not by_tracker[0]:
        return
    first = evaluation.first
    scored = evaluation.entrants[0].result.scored
    header = [Cell("attribute"), Cell("sequences"), *(Cell(entrant.label) for entrant in evaluation.entrants)]
    rows = []
    for attribute in by_tracker[0]:
        values = [first.read(scores[attribute]) for scores in by_tracker]
        count = sum(attribute in one.attributes for one in scored)
        cells = [Cell(f"{value:.3f}", best=value == max(values)) for value in values]
        rows.append((row_name(attribute), [Cell(str(count)), *cells]))
    yield heading("Attributes")
    yield table(header, rows)


def _by_sequence(evaluation: Evaluation) -> str:
    header = [Cell("sequence"), Cell("frames"), *(Cell(entrant.label) for entrant in evaluation.entrants)]
    columns = [
        [_value(one.score, evaluation.first) for one in entrant.result.sequences] for entrant in evaluation.entrants
    ]
    rows = []
    for index, one in enumerate(evaluation.entrants[0].result.sequences):
        values = [column[index] for column in columns]
        cells = [Cell(f"{value:.3f}", best=value == max(values)) for value in values]
        rows.append((row_name(one.name), [Cell(str(one.frames)), *cells]))
    return table(header, rows)


def _value(score: Score | None, measure: Measure) -> float:
    return math.nan if score is None else measure.read(score)


def _failures(evaluation: Evaluation, pictures: int) -> Iterator[str]:
    worst = worst_frames(evaluation, pictures) if pictures else []
    if not worst:
        return
    best = evaluation.entrants[0].label
    yield heading("Worst frames")
    yield paragraph(
        f"The sequences in which {best} scores lowest, each in the frame where it is farthest from the truth (dashed). "
        "Numbers are overlaps.",
        "quiet",
    )
    yield f'<div class="gallery">{"".join(_picture(frame, evaluation.first) for frame in worst)}</div>'


def _picture(worst: WorstFrame, measure: Measure) -> str:
    width, height = worst.size_wh
    image = (
        f'<image width="{width}" height="{height}" href="data:image/jpeg;base64,{worst.jpeg}"/>' if worst.jpeg else ""
    )
    boxes = "".join(
        _rectangle(answer.box_xywh, f'stroke="{color_of(answer.style)}"', f"{answer.label} {answer.overlap:.2f}")
        for answer in reversed(worst.answers)
    )
    truth = _rectangle(worst.truth_xywh, 'class="truth"', "ground truth")
    names = " · ".join(
        f'<span style="color:{color_of(answer.style)}">■</span> {text_of(answer.label)} {answer.overlap:.2f}'
        for answer in worst.answers[:MOST_LINES]
    )
    missing = "" if worst.jpeg else " (image not found)"
    where = f"<b>{text_of(worst.sequence)}</b> frame {worst.frame} of {worst.frames}{missing}"
    caption = f"{where}, {text_of(measure.label)} {worst.score:.3f}"
    label = text_of(f"{worst.sequence}, frame {worst.frame}")
    return (
        f'<figure><svg viewBox="0 0 {width} {height}" role="img" aria-label="{label}">{image}{boxes}{truth}</svg>'
        f"<figcaption>{caption}<br>{names}</figcaption></figure>"
    )


def _rectangle(box_xywh: Floats, look: str, title: str) -> str:
    x, y, width, height = (float(value) for value in box_xywh)
    if not all(map(math.isfinite, (x, y, width, height))) or width <= 0 or height <= 0:
        return ""
    place = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
    return f'<rect class="halo" {place}/><rect {place} {look}><title>{text_of(title)}</title></rect>'


def _published(evaluation: Evaluation) -> Iterator[str]:
    """What the papers report, beside what the best tracker here measured; all their numbers where none compares."""
    numbers = published_on(evaluation.manifest.dataset.rpartition(":")[2])
    yield heading("Published numbers")
    if numbers:
        yield paragraph(
            "As the papers print them, from other training data and other evaluation code; compare with care.", "quiet"
        )
        yield _published_table(numbers, evaluation)
        return
    yield paragraph(f"The papers behind the plugins report nothing on {evaluation.manifest.dataset}.", "quiet")
    yield folded("What they report on other datasets", _published_table(PUBLISHED, None))


def _published_table(numbers: Sequence[Published], evaluation: Evaluation | None) -> str:
    header = [Cell("paper"), Cell("dataset", is_text=True), Cell("measure", is_text=True), Cell("published")]
    if evaluation is not None:
        header += [Cell(f"here: {entrant.label}") for entrant in evaluation.entrants]
    rows = []
    for number in numbers:
        cells = [
            Cell(number.dataset, is_text=True),
            Cell(_LABELS.get(number.measure, number.measure), is_text=True),
            Cell(f"{number.value:.3f}", number.place),
        ]
        if evaluation is not None:
            cells += [Cell(_measured(entrant, number.measure)) for entrant in evaluation.entrants]
        rows.append((row_name(number.paper), cells))
    return table(header, rows)


def _measured(entrant: Entrant, key: str) -> str:
    readers: dict[str, Callable[..., float]] = {measure.key: measure.read for measure in MEASURES}
    return f"{readers[key](entrant.result.score):.3f}" if key in readers else "–"


def _explanations() -> Iterator[str]:
    yield heading("How to read this")
    yield facts(
        [
            ("success", "area under the success curve: the share of frames whose overlap is above 0, 0.05, … 1"),
            ("prec@20", "share of frames whose centre is at most 20 pixels off"),
            ("norm.prec", "share of frames whose centre is at most 0.2 of the target's size off"),
            ("overlap, AO", "mean intersection over union"),
            ("SR0.50, SR0.75", "share of frames whose overlap is above 0.5 or 0.75"),
            ("fps", "frames divided by the tracker's own seconds, without reading images; of the machine it ran on"),
            (
                "interval",
                f"{CONFIDENCE:.0%} of the means of {RESAMPLES} resamples of the sequences; for differences both "
                "trackers on the same resample",
            ),
        ]
    )
