"""Tracking in bf16: the network rounds, what it hands on is float32, and boxes stay where they were."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import trackcli
from trackcli.contracts.context import Context
from trackcli.contracts.predictions import PointOutput
from trackcli.engines.eager import optimised
from trackcli.engines.precision import Bf16Model, in_float32
from trackcli.errors import UsageError
from trackcli.geometry.boxes import box_iou
from trackcli.synth.sequences import make_sequence
from trackcli.synth.settings import SceneSettings


def test_what_the_network_hands_on_is_float32() -> None:
    model = optimised(trackcli.compose(preset="fast", device="cpu").model, "bf16")
    assert isinstance(model, Bf16Model)
    with torch.inference_mode():
        template = model.branch(torch.rand(1, 3, 128, 128) * 255, torch.tensor([[32.0, 32.0, 96.0, 96.0]]))
        search = model.branch(torch.rand(1, 3, 256, 256) * 255)
        embedding = model.embed(template)
        output = model.predict(embedding.kernel, Context(search=search)).output
    assert isinstance(output, PointOutput)
    found = [level.map for level in search.features.values()] + list(embedding.kernel.values())
    found += [output.logits, output.distances]
    assert {tensor.dtype for tensor in found if tensor.is_floating_point()} == {torch.float32}
    assert torch.equal(output.logits, output.logits.bfloat16().float())  # it did round


def test_only_bfloat16_tensors_are_changed() -> None:
    given = {"a": torch.ones(2, dtype=torch.bfloat16), "b": torch.ones(2, dtype=torch.int64)}
    changed = in_float32(given)
    assert (changed["a"].dtype, changed["b"]) == (torch.float32, given["b"])
    assert in_float32("text") == "text"


def test_the_shipped_tracker_follows_a_target_as_in_fp32() -> None:
    sequence = make_sequence(SceneSettings(frames=12, size_wh=(320, 240), seed=1))
    frames, boxes = list(sequence.frames), []
    for precision in ("fp32", "bf16"):
        tracker = trackcli.load("fast", device="cpu", precision=precision)
        tracker.start(frames[0], sequence.boxes_xywh[0])
        boxes.append(np.concatenate([tracker.update(frame).boxes_xyxy for frame in frames[1:]]))
    overlaps = box_iou(*(torch.from_numpy(each) for each in boxes))
    assert overlaps.min() > 0.9
    assert (boxes[0] != boxes[1]).any()


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(UsageError, match="--precision half is unknown; expected fp32 or bf16"):
        trackcli.load("fast", device="cpu", precision="half")
