"""The contract of heads."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from trackcli.composition.model import TrackerModel
from trackcli.composition.plan import Plan
from trackcli.config.component import ComponentConfig, HeadConfig
from trackcli.contracts.context import Context
from trackcli.contracts.predictions import AnchorOutput, Candidates, PointOutput, Predictions
from trackcli.host.specs import ComponentSpec, HeadSpec
from trackcli.testing.checks import expect, expect_same, expect_shape, leaves
from trackcli.testing.component import NetworkContract
from trackcli.testing.compositions import build_seeded
from trackcli.testing.scenes import Scene

_SCORES_OF_POINTS = {"points": 2, "centers": 1}


class HeadContract(NetworkContract):
    """What a head promises: predictions of its declared kind, and candidates that every link understands.

    Example:
        >>> class TestMyHead(HeadContract):
        ...     name = "my-head"
    """

    kind: ClassVar[type[ComponentSpec]] = HeadSpec
    config_base: ClassVar[type[ComponentConfig]] = HeadConfig

    def parts(self, model: TrackerModel, planned: Plan) -> nn.Module:
        """The head."""
        return model.head

    def outputs(self, model: TrackerModel, planned: Plan, scene: Scene) -> dict[str, Tensor]:
        """What it keeps of the template, and the candidates."""
        state = scene.start(model)
        context = scene.context(model, state)
        candidates = model.head.decode(model.predict(state.kernel, context), context)
        return {**leaves(state.head_kernel, "embed()"), **leaves(candidates)}

    def trained_outputs(self, outputs: Any) -> dict[str, Tensor]:
        """Predictions in a training pass."""
        return leaves(outputs.predictions)

    def test_its_predictions_are_of_the_declared_kind(self) -> None:
        """Losses are chosen by ``predicts``: ``anchors``, ``points`` and ``centers`` have known shapes."""
        planned = self.plan()
        predictions, _, rows = self._predictions(planned)
        config = planned.head.config
        assert isinstance(config, HeadConfig)
        for name, output in {"output": predictions.output, **predictions.stages}.items():
            if config.predicts == "anchors":
                _expect_anchors(output, name, rows)
            elif config.predicts in _SCORES_OF_POINTS:
                _expect_points(output, name, rows, _SCORES_OF_POINTS[config.predicts])
            expect(
                type(output) is type(predictions.output),
                f"stage {name} is a {type(output).__name__}; stages are of the same type as the output",
            )

    def test_its_candidates_have_one_shape_and_sound_values(self) -> None:
        """After ``decode`` nobody needs to know which head it was."""
        planned = self.plan()
        predictions, context, rows = self._predictions(planned)
        candidates: Candidates = self._model(planned).head.decode(predictions, context)
        count = candidates.scores.shape[-1]
        hint = "candidates are (B, N) and (B, N, 4), boxes in search-crop pixels"
        expect_shape(candidates.scores, (rows, count), "scores", hint)
        expect_shape(candidates.boxes_xyxy, (rows, count, 4), "boxes_xyxy", hint)
        expect_shape(candidates.points_xy, (rows, count, 2), "points_xy", hint)
        for name in ("ranking", "penalty", "valid"):
            expect_shape(getattr(candidates, name), (rows, count), name, hint)
        expect(candidates.valid.dtype == torch.bool, f"valid is {candidates.valid.dtype}; expected torch.bool")
        scores = candidates.scores
        expect(((scores >= 0) & (scores <= 1)).all(), "a score is outside 0..1; scores are confidence: use a softmax")
        expect_same(
            {"ranking": candidates.ranking},
            {"ranking": scores},
            "decode() gives a ranking other than the scores; only links change the ranking",
        )
        boxes = candidates.boxes_xyxy
        expect(
            (boxes[..., 2:] >= boxes[..., :2]).all(), "a box has x1 < x0 or y1 < y0; boxes are corners x0, y0, x1, y1"
        )

    def _model(self, planned: Plan) -> TrackerModel:
        return build_seeded(planned)

    @torch.no_grad()
    def _predictions(self, planned: Plan) -> tuple[Predictions[Any], Context, int]:
        model, scene = self._model(planned), self.scene(planned)
        state = scene.start(model)
        context = scene.context(model, state)
        return model.predict(state.kernel, context), context, len(scene.rows)


def _expect_anchors(output: object, name: str, rows: int) -> None:
    if not isinstance(output, AnchorOutput):
        raise AssertionError(f"{name} is a {type(output).__name__}; predicts = 'anchors' promises an AnchorOutput")
    count = output.anchors_xyxy.shape[0]
    hint = "N is anchors per cell · height · width"
    expect_shape(output.logits, (rows, count, 2), f"{name}.logits", hint)
    expect_shape(output.deltas, (rows, count, 4), f"{name}.deltas", hint)
    cells = output.grid.height * output.grid.width
    expect(count % cells == 0, f"{name} has {count} anchors on {cells} cells; {hint}")


def _expect_points(output: object, name: str, rows: int, scores: int) -> None:
    if not isinstance(output, PointOutput):
        raise AssertionError(
            f"{name} is a {type(output).__name__}; predicts = 'points' or 'centers' promise PointOutput"
        )
    count, hint = output.points_xy.shape[0], "N is height · width, row by row"
    expect_shape(output.logits, (rows, count, scores), f"{name}.logits", hint)
    expect_shape(output.distances, (rows, count, 4), f"{name}.distances", hint)
    expect((output.distances >= 0).all(), f"{name}.distances has negative values; use exp, softplus or relu")
    expect(count == output.grid.height * output.grid.width, f"{name} has {count} points; {hint}")
