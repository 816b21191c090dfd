"""Pictures of what the network makes of a few pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from trackcli.training.snapshot import response_picture

if TYPE_CHECKING:
    from conftest import NewRun


def test_a_snapshot_shows_the_last_steps_pairs_and_disturbs_nothing(new_run: NewRun) -> None:
    run = new_run("train.steps=2", "train.batch=4")
    assert run.snapshot() is None
    reports = run.steps()
    next(reports)
    before = {name: value.clone() for name, value in run.model.state_dict().items()}
    modes = [module.training for module in run.model.modules()]
    shot = run.snapshot(count=3)
    assert shot is not None
    assert shot.sample_ids.tolist() == [0, 1, 2]
    assert shot.template_images.shape == (3, 3, 63, 63) and shot.template_images.dtype == torch.uint8
    assert shot.search_images.shape == (3, 3, 127, 127)
    assert shot.predicted_boxes_xyxy.shape == (3, 4)
    assert shot.response.shape == (3, 16, 16)
    assert torch.allclose(shot.response.amax(dim=(1, 2)), shot.scores)  # before any link ranks, the best is the highest
    assert [module.training for module in run.model.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in run.model.state_dict().items())
    reports.close()


def test_a_response_holds_the_highest_score_of_each_cell() -> None:
    points_xy = torch.tensor([[[4.0, 4.0], [5.0, 4.0], [12.0, 20.0], [99.0, 4.0]]])
    picture = response_picture(points_xy, torch.tensor([[0.2, 0.6, 0.9, 0.4]]), 24)
    assert torch.allclose(picture, torch.tensor([[[0.6, 0.0, 0.4], [0.0, 0.0, 0.0], [0.0, 0.9, 0.0]]]))
