"""The timer: sums, means, and stages that fail."""

from __future__ import annotations

import time

import pytest

from trackcli.tracking.timing import StageTimer


def test_milliseconds_are_the_mean_of_each_stage_in_order_of_appearance() -> None:
    timer = StageTimer()
    timer.add("network", 0.010)
    timer.add("decode", 0.001)
    timer.add("network", 0.030)
    assert list(timer.milliseconds()) == ["network", "decode"]
    assert timer.milliseconds() == pytest.approx({"network": 20.0, "decode": 1.0})
    assert timer.seconds("network") == pytest.approx(0.040)


def test_a_stage_that_never_ran_took_no_time() -> None:
    assert StageTimer().seconds("none") == 0
    assert StageTimer().milliseconds() == {}


def test_a_stage_measures_wall_clock_time() -> None:
    timer = StageTimer()
    with timer.stage("sleep"):
        time.sleep(0.02)
    assert timer.seconds("sleep") >= 0.02


def test_a_stage_that_fails_is_counted_and_the_error_passes() -> None:
    timer = StageTimer()
    with pytest.raises(ValueError, match="lost"), timer.stage("decode"):
        raise ValueError("lost")
    assert list(timer.milliseconds()) == ["decode"]


def test_stages_nest() -> None:
    timer = StageTimer()
    with timer.stage("outer"), timer.stage("inner"):
        time.sleep(0.005)
    assert timer.seconds("outer") >= timer.seconds("inner") >= 0.005
