"""Contracts of backbones and matchers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from trackcli.composition.model import TrackerModel
from trackcli.composition.plan import Plan
from trackcli.config.component import BackboneConfig, ComponentConfig, MatcherConfig
from trackcli.contracts.levels import Features, Level
from trackcli.contracts.matching import MatchedLevel
from trackcli.contracts.shapes import LevelShape
from trackcli.host.specs import BackboneSpec, ComponentSpec, MatcherSpec
from trackcli.testing.checks import expect, expect_shape, leaves, response_centers
from trackcli.testing.component import NetworkContract
from trackcli.testing.compositions import build_seeded
from trackcli.testing.scenes import Scene


class BackboneContract(NetworkContract):
    """What a backbone promises: its declared levels are true.

    Example:
        >>> class TestMyBackbone(BackboneContract):
        ...     name = "my-backbone"
    """

    kind: ClassVar[type[ComponentSpec]] = BackboneSpec
    config_base: ClassVar[type[ComponentConfig]] = BackboneConfig
    offset_tolerance: ClassVar[float] = 0.5
    """Strides by which the centre of a cell's receptive field may miss the declared position."""

    def parts(self, model: TrackerModel, planned: Plan) -> nn.Module:
        """The backbone."""
        return model.backbone

    def outputs(self, model: TrackerModel, planned: Plan, scene: Scene) -> dict[str, Tensor]:
        """The levels of the search crops."""
        return _maps(scene.context(model, scene.start(model)).search.features)

    def trained_outputs(self, outputs: Any) -> dict[str, Tensor]:
        """The levels of the search crops, in a training pass."""
        return _maps(outputs.search.features)

    def test_its_levels_are_as_declared(self) -> None:
        """Names, order, channels, strides and offsets."""
        planned = self.plan()
        model, scene = build_seeded(planned), self.scene(planned)
        with torch.no_grad():
            features = scene.context(model, scene.start(model)).search.features
        expect_levels(features, dict(planned.levels), len(scene.rows), "levels()")

    def test_its_cells_look_where_their_offsets_say(self) -> None:
        """Measured by gradients: cell j's receptive field is centred at offset + j · stride."""
        planned = self.plan()
        model, scene = build_seeded(planned), self.scene(planned)
        crops, _ = scene.search(scene.start(model))
        images = crops.requires_grad_()
        for name, level in model.branch(images).features.items():
            _expect_centers(level.map, images, level, f"level {name}", self.offset_tolerance)

    def test_its_stages_are_its_own(self) -> None:
        """Freezing by name must reach this backbone's parameters."""
        backbone = build_seeded(self.plan()).backbone
        own = {id(parameter) for parameter in backbone.parameters()}
        for name, stage in backbone.stages().items():
            strange = any(id(parameter) not in own for parameter in stage.parameters())
            expect(not strange, f"stages() names {name}, which holds parameters that are not the backbone's")


