from __future__ import annotations

import json
import math

import numpy as np
import pytest

from trackcli.evaluation.metrics import score_boxes
from trackcli.evaluation.runner import SequenceResult, TrackerResult
from trackcli.evaluation.tables import format_table, result_as_data, sequence_table, tracker_table

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
        "evaluated_frames": 4,
        "fps": None,
        "frames": 5,
        "reused": True,
    }
    assert [len(data["curves"][name]["shares"]) for name in data["curves"]] == [21, 51, 51]
