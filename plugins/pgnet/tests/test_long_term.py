"""The long-term link: its rule row by row, and targets that disappear and come back elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from trackcli_pgnet.config import LongTermConfig
from trackcli_pgnet.long_term import LOST, LongTerm

import trackcli
from trackcli.builtin.config import MotionConfig, SelectConfig
from trackcli.builtin.postprocessors.select import SelectBest
from trackcli.builtin.postprocessors.track import Motion
from trackcli.composition.model import TrackerModel
from trackcli.composition.variants import write_variant
from trackcli.config.component import Normalisation
from trackcli.config.recipe import CropConfig
from trackcli.contracts.components import Backbone, Head, Matcher, TrackLink
from trackcli.contracts.context import Context, FrameGeometry
from trackcli.contracts.levels import Branch, Features, Level
from trackcli.contracts.matching import Matched, MatchedLevel
from trackcli.contracts.predictions import Candidates, Predictions, Selection
from trackcli.contracts.state import Kernel
from trackcli.errors import FitError
from trackcli.evaluation.overlaps import iou_xywh
from trackcli.geometry.boxes import boxes_from_centers
from trackcli.geometry.crop import CropMap
from trackcli.host.registry import installed
from trackcli.host.trackers import default_tracker
from trackcli.synth.sequences import SyntheticSequence, make_sequence
from trackcli.synth.settings import SceneSettings
from trackcli.tracking.session import Session
from trackcli.tracking.timing import StageTimer
from trackcli.tracking.tracker import find_tracker_file

LAST = torch.tensor([[0.0, 0.0, 10.0, 10.0]])
NEW = torch.tensor([[50.0, 50.0, 60.0, 60.0]])


def run(link: LongTerm, scores: Sequence[float]) -> list[tuple[bool, int, bool]]:
    """Steps of one target: lost, next search size, and whether the new box was taken."""
    state = {"lost_frames": torch.zeros(1, dtype=torch.int64)}
    geometry = FrameGeometry(CropMap(LAST, 100), torch.tensor([[640.0, 480.0]]), LAST)
    context = Context(search=Branch(torch.zeros(1, 3, 8, 8), {}), geometry=geometry)
    seen = []
    for score in scores:
        index = torch.zeros(1, dtype=torch.int64)
        given = Selection(NEW, torch.tensor([score]), torch.ones(1), NEW, index, {"other": torch.ones(1)})
        result, state = link.step(given, state, context)
        assert torch.equal(result.boxes_xyxy, result.search_boxes_xyxy)
        assert result.flags.keys() == {"other", LOST}
        assert result.scores.item() == pytest.approx(score)
        taken = torch.equal(result.boxes_xyxy, NEW)
        assert taken or torch.equal(result.boxes_xyxy, LAST)
        seen.append((bool(result.flags[LOST]), int(result.shape_index), taken))
    return seen


def test_lost_under_one_threshold_until_above_the_other() -> None:
    steps = run(LongTerm(LongTermConfig(lost_below=0.8, found_above=0.998)), [0.9, 0.79, 0.9, 0.998, 0.9985, 0.9])
    assert [lost for lost, _, _ in steps] == [False, True, True, True, False, False]
    assert [size for _, size, _ in steps] == [0, 1, 1, 1, 0, 0]
    assert [taken for _, _, taken in steps] == [True, False, True, True, True, True]


def test_the_search_grows_step_by_step_where_there_are_several_sizes() -> None:
    steps = run(LongTerm(LongTermConfig(sizes=3, frames_per_size=2)), [0.1] * 8 + [1.0, 0.1])
    assert [size for _, size, _ in steps] == [1, 1, 2, 2, 3, 3, 3, 3, 0, 1]


def test_without_larger_search_sizes_it_is_refused() -> None:
    with pytest.raises(FitError, match=r"uses 1 larger search size, but crop\.larger_search_sizes gives none"):
        LongTermConfig().check({}, (255,))
    with pytest.raises(FitError, match=r"uses 2 larger search sizes, but crop\.larger_search_sizes gives 831"):
        LongTermConfig(sizes=2).check({}, (255, 831))
    LongTermConfig().check({}, (255, 831))


def test_thresholds_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(FitError, match=r"found_above 0\.5 is below lost_below 0\.8"):
        LongTermConfig(found_above=0.5).check({}, (255, 831))


# A tracker that sees colours: enough to follow a square of one colour, and it knows when the square is gone.


class MeanColors(Backbone):
    """Mean colour of 8×8 pixels."""

    def forward(self, images: Tensor) -> Features:
        return {"color": Level(torch.nn.functional.avg_pool2d(images, 8), 8, 4.0)}


class SameColor(Matcher):
    """How like the template's middle a cell is, in 0..1."""

    def __init__(self) -> None:
        super().__init__()
        self.sharpness = torch.nn.Parameter(torch.tensor(40.0))

    def embed(self, template: Branch) -> tuple[Kernel, Features]:
        maps = template.features["color"].map
        middle = maps.shape[-1] // 2
        return {"color": maps[..., middle, middle]}, {}

    def forward(self, kernel: Kernel, search: Branch) -> Matched:
        level = search.features["color"]
        distance = (level.map - kernel["color"][..., None, None]).square().sum(dim=1, keepdim=True)
        like = (-self.sharpness * distance).exp()
        like = torch.nn.functional.avg_pool2d(like, 3, stride=1, padding=1)  # highest in the middle of the square
        return Matched({"color": MatchedLevel(like, like, 8, 4.0)}, {}, {})


