from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from trackcli.evaluation.datasets import EvaluationSequence
from trackcli.evaluation.runner import SequenceResult, TrackerResult
from trackcli.reporting.evaluation_charts import attribute_chart, evaluation_charts
from trackcli.reporting.evaluation_page import evaluation_page
from trackcli.reporting.gather import Evaluation, gather
from trackcli.reporting.published import PUBLISHED, published_on

VOID = {"meta", "br", "image", "line", "rect", "circle", "polyline", "polygon"}
HOSTILE = "<script>alert(1)"


class Page(HTMLParser):
    """Collects elements and addresses, and complains about tags that do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.shown = ""
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href", "xlink:href", "action"}]
        assert not [name for name, _ in attrs if name.startswith("on")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.shown += data


def with_attributes(evaluation: Evaluation, attributes: tuple[str, ...]) -> Evaluation:
    """The same results, as if the dataset had said what makes its sequences hard."""

    def marked(result: SequenceResult) -> SequenceResult:
        return replace(result, attributes=attributes)

    entrants = tuple(
        replace(one, result=TrackerResult(tuple(map(marked, one.result.sequences)))) for one in evaluation.entrants
    )
    return replace(evaluation, entrants=entrants)


def test_the_page_is_whole_and_loads_nothing(results: Path) -> None:
    text = evaluation_page([gather(results)])
    page = Page(text)
    assert page.open == []
    assert page.addresses
    assert all(address.startswith("data:image/jpeg;base64,") for address in page.addresses)
    assert not {"script", "link", "iframe", "img", "object"} & set(page.tags)
    assert "url(" not in text
    assert "@import" not in text
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in text


def test_ranking_sequences_and_worst_frames_are_on_it(results: Path) -> None:
    shown = Page(evaluation_page([gather(results)])).shown
    assert "2 trackers on 2 sequences, 8 frames" in shown
    for words in ("good", "poor", "calm", "wild", "0.889", "0.325", "frame 2 of 4", "Speed and accuracy"):
        assert words in shown


def test_hostile_names_are_shown_and_not_obeyed(bench: Any) -> None:
    bench.sequence("clip")
    bench.result("tracker", "clip", bench.truth)
    evaluation = gather(bench.note())
    renamed = replace(evaluation.entrants[0], label=f"</style>{HOSTILE}")
    result = renamed.result.sequences[0]
    renamed = replace(renamed, result=TrackerResult((replace(result, name=HOSTILE, attributes=(HOSTILE, "b", "c")),)))
    manifest = replace(evaluation.manifest, dataset=HOSTILE, split=HOSTILE)
    hostile = replace(evaluation, entrants=(renamed,), manifest=manifest, notes=(HOSTILE,))
    page = Page(evaluation_page([hostile]))
    assert "script" not in page.tags
    assert page.shown.count(HOSTILE) >= 5
    assert page.open == []


def test_a_sequence_called_script_is_escaped_from_end_to_end(bench: Any) -> None:
    # What a file name may hold on Linux; a sequence named with < or > is refused by the evaluation itself.
    with pytest.raises(Exception, match="cannot be the name of a result file"):
        EvaluationSequence("<script>", (), __import__("numpy").zeros((0, 4)))
    bench.sequence("&lt;b&gt; 'x'")
    bench.result("&amp;", "&lt;b&gt; 'x'", bench.truth)
    assert "&lt;b&gt; 'x'" in Page(evaluation_page([gather(bench.note())])).shown


def test_attributes_have_a_radar_from_three_on(results: Path) -> None:
    evaluation = gather(results)
    assert attribute_chart(evaluation) is None
    assert attribute_chart(with_attributes(evaluation, ("IV", "SV"))) is None
    chart = attribute_chart(with_attributes(evaluation, ("IV", "SV", "OCC")))
    assert chart is not None
    assert chart.spokes == ("IV", "OCC", "SV")
    assert chart.outlines[0].values == pytest.approx((0.889, 0.889, 0.889), abs=1e-3)
    assert "Attributes" in Page(evaluation_page([with_attributes(evaluation, ("IV", "SV"))])).shown


def test_unknown_speeds_leave_out_the_speed_chart(bench: Any) -> None:
    bench.sequence("clip")
    bench.result("theirs", "clip", bench.truth, seconds=float("nan"))
    evaluation = gather(bench.note())
    assert [chart.name for chart in evaluation_charts(evaluation)] == ["success", "precision", "normalised_precision"]
    assert Page(evaluation_page([evaluation])).open == []


def test_curves_are_ranked_by_their_own_measure(bench: Any) -> None:
    bench.sequence("clip")
    bench.result("near", "clip", bench.shifted(5, 5, 5))  # overlap 11/21
    bench.result("sloppy", "clip", [bench.truth[0], *[(12.0, 14.0, 32.0, 24.0)] * 3])  # the right centre, overlap 1/4
    success, precision, *_ = evaluation_charts(gather(bench.note()))
    assert [line.label for line in success.lines] == ["near", "sloppy"]  # type: ignore[union-attr]
    assert [line.note for line in success.lines] == ["0.524", "0.238"]  # type: ignore[union-attr]  # 11 and 5 of 21
    assert [line.note for line in precision.lines] == ["1.000", "1.000"]  # type: ignore[union-attr]


def test_published_numbers_stand_beside_measured_ones(results: Path) -> None:
    evaluation = gather(results)
    as_otb = replace(evaluation, manifest=replace(evaluation.manifest, dataset="otb100"))
    shown = Page(evaluation_page([as_otb])).shown
    assert "0.687" in shown  # SPM-Tracker, table 3
    assert "here: good" in shown
    assert "report nothing on folder" in Page(evaluation_page([evaluation])).shown


def test_published_numbers_are_shares_and_unique() -> None:
    assert all(0 < number.value < 1 for number in PUBLISHED)
    keys = [(number.paper, number.dataset, number.measure) for number in PUBLISHED]
    assert len(set(keys)) == len(keys)
    assert [number.value for number in published_on("got10k") if number.measure == "mean_overlap"] == [0.569, 0.614]


def test_many_trackers_and_one_sequence_still_make_a_page(bench: Any) -> None:
    bench.sequence("clip")
    for number in range(20):
        bench.result(f"tracker-{number:02d}", "clip", bench.shifted(number / 4, 0, 0))
    page = Page(evaluation_page([gather(bench.note())], pictures=0))
    assert "The plots show the best 16 of 20 trackers." in page.shown
    assert "Worst frames" not in page.shown
