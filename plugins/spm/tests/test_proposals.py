"""Which boxes the fine stage sees: section 4.3 while tracking, section 4.2 while training."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from trackcli_spm.config import SeriesParallelConfig
from trackcli_spm.proposals import choose_for_training, filling_boxes, propose

from trackcli.contracts.predictions import Candidates
from trackcli.contracts.training import Batch
from trackcli.geometry.boxes import box_iou, boxes_from_centers, centers_and_sizes

SIZE = 128


def config(**settings: Any) -> SeriesParallelConfig:
    return SeriesParallelConfig(**settings)


def candidates(boxes_xyxy: Tensor, scores: Tensor) -> Candidates:
    points_xy, _ = centers_and_sizes(boxes_xyxy)
    return Candidates(
        boxes_xyxy, scores, scores, torch.ones_like(scores), points_xy, torch.ones_like(scores, dtype=torch.bool)
    )


def some(rows: int, count: int, seed: int = 0) -> Candidates:
    generator = torch.Generator().manual_seed(seed)
    centers = 30 + 68 * torch.rand(rows, count, 2, generator=generator)
    sizes = 15 + 25 * torch.rand(rows, count, 2, generator=generator)
    return candidates(boxes_from_centers(centers, sizes), torch.rand(rows, count, generator=generator))


def iou(a: Tensor, b: Tensor) -> float:
    return float(box_iou(a, b))


def literal(boxes: Tensor, scores: Tensor, previous: Tensor, settings: SeriesParallelConfig) -> list[int]:
    """Section 4.3, box by box."""
    overlaps = [iou(box, previous) for box in boxes]
    if settings.last_box == "score" and max(overlaps) > 0.8:
        sure = [index for index, overlap in enumerate(overlaps) if overlap > 0.8]
        last = max(sure, key=lambda index: float(scores[index]))
    else:
        last = max(range(len(boxes)), key=lambda index: overlaps[index])
    reserved = settings.last_box != "none" and settings.proposals > 1
    kept: list[int] = []
    for index in scores.argsort(descending=True).tolist():
        if len(kept) == settings.proposals - reserved:
            break
        low = scores[index] < settings.lowest_share * scores.max()
        hidden = any(iou(boxes[index], boxes[other]) > settings.nms_iou for other in kept)
        if not low and not hidden and not (reserved and index == last):
            kept.append(index)
    return [*kept, last] if reserved else kept


@pytest.mark.parametrize("last_box", ["overlap", "score", "none"])
@pytest.mark.parametrize("proposals", [1, 2, 9])
def test_proposals_are_those_of_the_literal_procedure(last_box: str, proposals: int) -> None:
    settings = config(last_box=last_box, proposals=proposals, lowest_share=0.4)
    found = some(3, 60)
    previous = found.boxes_xyxy[:, 7] + 1.5
    chosen = propose(found, previous, settings)
    assert chosen.boxes_xyxy.shape == (3, proposals, 4) and not chosen.positive.any()
    for row in range(3):
        wanted = literal(found.boxes_xyxy[row], found.scores[row], previous[row], settings)
        places = chosen.valid[row]
        assert int(places.sum()) == len(wanted)
        torch.testing.assert_close(chosen.boxes_xyxy[row][places], found.boxes_xyxy[row][wanted])
        torch.testing.assert_close(chosen.scores[row][places], found.scores[row][wanted])


def test_the_place_for_the_last_box_may_go_to_the_surer_of_those_that_fit_it_well() -> None:
    boxes = torch.tensor([[[10.0, 10, 30, 30], [11, 10, 31, 30], [80, 80, 100, 100]]])
    found = candidates(boxes, torch.tensor([[0.2, 0.6, 0.9]]))
    previous = torch.tensor([[10.0, 10, 30, 30]])
    by_overlap = propose(found, previous, config(proposals=2))
    by_score = propose(found, previous, config(proposals=2, last_box="score"))
    assert by_overlap.boxes_xyxy[0].tolist() == [boxes[0, 2].tolist(), boxes[0, 0].tolist()]
    assert by_score.boxes_xyxy[0].tolist() == [boxes[0, 2].tolist(), boxes[0, 1].tolist()]


def test_what_the_coarse_head_calls_invalid_is_never_proposed() -> None:
    found = some(1, 20)
    found = replace(found, valid=torch.arange(20)[None] < 3)
    chosen = propose(found, found.boxes_xyxy[:, 10], config(nms_iou=1.0, lowest_share=0.0))
    assert int(chosen.valid.sum()) == 3
    kept = {tuple(box.tolist()) for box in chosen.boxes_xyxy[chosen.valid]}
    assert kept == {tuple(box.tolist()) for box in found.boxes_xyxy[0, :3]}


def batch(boxes_xyxy: Tensor, positive: Tensor) -> Batch:
    count = len(positive)
    images = torch.zeros(count, 3, SIZE, SIZE)
    truth = boxes_xyxy.where(positive[:, None], torch.nan)
    everyone = torch.ones(count, 1, dtype=torch.bool)
    return Batch(
        template_images=images[..., :64, :64],
        search_images=images,
        template_boxes_xyxy=truth,
        search_boxes_xyxy=truth,
        pair_kind=torch.where(positive, 0, 2),
        positive=positive,
        objects_xyxy=boxes_xyxy[:, None],
        same_category=positive[:, None],
        valid=everyone,
        absent=~positive,
        sample_ids=torch.arange(count) + 5,
    )


TRUTH = torch.tensor([[40.0, 44, 80, 84]]).repeat(2, 1)


@pytest.mark.parametrize("fill", ["shifted", "truth", "none"])
def test_half_of_the_training_boxes_overlap_the_target_by_more_than_half_and_the_others_do_not(fill: str) -> None:
    pairs = batch(TRUTH, torch.tensor([True, False]))
    chosen = choose_for_training(some(2, 400), pairs, config(train_rois=20, train_fill=fill))
    assert chosen.boxes_xyxy.shape == (2, 20, 4)
    overlap = box_iou(chosen.boxes_xyxy, TRUTH[0])
    assert (overlap[chosen.positive & chosen.valid] > 0.5).all()
    assert (overlap[0, ~chosen.positive[0] & chosen.valid[0]] < 0.5).all()
    assert int(chosen.valid[:, 10:].sum()) == 20 and not chosen.positive[:, 10:].any()
    # A pair without the target: whatever is found there is wrong, even where the target of another pair would be.
    assert not chosen.positive[1].any() and not chosen.valid[1, :10].any()
    assert torch.isfinite(chosen.boxes_xyxy).all()
    filled = {"shifted": 10, "truth": 2, "none": 1}[fill]
    assert (int(chosen.positive[0].sum()) == 10) == (fill == "shifted")
    assert int(chosen.positive[0].sum()) >= filled


def test_boxes_of_the_coarse_stage_come_before_those_that_fill_up() -> None:
    shifts = torch.linspace(-9, 9, 7)
    near = torch.stack([TRUTH + torch.tensor([shift, 0, shift, 0]) for shift in shifts.tolist()], dim=1)
    found = candidates(near, torch.linspace(0.9, 0.3, 7).repeat(2, 1))
    settings = config(train_rois=8, train_nms_iou=1.0)
    chosen = choose_for_training(found, batch(TRUTH, torch.tensor([True, True])), settings)
    proposed = {tuple(box.tolist()) for box in near[0]}
    assert all(tuple(box.tolist()) in proposed for box in chosen.boxes_xyxy[0, :4])
    assert (chosen.scores[0, :4] > 0).all()
    assert not chosen.valid[:, 4:].any()  # all seven are the target


def test_the_choice_follows_from_the_sample_ids_alone() -> None:
    found, pairs = some(2, 300), batch(TRUTH, torch.tensor([True, True]))
    settings = config(train_rois=8)
    first = choose_for_training(found, pairs, settings)
    torch.manual_seed(1)
    again = choose_for_training(found, pairs, settings)
    other = choose_for_training(found, replace(pairs, sample_ids=pairs.sample_ids + 1), settings)
    torch.testing.assert_close(again.boxes_xyxy, first.boxes_xyxy)
    assert not torch.equal(other.boxes_xyxy, first.boxes_xyxy)


def test_boxes_centred_outside_the_crop_train_nothing() -> None:
    found = some(1, 50)
    found = replace(found, boxes_xyxy=found.boxes_xyxy - torch.tensor([200.0, 0, 200, 0]))
    chosen = choose_for_training(found, batch(TRUTH[:1], torch.tensor([True])), config(train_rois=8))
    assert chosen.valid[0].tolist() == [True] * 4 + [False] * 4  # filled positives, no negatives


def test_most_shifted_boxes_overlap_the_truth_by_more_than_half() -> None:
    ids = torch.arange(50)
    boxes = TRUTH[:1].repeat(50, 1)
    extra = filling_boxes(boxes, ids, 24, config())
    overlap = box_iou(extra, boxes[:, None])
    assert extra.shape == (50, 49, 4) and (overlap[:, 0] == 1).all()
    assert ((overlap > 0.5).sum(dim=1) >= 24).float().mean() > 0.9
    assert overlap.min() < 0.45 and overlap[:, 1:].max() < 1