class LastSize(Head):
    """A box of the last size on every cell."""

    def forward(self, matched: Matched, context: Context) -> Predictions[MatchedLevel]:
        return Predictions(matched.levels["color"])

    def decode(self, predictions: Predictions[MatchedLevel], context: Context) -> Candidates:
        assert context.previous_boxes_xyxy is not None
        level = predictions.output
        scores = level.classification.flatten(1)
        points = level.grid.points_xy(like=scores).expand(len(scores), -1, 2)
        last = context.previous_boxes_xyxy
        sizes = (last[:, 2:] - last[:, :2]).unsqueeze(1).expand_as(points)
        boxes = boxes_from_centers(points, sizes)
        valid = torch.ones_like(scores, dtype=torch.bool)
        return Candidates(boxes, scores, scores, torch.ones_like(scores), points, valid)


CROP = CropConfig(template_size=64, search_size=128, larger_search_sizes=(416,))
RED, BLUE = (250, 20, 20), (20, 20, 250)
SIDE = 40


def color_session(links: list[tuple[str, TrackLink]]) -> Session:
    model = TrackerModel(
        backbone=MeanColors(),
        matcher=SameColor(),
        head=LastSize(),
        candidate_links=[],
        select=SelectBest(SelectConfig()),
        track_links=links,
        crop=CROP,
        normalisation=Normalisation(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)),
    )
    return Session(model.eval(), StageTimer())


def picture(red_xy: tuple[int, int] | None, blue_xy: tuple[int, int]) -> NDArray[np.uint8]:
    """A grey frame of 640×480 with squares around these centres."""
    frame = np.full((480, 640, 3), 128, dtype=np.uint8)
    for center, color in ((red_xy, RED), (blue_xy, BLUE)):
        if center is not None:
            x, y = center
            frame[y - SIDE // 2 : y + SIDE // 2, x - SIDE // 2 : x + SIDE // 2] = color
    return frame


GONE, BACK = range(5, 12), 12
"""Red is gone in these frames, and back from the next on, three sizes of itself away."""


def red_at(frame: int) -> tuple[int, int] | None:
    if frame in GONE:
        return None
    return (100 + 4 * frame, 240) if frame < GONE.start else (240 + 4 * (frame - BACK), 260)


def blue_at(frame: int) -> tuple[int, int]:
    return (500, 100 + 4 * frame)


def follow(links: list[tuple[str, TrackLink]]) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """Boxes' centres ``(T, 2, 2)``, search sizes used ``(T, 2)`` and scores ``(T, 2)`` of red and blue."""
    session = color_session(links)
    start = picture(red_at(0), blue_at(0))
    centers = np.array([red_at(0), blue_at(0)], dtype=np.float64)
    session.start([start], [0, 0], np.concatenate((centers - SIDE / 2, centers + SIDE / 2), axis=1))
    found, sizes, scores = [], [], []
    for frame in range(1, 20):
        sizes.append(session._shapes.copy())
        readout = session.update([picture(red_at(frame), blue_at(frame))], [0, 0])
        found.append((readout.boxes_xyxy[:, :2] + readout.boxes_xyxy[:, 2:]) / 2)
        scores.append(readout.scores)
    return np.stack(found), np.stack(sizes), np.stack(scores)


@pytest.fixture(scope="module")
def long_term() -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    return follow([("long-term", LongTerm(LongTermConfig(lost_below=0.8, found_above=0.9)))])


def distances(centers: NDArray[np.float64], target: int) -> NDArray[np.float64]:
    truth = [(red_at, blue_at)[target](frame) or (np.nan, np.nan) for frame in range(1, 20)]
    return np.linalg.norm(centers[:, target] - np.array(truth, dtype=np.float64), axis=1)


def test_a_target_that_comes_back_elsewhere_is_found_in_the_larger_region(
    long_term: tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]],
) -> None:
    centers, sizes, scores = long_term
    away = distances(centers, 0)
    assert (away[: GONE.start - 1] < SIDE / 2).all()
    assert (away[BACK - 1 :] < SIDE / 2).all()
    # Frame t stands at t - 1. The larger region is searched from the frame after the loss to that of the return.
    assert sizes[:, 0].tolist() == [0] * GONE.start + [1] * len(GONE) + [0] * (19 - GONE.start - len(GONE))
    assert (scores[list(np.array(GONE) - 1), 0] < 0.8).all()


