from __future__ import annotations

import json
import math

import numpy as np
import pytest

from trackcli.evaluation.metrics import score_boxes
from trackcli.evaluation.protocols import PROTOCOLS
from trackcli.evaluation.runner import SequenceResult, TrackerResult
from trackcli.evaluation.summaries import attribute_scores, differences_as_data, result_as_data
from trackcli.evaluation.tables import attribute_table, format_table, sequence_table, tracker_table

TRUTH = np.array([[10.0, 20, 30, 40]] * 5)
FAR = np.array([500.0, 0, 0, 0])


@pytest.fixture
def perfect() -> TrackerResult:
    return TrackerResult((SequenceResult("clip", 5, score_boxes(TRUTH, TRUTH), 0.1, False),))


@pytest.fixture
def lost() -> TrackerResult:
    score = score_boxes(TRUTH + FAR, TRUTH)
    return TrackerResult((SequenceResult("clip", 5, score, math.nan, True),))


def test_columns_are_aligned() -> None:
    table = format_table(("name", "n"), [["a", "10"], ["longer", "5"]], rule_above_last=True)
    assert table.splitlines() == ["name     n", "----------", "a       10", "----------", "longer   5"]


@pytest.mark.parametrize("name", ["a\nhold 0.999", "a\r\nhold 0.999", "a\u2028hold 0.999", "a\n\x1b[2Khold 0.999"])
def test_a_name_with_a_line_break_forges_no_row(name: str) -> None:
    rows = format_table(("name", "n"), [[name, "10"], ["b", "5"]]).splitlines()
    assert [row.split()[0] for row in rows if row[0] != "-"] == ["name", "a", "b"]
    assert all(row.isprintable() and len(row) == len(rows[0]) for row in rows)


def test_a_sequence_table_ends_with_the_mean(perfect: TrackerResult) -> None:
    header, _, row, _, mean = sequence_table(perfect).splitlines()
    assert header.split() == ["sequence", "frames", "success", "prec@20", "norm.prec", "overlap", "fps"]
    assert row.split() == ["clip", "5", "0.952", "1.000", "1.000", "1.000", "50.0"]
    assert mean.split() == ["mean", "of", "1", "5", "0.952", "1.000", "1.000", "1.000", "50.0"]


def test_trackers_are_ranked_by_success(perfect: TrackerResult, lost: TrackerResult) -> None:
    lines = tracker_table([("bad", lost), ("good", perfect)]).splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["good", "bad"]
    assert lines[3].split() == ["bad", "0.000", "0.000", "0.000", "0.000", "-"]


def test_data_for_json_holds_no_nan(lost: TrackerResult) -> None:
    data = json.loads(json.dumps(result_as_data(lost), allow_nan=False))
    assert data["fps"] is None
    assert data["sequences"][0] == {
        "name": "clip",
        "success_auc": 0,
        "precision_20px": 0,
        "normalised_precision": 0,
        "mean_overlap": 0,
        "success_50": 0,
        "success_75": 0,
        "evaluated_frames": 4,
        "fps": None,
        "frames": 5,
        "attributes": [],
        "repetitions": 1,
        "reused": True,
    }
    assert [len(data["curves"][name]["shares"]) for name in data["curves"]] == [21, 51, 51]


def several(*shifts: float) -> TrackerResult:
    """One sequence per shift in pixels of a 30 pixels wide target; every other one has the attribute ``FM``."""
    return TrackerResult(
        tuple(
            SequenceResult(
                f"clip{index}",
                5,
                score_boxes(TRUTH + np.array([shift, 0, 0, 0]), TRUTH),
                0.1,
                False,
                ("FM",) * (index % 2),
            )
            for index, shift in enumerate(shifts)
        )
    )


def test_several_sequences_have_an_interval() -> None:
    *_, mean, interval = sequence_table(several(0, 30, 30, 0)).splitlines()
    assert mean.split()[:5] == ["mean", "of", "4", "20", "0.476"]
    assert interval.startswith("95% of resampled means: success 0.000..0.952, prec@20 0.000..1.000")


def test_trackers_are_compared_with_the_best_sequence_by_sequence() -> None:
    good, worse = several(0, 3, 6, 9), several(3, 6, 9, 12)
    lines = tracker_table([("worse", worse), ("good", good)]).splitlines()
    assert lines[0].split()[-8:] == ["95%", "of", "success", "vs", "good", "95%", "of", "it"]
    difference, interval = lines[3].split()[-2:]
    assert float(difference) == pytest.approx(worse.score.success_auc - good.score.success_auc, abs=5e-4)
    low, high = map(float, interval.split(".."))
    assert low <= float(difference) <= high < 0
    assert lines[2].split()[-2:] == ["-", "-"]


def test_attributes_have_the_mean_of_their_sequences() -> None:
    result = several(0, 30, 0, 30)
    assert attribute_scores(result)["FM"].success_auc == 0
    title, header, _, row = attribute_table([("one", result)]).splitlines()
    assert (title, header.split()) == ("success by attribute", ["attribute", "sequences", "one"])
    assert row.split() == ["FM", "2", "0.000"]
    assert attribute_table([("none", several(0))]) == ""


def test_the_columns_are_the_protocol_s() -> None:
    header = sequence_table(several(0, 3), PROTOCOLS["got10k"]).splitlines()[0]
    assert header.split() == ["sequence", "frames", "AO", "SR0.50", "SR0.75", "fps"]


def test_intervals_and_differences_are_data_too() -> None:
    good, worse = several(0, 3, 6, 9), several(3, 6, 9, 12)
    data = result_as_data(good)
    low, high = data["intervals"]["success_auc"]
    assert low < data["success_auc"] < high
    (row,) = differences_as_data([("worse", worse), ("good", good)], PROTOCOLS["ope"].measures[0])
    assert (row["tracker"], row["against"], row["measure"]) == ("worse", "good", "success_auc")
    assert row["interval"][1] < 0
