from __future__ import annotations

import json
from pathlib import Path

import pytest

from trackcli.errors import InputDataError
from trackcli.reporting.charts import LineChart
from trackcli.reporting.run_page import run_charts, run_page, run_summary
from trackcli.reporting.run_record import METRICS_FILE, RECIPE_FILE, is_run, read_run
from trackcli.training.report import METRICS_FILE as WRITTEN_METRICS
from trackcli.training.report import MetricsFile, StepReport


def write_lines(folder: Path, *lines: dict[str, float]) -> Path:
    (folder / METRICS_FILE).write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder as training writes it."""
    metrics = MetricsFile(tmp_path / WRITTEN_METRICS)
    for step in (20, 40, 60):
        terms = {"rpn.cls": 60 / step, "rpn.box": 0.5}
        metrics.write(StepReport(step, 60, terms, 1e-3, 100.0, 0.04, gradient_norm=2.0))
        metrics.write_validation(step, {"success_auc": {20: 0.32, 40: 0.34, 60: 0.1}[step]})
    recipe = {
        "preset": "default",
        "matcher": {"name": "dw-xcorr"},
        "loss": [{"name": "rpn"}, {"name": "other"}],
        "train": {"batch": 16, "seed": 3},
    }
    (tmp_path / RECIPE_FILE).write_text(json.dumps(recipe))
    return tmp_path


def test_what_training_writes_is_read(run: Path) -> None:
    assert is_run(run)
    record = read_run(run)
    assert record.terms["rpn.cls"].steps == (20, 40, 60)
    assert record.terms["rpn.cls"].values == (3.0, 1.5, 1.0)
    assert set(record.terms) == {"rpn.cls", "rpn.box"}
    assert set(record.course) == {"rate", "epoch", "gradient_norm", "pairs_per_second", "waiting"}
    assert record.validation["success_auc"].values == (0.32, 0.34, 0.1)
    assert record.last_step == 60


def test_there_is_a_chart_for_each_thing(run: Path) -> None:
    charts = run_charts(read_run(run))
    assert [chart.name for chart in charts] == [
        "loss",
        "validation",
        "rate",
        "gradient_norm",
        "pairs_per_second",
        "waiting",
    ]
    loss = charts[0]
    assert isinstance(loss, LineChart)
    assert [(line.label, line.note) for line in loss.lines] == [("rpn.cls", "1"), ("rpn.box", "0.5")]


def test_the_page_says_what_was_trained_and_what_was_best(run: Path) -> None:
    page = run_page(read_run(run))
    for words in ("dw-xcorr", "rpn, other", "960 (16 per step)", "0.340 at step 40", "Validation by tracking"):
        assert words in page
    assert run_summary(read_run(run))["best"] == {"success_auc": {"value": 0.34, "step": 40}}


def test_of_repeated_steps_the_later_line_counts(tmp_path: Path) -> None:
    write_lines(tmp_path, {"step": 1, "a": 1.0}, {"step": 2, "a": 2.0}, {"step": 1, "a": 5.0})
    assert read_run(tmp_path).terms["a"].values == (5.0, 2.0)


def test_a_half_written_last_line_is_left_out_and_said(tmp_path: Path) -> None:
    write_lines(tmp_path, {"step": 1, "a": 1.0})
    with (tmp_path / METRICS_FILE).open("a") as file:
        file.write('{"step": 2, "a"')
    record = read_run(tmp_path)
    assert record.cut
    assert record.last_step == 1
    assert "half written" in run_page(record)


@pytest.mark.parametrize("line", ["nonsense", "[1]", '{"a": 1}', '{"step": "x"}', ""])
def test_a_bad_line_is_named(tmp_path: Path, line: str) -> None:
    write_lines(tmp_path, {"step": 1, "a": 1.0})
    with (tmp_path / METRICS_FILE).open("a") as file:
        file.write(line + "\n")
    with pytest.raises(InputDataError, match=r"metrics\.jsonl, line 2: .* is no line of a run's metrics"):
        read_run(tmp_path)


def test_a_run_without_figures_says_to_go_on(tmp_path: Path) -> None:
    write_lines(tmp_path)
    with pytest.raises(InputDataError, match="holds no figures yet"):
        read_run(tmp_path)


def test_long_records_become_means_with_a_band(tmp_path: Path) -> None:
    write_lines(tmp_path, *({"step": step, "a": float(step % 2)} for step in range(1, 1001)))
    (chart,) = run_charts(read_run(tmp_path))
    assert isinstance(chart, LineChart)
    (line,) = chart.lines
    assert len(line.xs) <= 160
    assert all(3 / 7 <= value <= 4 / 7 for value in line.ys)  # seven steps each, of 0 and 1 in turn; six at the end
    assert set(line.low) == {0.0}
    assert set(line.high) == {1.0}
    assert len(line.low) == len(line.high) == len(line.xs)


def test_hostile_recipes_and_terms_are_escaped(tmp_path: Path) -> None:
    write_lines(tmp_path, {"step": 1, "<script>": 1.0}, {"step": 2, "<script>": 2.0})
    (tmp_path / RECIPE_FILE).write_text(json.dumps({"preset": "<script>", "x": "</pre><script>"}))
    page = run_page(read_run(tmp_path))
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_a_loss_that_spans_orders_of_magnitude_has_a_logarithmic_axis(tmp_path: Path) -> None:
    write_lines(tmp_path, {"step": 1, "a": 50.0, "rate": 0.0}, {"step": 2, "a": 1.0, "rate": 1.0})
    loss, rate = run_charts(read_run(tmp_path))
    assert isinstance(loss, LineChart)
    assert isinstance(rate, LineChart)
    assert (loss.y.logarithmic, rate.y.logarithmic) == (True, False)
