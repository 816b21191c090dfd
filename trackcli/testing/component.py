"""What every component promises, whatever its kind: the base of all contracts."""

from __future__ import annotations

import tempfile
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from trackcli.composition.files import load_tracker, save_tracker
from trackcli.composition.model import TrackerModel
from trackcli.composition.plan import Plan
from trackcli.errors import FitError
from trackcli.testing.checks import expect, expect_finite, expect_same
from trackcli.testing.compositions import build_losses_seeded, build_seeded, plans_with_partners, tiny_plan
from trackcli.testing.scenes import TARGETS, Scene, synthetic_clip, training_batch
from trackcli.testing.settings import SettingsContract
from trackcli.testing.steps import expect_exports, expect_no_synchronisation
from trackcli.tracking.tracker import Tracker

BATCH_TOLERANCE = 1e-4
"""Largest difference between a batch of N and N of one, as a share of the largest value: float rounding, no more."""


class ComponentContract(SettingsContract):
    """Tests that pytest runs in a class derived from one of the kinds' contracts.

    Attributes:
        partners: Parts of the tiny recipe to replace when the built-in ones do not fit, as in a configuration file:
            ``{"head": {"name": "my-head"}}``.
    """

    partners: ClassVar[Mapping[str, Any]] = {}

    def plan(self) -> Plan:
        """The component in a tiny composition."""
        registry = self.registry
        try:
            return tiny_plan(registry, self.find(registry), self.settings, self.partners)
        except FitError as error:
            raise AssertionError(
                f"{error}; the tiny built-in parts do not fit: name some with partners = {{'head': {{'name': …}}}}"
            ) from error

    def scene(self, planned: Plan) -> Scene:
        """Targets to try it on."""
        return Scene(synthetic_clip(), planned.recipe.crop)

    def test_it_composes_with_every_built_in_partner_it_fits(self) -> None:
        """Whatever planning accepts must build and predict."""
        registry = self.registry
        plans = plans_with_partners(registry, self.find(registry), self.settings, self.partners)
        fitted = []
        for partner, planned in plans:
            fitted.append(partner)
            try:
                model = build_seeded(planned)
                outputs = model(training_batch(self.scene(planned)), with_candidates=True)
            except (RuntimeError, KeyError, ValueError, TypeError, IndexError) as error:
                raise AssertionError(
                    f"with {partner} it is planned but fails: {error}; declare what it needs (check() or matches() "
                    "raise FitError), or make it work"
                ) from error
            expect_finite({"scores": outputs.candidates.scores}, f"with {partner}")
        expect(
            bool(fitted) or bool(self.partners),
            "it fits no built-in partner at all; if that is meant, name its own with partners = {…}",
        )

    def test_it_trains_a_step(self) -> None:
        """One step on labelled pairs, one of them without the target, whose box is NaN."""
        planned = self.plan()
        expect(
            bool(planned.losses),
            f"head {planned.head.spec.name!r} has no loss to train with; give its spec default_losses, or name one "
            "with partners = {'loss': [{'name': …}]}",
        )
        model, losses = build_seeded(planned).train(), build_losses_seeded(planned)
        batch = training_batch(self.scene(planned))
        optimizer = torch.optim.SGD([*model.parameters(), *losses.parameters()], lr=1e-3)
        terms = losses(model(batch, with_candidates=losses.needs_candidates), batch)
        expect_finite(terms, "loss term")
        torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]  # torch annotates in part
        optimizer.step()
        expect_finite(dict(model.named_parameters()), "after one step, parameter")

    def test_it_tracks_three_frames(self) -> None:
        """From a first frame through three more, as ``trackcli track`` does it."""
        planned = self.plan()
        tracker = Tracker("contract", build_seeded(planned), planned, device="cpu")
        clip = synthetic_clip()
        tracker.start(clip.frames[0], clip.boxes_xywh[:1].repeat(TARGETS, axis=0))
        for frame in clip.frames[1:4]:
            result = tracker.update(frame)
            boxes_xyxy, scores = torch.from_numpy(result.boxes_xyxy), torch.from_numpy(result.scores)
            expect_finite({"box": boxes_xyxy, "score": scores}, "while tracking,")
            expect(
                (boxes_xyxy[:, 2:] > boxes_xyxy[:, :2]).all(), "while tracking, a box has no area; keep sides above 0"
            )
            expect(
                ((scores >= 0) & (scores <= 1)).all(), "while tracking, a score is outside 0..1; scores are confidence"
            )


