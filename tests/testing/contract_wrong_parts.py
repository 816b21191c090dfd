"""Deliberately wrong components: each breaks one promise."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from trackcli.builtin.backbones.resnet18 import ResNet18
from trackcli.builtin.config import HoldConfig
from trackcli.builtin.heads.rpn import RpnHead
from trackcli.builtin.losses.rpn import RpnLoss
from trackcli.builtin.matchers.correlation import DepthwiseCorrelation
from trackcli.builtin.postprocessors.track import Hold
from trackcli.contracts.components import Loss


class ConfigBesideTorch(HoldConfig):
    pass


class MovedBackbone(ResNet18):
    def forward(self, images):
        return {name: replace(level, offset=level.offset + 8) for name, level in super().forward(images).items()}


class BorrowedStages(ResNet18):
    def stages(self):
        return {"stem": nn.Conv2d(1, 1, 1)}


class BatchStatistics(ResNet18):
    def forward(self, images):
        return super().forward(images - images.mean(dim=0))


class Restless(ResNet18):
    def forward(self, images):
        return super().forward(images + torch.rand_like(images))


class Forgetful(ResNet18):
    def __init__(self, config):
        super().__init__(config)
        self.gain = float(torch.rand(()))

    def forward(self, images):
        return super().forward(images * self.gain)


class DeadWeight(ResNet18):
    def __init__(self, config):
        super().__init__(config)
        self.never_used = nn.Parameter(torch.zeros(3))


class ForgottenKernelWidth(DepthwiseCorrelation):
    def forward(self, kernel, search):
        matched = super().forward(kernel, search)
        return replace(matched, levels={name: replace(level, offset=0.5) for name, level in matched.levels.items()})


class OneTargetOnly(DepthwiseCorrelation):
    def embed(self, template):
        kernel, adjusted = super().embed(template)
        return {**kernel, "scale": torch.ones(())}, adjusted


class FailsWhenUsed(DepthwiseCorrelation):
    def embed(self, template):
        raise ValueError("too bad")


class Branching(RpnHead):
    def decode(self, predictions, context):
        candidates = super().decode(predictions, context)
        if candidates.scores.max() > 0.5:
            candidates = replace(candidates, penalty=candidates.penalty * 0.5)
        return candidates


class ReadingBack(RpnHead):
    def decode(self, predictions, context):
        candidates = super().decode(predictions, context)
        return replace(candidates, penalty=candidates.penalty * candidates.scores.max().item())


class Unranked(RpnHead):
    def decode(self, predictions, context):
        candidates = super().decode(predictions, context)
        return replace(candidates, ranking=candidates.ranking * 0.5)


class Logits(RpnHead):
    def decode(self, predictions, context):
        logits = predictions.output.logits[..., 1] - 3
        return replace(super().decode(predictions, context), scores=logits, ranking=logits)


class NotAnchors(RpnHead):
    def forward(self, matched, context):
        return replace(super().forward(matched, context), output=matched)


class Unbounded(RpnHead):
    def forward(self, matched, context):
        predictions = super().forward(matched, context)
        endless = predictions.output.deltas / torch.zeros(())
        return replace(predictions, output=replace(predictions.output, deltas=endless))


class ReadsMissingTruth(Loss):
    def __init__(self, config, adjusted):
        super().__init__()

    def forward(self, outputs, batch):
        error = (outputs.predictions.output.deltas - batch.search_boxes_xyxy[:, None]).square().mean(dim=(1, 2))
        return {"box": (error * batch.positive).mean()}


class PerPair(Loss):
    def __init__(self, config, adjusted):
        super().__init__()

    def forward(self, outputs, batch):
        return {"score": outputs.predictions.output.logits.mean(dim=(1, 2))}


class Detached(RpnLoss):
    def forward(self, outputs, batch):
        return {name: value.detach() for name, value in super().forward(outputs, batch).items()}


class Weighted(RpnLoss):
    def forward(self, outputs, batch):
        return {name: value * self.config.weight for name, value in super().forward(outputs, batch).items()}


class Dicing(RpnLoss):
    def forward(self, outputs, batch):
        return {name: value * torch.rand(()) for name, value in super().forward(outputs, batch).items()}


class CountsOnItself(Hold):
    """Remembers on the module, not in the state."""

    def step(self, selection, state, context):
        self.seen = getattr(self, "seen", 0) + 1
        return replace(selection, scores=selection.scores / self.seen), state


class MeanOfAll(Hold):
    def step(self, selection, state, context):
        return replace(selection, scores=selection.scores.mean().expand_as(selection.scores)), state


class GrowingState(Hold):
    def start(self, context):
        return {"last": context.boxes_xyxy}

    def step(self, selection, state, context):
        return selection, {"last": torch.cat((state["last"], selection.boxes_xyxy), dim=1)}


class NoSuchSize(Hold):
    def step(self, selection, state, context):
        return replace(selection, shape_index=selection.shape_index + 7), state


class UpdatesByNumber(Hold):
    def rows_to_update(self, frame_index, flags):
        return torch.tensor([0])


class SharedMemory(Hold):
    """A state whose rows depend on one another."""

    def start(self, context):
        return {"count": torch.zeros(len(context.boxes_xyxy))}

    def step(self, selection, state, context):
        count = state["count"] + 1
        return replace(selection, scores=selection.scores / count.sum()), {"count": count}


class Flat(Hold):
    def step(self, selection, state, context):
        boxes = selection.boxes_xyxy.clone()
        boxes[:, 2] = boxes[:, 0]
        return replace(selection, boxes_xyxy=boxes), state
