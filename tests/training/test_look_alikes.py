"""Which object beside the target counts as its look-alike."""

from __future__ import annotations

import torch

from trackcli.contracts.training import Batch
from trackcli.training.look_alikes import nearest_look_alikes


def test_the_look_alike_is_the_nearest_other_object_of_the_category_in_view() -> None:
    target = (40.0, 40.0, 60.0, 60.0)
    objects = [
        target,
        (90.0, 40.0, 110.0, 60.0),
        (66.0, 40.0, 86.0, 60.0),
        (41.0, 40.0, 61.0, 60.0),  # covers the target
        (120.0, 40.0, 140.0, 60.0),  # out of view
        (62.0, 50.0, 65.0, 53.0),  # tiny
    ]
    rows = torch.tensor([objects] * 3)
    alike = torch.tensor([[True, True, False, True, True, True], [True] * 6, [True, False, False, True, True, True]])
    images, boxes = torch.zeros(3, 3, 128, 128), torch.tensor([target] * 3)
    ids = torch.arange(3)
    positive = torch.tensor([True, True, True])
    batch = Batch(
        images, images, boxes, boxes, ids, positive, rows, alike, torch.ones(3, 6, dtype=torch.bool), ~positive, ids
    )
    chosen, usable = nearest_look_alikes(batch)
    # The nearer one is of another category; then it counts; then none is left.
    assert chosen[:2].tolist() == [list(objects[1]), list(objects[2])]
    assert usable.tolist() == [True, True, False]
