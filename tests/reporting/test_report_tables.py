from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from trackcli.errors import PluginError
from trackcli.reporting.charts import Axis, Line, LineChart
from trackcli.reporting.evaluation_charts import evaluation_charts
from trackcli.reporting.figures import save_figures
from trackcli.reporting.gather import gather
from trackcli.reporting.tables import latex_table, markdown_table


def test_markdown_is_ranked_and_aligned(bench: Any) -> None:
    bench.sequence("clip")
    bench.result("poor_one", "clip", bench.shifted(100, 100, 100), seconds=0.001)
    bench.result("good", "clip", bench.truth)
    assert markdown_table(gather(bench.note())) == (
        "| tracker  |   success |   prec@20 | norm.prec |   overlap |    fps |\n"
        "| -------- | --------: | --------: | --------: | --------: | -----: |\n"
        "| good     | **0.952** | **1.000** | **1.000** | **1.000** |  100.0 |\n"
        "| poor\\_one |     0.000 |     0.000 |     0.000 |     0.000 | 1000.0 |\n"
    )


@pytest.mark.parametrize("table", [markdown_table, latex_table])
def test_a_folder_name_with_a_line_break_forges_no_row(bench: Any, table: Any) -> None:
    bench.sequence("clip")
    bench.result("good", "clip", bench.truth)
    evaluation = gather(bench.note())
    renamed = replace(evaluation, entrants=(replace(evaluation.entrants[0], label="good\nbetter"),))
    assert len(table(renamed).splitlines()) == len(table(evaluation).splitlines())


def test_intervals_are_in_the_table_where_there_are_several_sequences(results: Path) -> None:
    header, _, good, _ = markdown_table(gather(results)).splitlines()
    assert "95% interval" in header
    assert "0.825–0.952" in good  # of two sequences, the lower and the upper


def test_latex_escapes_names_and_unknown_speeds(bench: Any) -> None:
    bench.sequence("clip")
    bench.result("a_b", "clip", bench.truth, seconds=float("nan"))
    evaluation = gather(bench.note())
    renamed = replace(evaluation, entrants=(replace(evaluation.entrants[0], label=r"50% \input{x} & a_b"),))
    lines = latex_table(renamed).splitlines()
    assert lines[1] == r"\begin{tabular}{lrrrrr}"
    assert lines[5] == r"50\% \textbackslash{}input\{x\} \& a\_b & 0.952 & 1.000 & 1.000 & 1.000 & -- \\"


def test_plots_are_written_as_png_and_pdf(results: Path, tmp_path: Path) -> None:
    written = save_figures(evaluation_charts(gather(results)), tmp_path / "plots")
    names = {
        f"{name}.{kind}"
        for name in ("success", "precision", "normalised_precision", "speed")
        for kind in ("png", "pdf")
    }
    assert {path.name for path in written} == names == {path.name for path in (tmp_path / "plots").iterdir()}
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in written if path.suffix == ".png")
    assert all(path.read_bytes().startswith(b"%PDF") for path in written if path.suffix == ".pdf")


def test_the_same_chart_gives_the_same_bytes_and_names_are_no_formulas(tmp_path: Path) -> None:
    line = Line("$\\frac{1", (0.0, 1.0), (0.0, 1.0), 0, "note")
    chart = LineChart("c", "T_$x", Axis("x", 0, 1), Axis("y", 0, 1), (line,))
    first, second = (save_figures([chart], tmp_path / name) for name in ("a", "b"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_missing_matplotlib_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(PluginError, match=r"pip install 'trackcli\[report\]'"):
        save_figures([], tmp_path)