class MatcherContract(NetworkContract):
    """What a matcher promises: its declared responses and adjusted features are true.

    Example:
        >>> class TestMyMatcher(MatcherContract):
        ...     name = "my-matcher"
        ...     settings = {"channels": 16}
    """

    kind: ClassVar[type[ComponentSpec]] = MatcherSpec
    config_base: ClassVar[type[ComponentConfig]] = MatcherConfig
    offset_tolerance: ClassVar[float] = 1.0
    """Strides by which the region that a response looks at may miss the declared position of the target."""

    def parts(self, model: TrackerModel, planned: Plan) -> nn.Module:
        """The matcher."""
        return model.matcher

    def outputs(self, model: TrackerModel, planned: Plan, scene: Scene) -> dict[str, Tensor]:
        """Kernels, responses and adjusted features."""
        state = scene.start(model)
        matched = model.matcher(state.kernel, scene.context(model, state).search)
        return {**leaves(state.kernel, "kernel"), **leaves(matched)}

    def trained_outputs(self, outputs: Any) -> dict[str, Tensor]:
        """Responses and adjusted features, in a training pass."""
        return leaves(outputs.matched)

    def test_its_responses_are_as_declared(self) -> None:
        """Names, channels, stride and sharing of ``matches()``."""
        planned = self.plan()
        model, scene = build_seeded(planned), self.scene(planned)
        state = scene.start(model)
        with torch.no_grad():
            matched = model.matcher(state.kernel, scene.context(model, state).search)
        expect(
            list(matched.levels) == list(planned.matches),
            f"forward() gives levels {list(matched.levels)}; matches() declares {list(planned.matches)}",
        )
        for name, shape in planned.matches.items():
            level: MatchedLevel = matched.levels[name]
            height, width = level.classification.shape[-2:]
            rows, hint = len(scene.rows), "make matches() and forward() agree; the level's maps share one grid"
            expect_shape(
                level.classification, (rows, shape.classification, height, width), f"{name}.classification", hint
            )
            expect_shape(level.regression, (rows, shape.regression, height, width), f"{name}.regression", hint)
            expect(level.stride == shape.stride, f"{name} has stride {level.stride}; matches() declares {shape.stride}")
            expect(
                (level.classification is level.regression) == shape.shared,
                f"{name}: matches() declares shared={shape.shared}, but the maps are "
                f"{'one tensor' if level.classification is level.regression else 'two tensors'}",
            )

    def test_its_adjusted_features_are_as_declared(self) -> None:
        """Losses on embeddings are built from ``adjusted()``."""
        planned = self.plan()
        model, scene = build_seeded(planned), self.scene(planned)
        state = scene.start(model)
        with torch.no_grad():
            context = scene.context(model, state)
            boxes = torch.tensor((0.25, 0.25, 0.75, 0.75)).mul(planned.recipe.crop.search_size)
            _, template = model.matcher.embed(replace(context.search, boxes_xyxy=boxes.expand(len(scene.rows), 4)))
            search = model.matcher(state.kernel, context.search).search
        for side, features in (("embed()", template), ("forward()", search)):
            expect_levels(features, dict(planned.adjusted), len(scene.rows), f"adjusted(), of {side},")

    def test_its_responses_say_where_the_target_is(self) -> None:
        """Measured by gradients: the region that cell j answers for is centred at offset + j · stride."""
        planned = self.plan()
        model, scene = build_seeded(planned), self.scene(planned)
        state = scene.start(model)
        crops, _ = scene.search(state)
        images = crops.requires_grad_()
        matched = model.matcher(state.kernel, model.branch(images))
        for name, level in matched.levels.items():
            _expect_centers(level.classification, images, level, f"response {name}", self.offset_tolerance)


def expect_levels(features: Features, declared: dict[str, LevelShape], rows: int, method: str) -> None:
    """Levels are those that the configuration's ``method`` declares.

    Raises:
        AssertionError: naming the level and the number that differs.
    """
    expect(
        list(features) == list(declared),
        f"the levels are {list(features)}; {method} declares {list(declared)}, in order",
    )
    for name, shape in declared.items():
        level = features[name]
        height, width = level.map.shape[-2:]
        hint = f"make {method} and the code agree"
        expect_shape(level.map, (rows, shape.channels, height, width), f"level {name}", hint)
        expect(
            level.stride == shape.stride, f"level {name} has stride {level.stride}; {method} declares {shape.stride}"
        )
        expect(
            level.offset == shape.offset, f"level {name} has offset {level.offset}; {method} declares {shape.offset}"
        )


def _maps(features: Features) -> dict[str, Tensor]:
    return {name: level.map for name, level in features.items()}


def _expect_centers(maps: Tensor, images: Tensor, level: Level | MatchedLevel, what: str, tolerance: float) -> None:
    """Cells about the middle, where padding matters least, look where the grid says."""
    middle = maps.shape[-1] // 2
    cells = [cell for cell in (middle - 1, middle, middle + 1) if 0 <= cell < maps.shape[-1]]
    for cell, (x, y) in zip(cells, response_centers(maps, images, cells), strict=True):
        wanted = level.offset + cell * level.stride
        away = max(abs(x - wanted), abs(y - wanted))
        expect(
            away <= tolerance * level.stride,
            f"{what}: cell {cell} looks at ({x:.1f}, {y:.1f}), but offset {level.offset:g} and stride {level.stride:g} "
            f"say {wanted:g}; offset is the centre of cell 0 in continuous crop pixels",
        )
