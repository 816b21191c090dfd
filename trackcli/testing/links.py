"""The contract of candidate links, selections and track links."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from trackcli.composition.model import TrackerModel
from trackcli.composition.plan import Plan
from trackcli.config.component import ComponentConfig, PostprocessorConfig
from trackcli.contracts.components import Link, Select
from trackcli.contracts.context import Context
from trackcli.contracts.predictions import Candidates, Selection
from trackcli.contracts.state import State, take_rows, write_rows
from trackcli.geometry.boxes import boxes_from_centers
from trackcli.host.specs import ComponentSpec, PostprocessorSpec
from trackcli.testing.checks import expect, expect_same, expect_shape, leaves
from trackcli.testing.component import BATCH_TOLERANCE, TrackedContract
from trackcli.testing.compositions import build_seeded
from trackcli.testing.scenes import Scene

_CANDIDATES = 40


class LinkContract(TrackedContract):
    """What links and selections promise: rows that live alone, and a state that keeps its form.

    Example:
        >>> class TestMyLink(LinkContract):
        ...     name = "my-link"
    """

    kind: ClassVar[type[ComponentSpec]] = PostprocessorSpec
    config_base: ClassVar[type[ComponentConfig]] = PostprocessorConfig

    def parts(self, model: TrackerModel, planned: Plan) -> nn.Module:
        """The link."""
        name = self.find(self.registry).name
        for links in (model.candidate_links, model.track_links):
            if name in links:
                return links[name]
        return model.select

    def outputs(self, model: TrackerModel, planned: Plan, scene: Scene) -> dict[str, Tensor]:
        """What it gives in the first step, and its state after it."""
        state = scene.start(model)
        result, following = self.step(model, planned, scene, self._own(state.links), later=1)
        return {**leaves(result), **leaves(following, "state")}

    def step(
        self, model: TrackerModel, planned: Plan, scene: Scene, state: State, *, later: int
    ) -> tuple[Candidates | Selection, State]:
        """Run the link alone on made-up candidates, ``later`` frames after the start.

        Args:
            model: Where the link is in.
            planned: Its plan.
            scene: The targets.
            state: The link's state of these targets; empty for a selection.
            later: Which frame; also seeds the candidates.
        """
        link: Any = self.parts(model, planned)
        context = scene.context(model, scene.start(model), later=later)
        candidates = made_up_candidates(scene, later)
        if isinstance(link, Select):
            return link(candidates, context), {}
        given = candidates if link in model.candidate_links.values() else self._selected(model, candidates, context)
        result, following = link.step(given, state, context)
        return result, following

    @torch.no_grad()
    def test_its_state_keeps_its_form(self) -> None:
        """Same names, shapes and types after every step: otherwise rows cannot be written."""
        planned = self.plan()
        model, scene = build_seeded(planned), self.scene(planned)
        state = self._own(scene.start(model).links)
        _, following = self.step(model, planned, scene, state, later=1)
        expect(
            following.keys() == state.keys(),
            f"step() gives state {sorted(following)}; start() gave {sorted(state)}; every step returns every leaf",
        )
        for name, leaf in state.items():
            expect(
                leaf.ndim > 0 and leaf.shape[0] == len(scene.rows),
                f"state {name} has shape {tuple(leaf.shape)}; the first dimension is the target",
            )
            expect_shape(
                following[name], leaf.shape, f"state {name} after a step", "it keeps the shape start() gave it"
            )
            expect(
                following[name].dtype == leaf.dtype, f"state {name} changes from {leaf.dtype} to its type after a step"
            )

    @torch.no_grad()
    def test_a_row_restarts_alone(self) -> None:
        """Restarting one target leaves the others as they were, and gives it what a fresh one has."""
        planned = self.plan()
        model, scene = build_seeded(planned), self.scene(planned)
        fresh = self._own(scene.start(model).links)
        _, used = self.step(model, planned, scene, dict(fresh), later=1)
        row = torch.tensor([1])
        restarted = write_rows(used, row, take_rows(fresh, row))
        after = leaves(self.step(model, planned, scene, restarted, later=2)[0])
        alone = leaves(self.step(model, planned, scene.only(scene.rows[1]), take_rows(fresh, row), later=2)[0])
        undisturbed = leaves(self.step(model, planned, scene, dict(used), later=2)[0])
        for name, tensor in after.items():
            remedy = "keep what is remembered in the state, by row, and nothing on the module"
            kept, wanted = {name: tensor[[0, 2]]}, {name: undisturbed[name][[0, 2]]}
            expect_same(kept, wanted, f"restarting one target disturbs the others; {remedy}", BATCH_TOLERANCE)
            expect_same(
                {name: tensor[1]}, {name: alone[name][0]}, f"a restarted target is not fresh; {remedy}", BATCH_TOLERANCE
            )

    @torch.no_grad()
    def test_its_result_has_the_shapes_of_its_stage(self) -> None:
        """Candidates stay N, a selection is one box per target with a known search size."""
        planned = self.plan()
        model, scene = build_seeded(planned), self.scene(planned)
        rows = len(scene.rows)
        result, _ = self.step(model, planned, scene, self._own(scene.start(model).links), later=1)
        if isinstance(result, Candidates):
            wanted = leaves(made_up_candidates(scene, 1))
            for name, tensor in wanted.items():
                expect_shape(leaves(result)[name], tensor.shape, name, "links keep the number and order of candidates")
        else:
            for name, shape in (("boxes_xyxy", (rows, 4)), ("search_boxes_xyxy", (rows, 4)), ("scores", (rows,))):
                expect_shape(getattr(result, name), shape, name, "a selection has one row per target")
            sizes = len(scene.crop.search_sizes)
            index = result.shape_index
            expect(
                index.dtype == torch.int64 and bool(((index >= 0) & (index < sizes)).all()),
                f"shape_index is {index.tolist()} ({index.dtype}); expected int64 in 0..{sizes - 1}",
            )
        for name, flag in result.flags.items():
            expect_shape(flag, (rows,), f"flag {name}", "flags are read out with the boxes: one number per target")

    def test_it_names_rows_to_update_on_the_host(self) -> None:
        """None, or one bool per target on the CPU."""
        planned = self.plan()
        model, scene = build_seeded(planned), self.scene(planned)
        link = self.parts(model, planned)
        if not isinstance(link, Link):
            return
        with torch.no_grad():
            result, _ = self.step(model, planned, scene, self._own(scene.start(model).links), later=1)
        flags = {name: flag.double().cpu() for name, flag in result.flags.items()}
        rows = link.rows_to_update(torch.ones(len(scene.rows), dtype=torch.int64), flags)
        if rows is None:
            return
        expect_shape(rows, (len(scene.rows),), "rows_to_update()", "one bool per target, or None")
        expect(
            rows.dtype == torch.bool and rows.device.type == "cpu", "rows_to_update() gives no bool tensor on the CPU"
        )

    def _own(self, links: dict[str, State]) -> State:
        return dict(links.get(self.find(self.registry).name, {}))

    def _selected(self, model: TrackerModel, candidates: Candidates, context: Context) -> Selection:
        selection: Selection = model.select(candidates, context)
        return selection


def made_up_candidates(scene: Scene, later: int) -> Candidates:
    """Candidates with clearly different scores, a function of target and frame alone, all over the search crop."""
    boxes, scores, points = [], [], []
    for row in scene.rows:
        generator = torch.Generator().manual_seed(1000 * later + row)
        centers = torch.rand(_CANDIDATES, 2, generator=generator) * scene.crop.search_size
        sizes = 8 + torch.rand(_CANDIDATES, 2, generator=generator) * 40
        boxes.append(boxes_from_centers(centers, sizes))
        surest = 0.6 + 0.4 * torch.rand((), generator=generator)
        scores.append(surest * (torch.randperm(_CANDIDATES, generator=generator) + 1) / _CANDIDATES)
        points.append(centers)
    stacked = torch.stack(scores)
    return Candidates(
        boxes_xyxy=torch.stack(boxes),
        scores=stacked,
        ranking=stacked,
        penalty=torch.ones_like(stacked),
        points_xy=torch.stack(points),
        valid=torch.ones_like(stacked, dtype=torch.bool),
    )
