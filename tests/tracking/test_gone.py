"""The shipped tracker while its target is gone: start on A, cut to B, return to A."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import trackcli
from trackcli.composition.variants import write_variant
from trackcli.evaluation.overlaps import iou_xywh
from trackcli.host.registry import installed
from trackcli.host.trackers import default_tracker
from trackcli.synth.sequences import SyntheticSequence, make_sequence
from trackcli.synth.settings import SceneSettings
from trackcli.tracking.tracker import find_tracker_file

BEFORE, AWAY, AFTER = 6, 6, 4
GONE = slice(BEFORE - 1, BEFORE - 1 + AWAY)
"""Frames of B among the results, which begin with the second frame."""


@dataclass(frozen=True, eq=False)
class Followed:
    """``(T, 4)`` boxes found, ``(T,)`` scores, and ``(T,)`` overlaps with the target, 0 while it is gone."""

    boxes_xywh: NDArray[np.float64]
    scores: NDArray[np.float64]
    overlaps: NDArray[np.float64]


def scene(seed: int) -> SyntheticSequence:
    return make_sequence(
        SceneSettings(
            frames=BEFORE + AFTER,
            size_wh=(480, 320),
            seed=seed,
            occluders=0,
            look_alikes=0,
            target_size=0.14,
            speed=2.0,
        )
    )


def follow(name: str) -> Followed:
    shown, away = scene(5), scene(105)
    frames = [shown.frames[i] for i in range(BEFORE)]
    frames += [away.frames[i] for i in range(AWAY)] + [shown.frames[BEFORE + i] for i in range(AFTER)]
    truth = np.insert(shown.boxes_xywh, BEFORE, np.zeros((AWAY, 4)), axis=0)
    tracker = trackcli.load(name, device="cpu")
    tracker.start(frames[0], truth[0])
    results = [tracker.update(frame) for frame in frames[1:]]
    boxes = np.concatenate([result.boxes_xywh for result in results])
    return Followed(boxes, np.concatenate([result.scores for result in results]), iou_xywh(boxes, truth[1:]))


@pytest.fixture(scope="module")
def plain() -> Followed:
    return follow(default_tracker())


def variant(folder: Path, links: list[str], settings: list[str]) -> str:
    registry = installed()
    source = find_tracker_file(default_tracker(), registry)
    write_variant(source, folder / "variant.safetensors", registry, added=links, assignments=settings)
    return str(folder / "variant.safetensors")


def test_its_score_says_so(plain: Followed) -> None:
    present = np.delete(plain.scores, np.r_[GONE])
    assert plain.scores[GONE].max() < 0.3
    assert present.min() > 0.7


def test_presence_changes_the_score_and_nothing_else(plain: Followed, tmp_path: Path) -> None:
    seen = follow(variant(tmp_path, ["presence"], []))
    assert np.array_equal(seen.boxes_xywh, plain.boxes_xywh)
    assert not np.array_equal(seen.scores, plain.scores)
    assert seen.scores[GONE].max() < 0.5 < np.delete(seen.scores, np.r_[GONE]).min()


@pytest.mark.parametrize(("links", "threshold"), [(["hold"], 0.3), (["presence", "hold"], 0.5)])
def test_hold_keeps_the_last_box_until_the_target_is_back(
    plain: Followed, links: list[str], threshold: float, tmp_path: Path
) -> None:
    held = follow(variant(tmp_path, links, [f"postprocessor.hold.threshold={threshold}"]))
    last = held.boxes_xywh[GONE.start - 1]
    assert np.allclose(held.boxes_xywh[GONE], last, atol=1e-3)
    assert np.abs(plain.boxes_xywh[GONE] - last).max() > 5
    assert held.overlaps[GONE.stop :].min() > 0.7