def test_while_it_is_gone_the_last_box_is_held(
    long_term: tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]],
) -> None:
    centers = long_term[0]
    for frame in GONE:
        assert centers[frame - 1, 0].tolist() == centers[GONE.start - 2, 0].tolist()


def test_another_target_of_the_session_is_not_disturbed(
    long_term: tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]],
) -> None:
    centers, sizes, _ = long_term
    assert (distances(centers, 1) < SIDE / 2).all()
    assert not sizes[:, 1].any()


def test_behind_motion_it_holds_the_last_box_and_finds_the_target_again() -> None:
    """What lies ahead of a target that is gone is not searched; what comes back is followed though it jumped."""
    long_term = LongTerm(LongTermConfig(lost_below=0.8, found_above=0.9))
    centers, sizes, _ = follow([("motion", Motion(MotionConfig())), ("long-term", long_term)])
    away = distances(centers, 0)
    assert (away[: GONE.start - 1] < SIDE / 2).all()
    assert (away[BACK - 1 :] < SIDE / 2).all()
    assert (centers[list(np.array(GONE) - 1), 0] == centers[GONE.start - 2, 0]).all()
    assert sizes[:, 0].tolist() == [0] * GONE.start + [1] * len(GONE) + [0] * (19 - GONE.start - len(GONE))
    assert (distances(centers, 1) < SIDE / 2).all()


def test_without_the_link_it_stays_lost() -> None:
    """So that the test above tests the link, not the tracker."""
    centers, sizes, _ = follow([])
    assert (distances(centers, 0)[BACK - 1 :] > 2 * SIDE).all()
    assert not sizes.any()


# The tracker that comes with trackcli, on a real picture's worth of texture: A, cut to B, back to A somewhere else.


def spliced() -> tuple[list[NDArray[np.uint8]], NDArray[np.float64]]:
    """Frames, and the target's boxes in those that show it; it returns outside the usual search region."""

    def scene(seed: int, frames: int) -> SyntheticSequence:
        return make_sequence(
            SceneSettings(
                frames=frames,
                size_wh=(480, 320),
                seed=seed,
                occluders=0,
                look_alikes=0,
                target_size=0.14,
                speed=2.0,
            )
        )

    shown, away = scene(5, 60), scene(105, 6)
    frames = [*(shown.frames[i] for i in range(10)), *away.frames, *(shown.frames[i] for i in range(50, 54))]
    return frames, np.concatenate((shown.boxes_xywh[:10], shown.boxes_xywh[50:54]))


@pytest.mark.parametrize(("links", "lost_below", "found_above"), [([], 0.3, 0.6), (["presence"], 0.5, 0.7)])
def test_the_shipped_tracker_finds_again_what_returns_elsewhere(
    links: list[str], lost_below: float, found_above: float, tmp_path: Path
) -> None:
    registry = installed()
    source = find_tracker_file(default_tracker(), registry)
    long_term = [
        "crop.larger_search_sizes=[608]",
        f"postprocessor.long-term.lost_below={lost_below}",
        f"postprocessor.long-term.found_above={found_above}",
    ]
    path = tmp_path / "long.safetensors"
    write_variant(source, path, registry, added=[*links, "long-term"], assignments=long_term)
    overlaps, scores = follow_spliced(path)
    assert overlaps.min() > 0.7
    assert scores[9] < lost_below  # noticed at once; the larger region then shows more that resembles the target
    assert scores[9:15].max() < found_above < min(scores[8], scores[-1])
    holding = [f"postprocessor.hold.threshold={lost_below}"]
    write_variant(source, path, registry, added=[*links, "hold"], assignments=holding)
    overlaps, scores = follow_spliced(path)
    assert overlaps[0] > 0.7
    assert overlaps[1] == 0.0  # the usual region does not reach there
    assert scores[9:].max() < lost_below


def follow_spliced(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Overlaps before the target is gone and at the end, and the scores of all frames but the first."""
    frames, boxes_xywh = spliced()
    tracker = trackcli.load(path, device="cpu")
    tracker.start(frames[0], boxes_xywh[0])
    results = [tracker.update(frame) for frame in frames[1:]]
    found = np.concatenate([result.boxes_xywh for result in results])
    scores = np.concatenate([result.scores for result in results])
    return iou_xywh(found[[8, -1]], boxes_xywh[[9, -1]]), scores
