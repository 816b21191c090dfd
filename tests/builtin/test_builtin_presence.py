"""The link that says whether the target is in view: its formula, what it compares, what it remembers."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from trackcli.builtin.config import HoldConfig
from trackcli.builtin.config_presence import PresenceConfig
from trackcli.builtin.postprocessors.presence import MEMORY, SCORE, TEMPLATE, Presence
from trackcli.builtin.postprocessors.track import Hold
from trackcli.contracts.context import Context, FrameGeometry, StartContext
from trackcli.contracts.levels import Branch, Level
from trackcli.contracts.predictions import Selection
from trackcli.contracts.shapes import LevelShape
from trackcli.contracts.state import State
from trackcli.errors import FitError, ShapeError
from trackcli.geometry.crop import CropMap

SIZE = 64
BOX = torch.tensor([[16.0, 16.0, 48.0, 48.0]])
ELSEWHERE = torch.tensor([[0.0, 0.0, 32.0, 32.0]])
WEIGHTS = PresenceConfig(cells=2, score_weight=0.5, template_weight=2.0, memory_weight=1.0, bias=-1.0)


def branch(maps: Tensor, boxes_xyxy: Tensor | None = None) -> Branch:
    return Branch(torch.zeros(len(maps), 3, SIZE, SIZE), {"deep": Level(maps, 8, 4.0)}, boxes_xyxy)


def noise(seed: int) -> Tensor:
    return torch.randn(1, 5, 8, 8, generator=torch.Generator().manual_seed(seed))


def start(link: Presence, template: Branch) -> State:
    def unasked(*_: object) -> Any:
        raise AssertionError("presence needs the template's branch alone")

    sizes = torch.full((1, 2), float(SIZE))
    return link.start(
        StartContext(template, BOX, sizes, crop=unasked, branch=unasked, search_size=SIZE, kernel={}, detect=unasked)
    )


def start_on(link: Presence, maps: Tensor) -> State:
    return start(link, branch(maps, BOX))


def selection(boxes_xyxy: Tensor, score: float) -> Selection:
    return Selection(
        boxes_xyxy, torch.tensor([score]), torch.ones(1), boxes_xyxy, torch.zeros(1, dtype=torch.int64), {}
    )


def look(link: Presence, maps: Tensor, state: State, score: float = 0.5, at: Tensor = BOX) -> tuple[Selection, State]:
    """One step on a frame that is its own search crop."""
    window = CropMap(torch.tensor([[0.0, 0.0, SIZE, SIZE]]), SIZE)
    geometry = FrameGeometry(window, torch.full((1, 2), float(SIZE)), BOX)
    return link.step(selection(at, score), state, Context(search=branch(maps), geometry=geometry))


def test_the_probability_is_the_logistic_of_score_and_cosines() -> None:
    link = Presence(WEIGHTS)
    given = torch.tensor([0.8]), torch.tensor([0.6]), torch.tensor([-0.2])
    exponent = -1.0 + 0.5 * math.log(0.8 / 0.2) + 2.0 * 0.6 - 0.2
    assert link.probability(*given).item() == pytest.approx(1 / (1 + math.exp(-exponent)), abs=1e-6)


def test_scores_of_0_and_1_stay_finite() -> None:
    link = Presence(WEIGHTS)
    zero = torch.zeros(2)
    assert link.probability(torch.tensor([0.0, 1.0]), zero, zero).tolist() == pytest.approx(
        [1 / (1 + math.exp(1 + 0.5 * math.log(9999))), 1 / (1 + math.exp(1 - 0.5 * math.log(9999)))], abs=1e-4
    )


def test_cosines_are_those_of_pooled_features_less_the_templates_mean() -> None:
    """Four cells of 16 pixels are the means of 2×2 cells of the map, as bins of two samples a side fall on them."""
    link = Presence(WEIGHTS)
    then, now = noise(1), noise(2)
    result, _ = look(link, now, start_on(link, then))

    def looks(maps: Tensor) -> Tensor:
        inside = maps[0, :, 2:6, 2:6].reshape(5, 2, 2, 2, 2).mean(dim=(2, 4))
        return (inside - then.mean(dim=(0, 2, 3))[:, None, None]).flatten()

    expected = torch.cosine_similarity(looks(then), looks(now), dim=0).item()
    assert result.flags[TEMPLATE].item() == pytest.approx(expected, abs=1e-5)
    assert result.flags[MEMORY].item() == pytest.approx(expected, abs=1e-5)
    assert result.flags[SCORE].item() == 0.5


def test_the_same_place_on_the_same_picture_is_as_alike_as_can_be() -> None:
    link = Presence(WEIGHTS)
    maps = noise(1)
    same, _ = look(link, maps, start_on(link, maps))
    other, _ = look(link, maps, start_on(link, maps), at=ELSEWHERE)
    assert same.flags[TEMPLATE].item() == pytest.approx(1.0, abs=1e-5)
    assert other.flags[TEMPLATE].item() < 0.5
    assert other.scores.item() < same.scores.item()


def test_every_level_counts_the_same_however_large_its_numbers() -> None:
    link = Presence(WEIGHTS)
    deep, shallow = noise(1), 1000 * noise(3)
    context = branch(deep, BOX)
    both = Branch(context.images, {**context.features, "shallow": Level(shallow, 8, 4.0)}, BOX)
    sizes = torch.full((1, 2), float(SIZE))
    state = start(link, both)
    now = {"deep": Level(noise(2), 8, 4.0), "shallow": Level(1000 * noise(4), 8, 4.0)}
    geometry = FrameGeometry(CropMap(torch.tensor([[0.0, 0.0, SIZE, SIZE]]), SIZE), sizes, BOX)
    result, _ = link.step(selection(BOX, 0.5), state, Context(search=Branch(both.images, now), geometry=geometry))
    alone = [
        look(link, noise(seed_now), start_on(link, noise(seed_then)))[0].flags[TEMPLATE].item()
        for seed_then, seed_now in ((1, 2), (3, 4))
    ]
    assert result.flags[TEMPLATE].item() == pytest.approx(sum(alone) / 2, abs=1e-5)


def test_boxes_and_where_to_search_stay_as_they_are() -> None:
    link = Presence(WEIGHTS)
    result, _ = look(link, noise(2), start_on(link, noise(1)), at=ELSEWHERE)
    assert torch.equal(result.boxes_xyxy, ELSEWHERE)
    assert torch.equal(result.search_boxes_xyxy, ELSEWHERE)
    assert result.shape_index.tolist() == [0]


def test_only_sure_frames_are_remembered() -> None:
    link = Presence(WEIGHTS.model_copy(update={"memory_rate": 0.25, "memory_above": 0.5}))
    state = start_on(link, noise(1))
    result, after = look(link, noise(2), state, score=0.01)
    assert result.scores.item() < 0.5
    assert torch.equal(after["memory"], state["memory"])
    result, after = look(link, noise(2), state, score=0.999)
    assert result.scores.item() > 0.5
    assert after["template"] is state["template"]
    mixed = 0.75 * state["memory"] + 0.25 * _second_picture(state)
    assert torch.allclose(after["memory"], mixed / mixed.norm(), atol=1e-5)


def _second_picture(state: State) -> Tensor:
    """What the second picture looks like, less the mean of the first."""
    inside = noise(2)[0, :, 2:6, 2:6].reshape(5, 2, 2, 2, 2).mean(dim=(2, 4))
    centred = (inside - state["mean.deep"][0][:, None, None]).flatten()
    return (centred / centred.norm())[None]


def test_hold_behind_it_holds_by_the_probability() -> None:
    link, hold = Presence(WEIGHTS.model_copy(update={"bias": -3.0})), Hold(HoldConfig(threshold=0.5))
    geometry = FrameGeometry(CropMap(BOX, SIZE), torch.full((1, 2), float(SIZE)), BOX)
    context = Context(search=branch(noise(2)), geometry=geometry)
    unlike, _ = look(link, noise(1), start_on(link, noise(1)), score=0.9, at=ELSEWHERE)
    held, _ = hold.step(unlike, {}, context)
    assert (unlike.flags[SCORE].item(), unlike.scores.item() < 0.5) == (pytest.approx(0.9), True)
    assert torch.equal(held.boxes_xyxy, BOX)


def test_unknown_levels_are_refused_by_name() -> None:
    levels = {"layer2": LevelShape(128, 8, 0.5), "layer3": LevelShape(256, 8, 0.5)}
    PresenceConfig(levels=("layer3",)).check(levels, (288,))
    with pytest.raises(FitError, match=r"names 'layer9', which the backbone does not give; it gives: layer2, layer3"):
        PresenceConfig(levels=("layer9",)).check(levels, (288,))


def test_it_needs_a_box_in_the_template() -> None:
    with pytest.raises(ShapeError, match="needs the target's box in the template"):
        start(Presence(WEIGHTS), branch(noise(1)))
