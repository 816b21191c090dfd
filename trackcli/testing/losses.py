"""The contract of losses."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from trackcli.composition.build import WeightedLosses
from trackcli.composition.model import TrackerModel
from trackcli.composition.plan import Plan
from trackcli.config.component import ComponentConfig, LossConfig
from trackcli.host.specs import ComponentSpec, LossSpec
from trackcli.testing.checks import expect, expect_finite, expect_same, expect_shape
from trackcli.testing.component import ComponentContract
from trackcli.testing.compositions import build_losses_seeded, build_seeded
from trackcli.testing.scenes import TARGETS, training_batch


class LossContract(ComponentContract):
    """What a loss promises: finite scalar terms, from pairs with and without the target.

    Example:
        >>> class TestMyLoss(LossContract):
        ...     name = "my-loss"
    """

    kind: ClassVar[type[ComponentSpec]] = LossSpec
    config_base: ClassVar[type[ComponentConfig]] = LossConfig

    def terms(self, planned: Plan, *, negative: int = 1, seed: int = 0) -> tuple[dict[str, Tensor], TrackerModel]:
        """The unweighted terms of a tiny batch, and the network that they came from."""
        model, losses = build_seeded(planned).train(), build_losses_seeded(planned, seed)
        return self._terms(planned, model, losses, negative), model

    def test_its_terms_are_finite_scalars(self) -> None:
        """Named, one number each."""
        terms, _ = self.terms(self.plan())
        expect(bool(terms), "forward() gives no terms; return a dictionary of scalars by name")
        for name, value in terms.items():
            expect_shape(value, (), f"term {name}", "reduce it to one number: a mean, or a masked mean")
            expect(value.dtype == torch.float32, f"term {name} is {value.dtype}; cast what the network gave to float32")
        expect_finite(terms, "term")

    def test_pairs_without_the_target_do_not_break_it(self) -> None:
        """Their ``search_boxes_xyxy`` is NaN here: it means nothing and must reach neither loss nor gradient."""
        for negative in (0, 1, TARGETS):
            terms, model = self.terms(self.plan(), negative=negative)
            what = f"with {negative} of {TARGETS} pairs without target, "
            remedy = "mask with batch.positive by torch.where before any arithmetic, and divide by clamp(min=1) counts"
            for name, value in terms.items():
                expect(torch.isfinite(value), f"{what}term {name} is {float(value.detach())}; {remedy}")
            learnt = [value for value in terms.values() if value.requires_grad]
            if learnt:
                torch.stack(learnt).sum().backward()  # type: ignore[no-untyped-call]  # torch annotates in part
            for name, parameter in model.named_parameters():
                finite = parameter.grad is None or bool(torch.isfinite(parameter.grad).all())
                expect(finite, f"{what}the gradient of {name} is not finite; {remedy}")

    def test_the_network_learns_from_it(self) -> None:
        """Some parameter of the network gets a gradient other than zero."""
        terms, model = self.terms(self.plan())
        total = torch.stack(list(terms.values())).sum()
        expect(total.requires_grad, "no term depends on the network; is something detached?")
        total.backward()  # type: ignore[no-untyped-call]  # torch annotates it only in part
        gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
        expect(any(bool(gradient.any()) for gradient in gradients), "all gradients are zero; is something detached?")

    def test_it_leaves_its_weight_to_the_composition(self) -> None:
        """``weight`` is applied once, outside."""
        planned = self.plan()
        single, _ = self.terms(planned)
        data = {**self.settings, "weight": 2.0}
        registry = self.registry
        spec = self.find(registry)
        loss = spec.load_factory()(spec.load_config_class()(**data), planned.adjusted)
        model = build_seeded(planned).train()
        doubled = self._terms(planned, model, WeightedLosses([(spec.name, loss, 1.0)]), 1)
        if not list(loss.parameters()):
            expect_same(doubled, single, "weight=2 changes the terms themselves; the composition multiplies by it")

    def test_the_same_batch_gives_the_same_terms(self) -> None:
        """Chance is keyed by ``batch.sample_ids`` (``trackcli.builtin.labels.sampling``), so runs can be resumed."""
        planned = self.plan()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            first, _ = self.terms(planned)
            torch.manual_seed(2)
            second, _ = self.terms(planned)
        expect_same(second, first, "the same batch gives other terms; key chance by batch.sample_ids")

    def _terms(self, planned: Plan, model: TrackerModel, losses: WeightedLosses, negative: int) -> dict[str, Tensor]:
        batch = training_batch(self.scene(planned), negative=negative)
        name = planned.losses[0].spec.name
        loss = losses.losses[name]
        outputs = model(batch, with_candidates=bool(loss.needs_candidates))
        terms: dict[str, Tensor] = loss(outputs, batch)
        return terms