class TrackedContract(ComponentContract):
    """What components that run while tracking promise beside: all but losses."""

    @abstractmethod
    def parts(self, model: TrackerModel, planned: Plan) -> nn.Module:
        """The component in the built model."""

    @abstractmethod
    def outputs(self, model: TrackerModel, planned: Plan, scene: Scene) -> dict[str, Tensor]:
        """What the component makes of a scene: tensors with leading dimension B, by name."""

    def test_its_outputs_are_finite_and_have_one_row_per_target(self) -> None:
        """Every tensor starts with the target dimension."""
        planned = self.plan()
        with torch.no_grad():
            outputs = self.outputs(build_seeded(planned), planned, self.scene(planned))
        for name, tensor in outputs.items():
            expect(
                tensor.ndim > 0 and tensor.shape[0] == TARGETS,
                f"{name} has shape {tuple(tensor.shape)} for {TARGETS} targets; the first dimension is the target",
            )
        expect_finite(outputs, "output")

    def test_a_batch_equals_its_rows_one_by_one(self) -> None:
        """Targets must not influence one another."""
        planned = self.plan()
        model, scene = build_seeded(planned), self.scene(planned)
        with torch.no_grad():
            together = self.outputs(model, planned, scene)
            for place, row in enumerate(scene.rows):
                expect_same(
                    {name: tensor[0] for name, tensor in self.outputs(model, planned, scene.only(row)).items()},
                    {name: tensor[place] for name, tensor in together.items()},
                    f"target {row} alone and in a batch of {TARGETS} disagree, in evaluation mode; no statistics, sums "
                    "or shapes across the first dimension",
                    BATCH_TOLERANCE,
                )

    def test_the_same_seed_gives_the_same_weights_and_outputs(self) -> None:
        """Weights follow from torch's generator alone, and evaluation uses no chance."""
        planned = self.plan()
        scene = self.scene(planned)
        one, two = build_seeded(planned, seed=3), build_seeded(planned, seed=3)
        expect_same(
            self.parts(one, planned).state_dict(),
            self.parts(two, planned).state_dict(),
            "two builds with one seed have different weights; draw them from torch's generator only",
        )
        with torch.no_grad():
            first, second = self.outputs(one, planned, scene), self.outputs(two, planned, scene)
        expect_same(first, second, "two runs with the same weights disagree; in evaluation mode nothing is random")

    def test_its_state_dict_and_a_tracker_file_bring_it_back(self) -> None:
        """All that was learnt is in parameters and buffers, and a tracker file restores it."""
        planned = self.plan()
        scene = self.scene(planned)
        model, other = build_seeded(planned, seed=1), build_seeded(planned, seed=2)
        other.load_state_dict(model.state_dict())
        with torch.no_grad():
            expect_same(
                self.outputs(other, planned, scene),
                self.outputs(model, planned, scene),
                "weights loaded into another instance give other outputs; keep it in parameters and buffers",
            )
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "contract.safetensors"
            save_tracker(path, model, planned, {})
            again, _, _ = load_tracker(path, self.registry)
        expect(
            again.state_dict().keys() == model.state_dict().keys(),
            "a tracker file brings other parameters back; build them from configuration and declared shapes alone",
        )

    def test_the_step_exports(self) -> None:
        """No branch on values and nothing read back: otherwise the step cannot be captured, and the host waits.

        Traced everywhere; on a machine with a CUDA device the waits are counted too.
        """
        planned = self.plan()
        expect_exports(build_seeded(planned), self.scene(planned))
        expect_no_synchronisation(build_seeded(planned), self.scene(planned))


class NetworkContract(TrackedContract):
    """What components with weights promise beside."""

    def test_gradients_are_finite_and_reach_every_parameter(self) -> None:
        """A parameter without gradient is never learnt, and stops training on several devices."""
        planned = self.plan()
        model = build_seeded(planned).train()
        part = self.parts(model, planned)
        outputs = model(training_batch(self.scene(planned)))
        used = self.trained_outputs(outputs)
        floats = [tensor for tensor in used.values() if tensor.requires_grad]
        expect(bool(floats), "no output depends on weights or images; is something detached or made with no_grad?")
        torch.stack([tensor.float().square().mean() for tensor in floats]).sum().backward()  # type: ignore[no-untyped-call]
        for name, parameter in part.named_parameters():
            if not parameter.requires_grad:
                continue
            if parameter.grad is None:
                raise AssertionError(f"parameter {name} takes no part in the output; use it or leave it out")
            expect_finite({name: parameter.grad}, "the gradient of")

    @abstractmethod
    def trained_outputs(self, outputs: Any) -> dict[str, Tensor]:
        """The component's outputs in a training pass."""
