"""First-frame fine-tuning of the kernel: it lowers its loss, row by row, and never raises it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from trackcli_ibfp.config_online import TemplateTuningConfig
from trackcli_ibfp.solvers import hinge_residual
from trackcli_ibfp.template_tuning import TemplateTuning, _change
from trackcli_ibfp.views import shown_views

import trackcli
from trackcli.builtin.labels.points import gaussian_map
from trackcli.contracts.context import StartContext
from trackcli.contracts.state import Kernel
from trackcli.errors import FitError
from trackcli.testing import Scene, synthetic_clip
from trackcli.tracking.tracker import Tracker


@pytest.fixture(scope="module")
def tracker() -> Tracker:
    made = trackcli.compose(
        preset="ibfp-small",
        matcher={"name": "ibu-pyramid", "channels": 16, "template_cells": [3, 3]},
        head={"name": "center", "channels": 16, "depth": 2},
        postprocessor=[{"name": "template-tuning", "steps": 0}, {"name": "select"}],
        crop={"template_size": 96, "search_size": 96, "context": 0, "context_size": 24},
        device="cpu",
    )
    with torch.no_grad():  # a fresh head's map is 0 everywhere, whatever the kernel
        last = made.model.head.center[-1]  # type: ignore[union-attr, index]
        last.weight.normal_(std=0.3, generator=torch.Generator().manual_seed(0))  # type: ignore[union-attr, operator]
    return made


def start_context(tracker: Tracker) -> StartContext:
    kept: list[StartContext] = []
    model = tracker.model
    plain = model.candidate_links["template-tuning"]

    class Keep(TemplateTuning):
        def adapt(self, context: StartContext) -> Kernel:
            kept.append(context)
            return context.kernel

    model.candidate_links["template-tuning"] = Keep(TemplateTuningConfig(steps=0))
    try:
        with torch.no_grad():
            Scene(synthetic_clip(), tracker.plan.recipe.crop).start(model)
    finally:
        model.candidate_links["template-tuning"] = plain
    return kept[0]


@torch.no_grad()
def literal_loss(link: TemplateTuning, context: StartContext, kernel: Kernel) -> Tensor:
    """Mean over views and candidates of the squared hinge, and the relative change of the kernel's leaves."""
    total = []
    for shown in shown_views(context, link.views):
        candidates = context.detect(kernel, context.branch(shown.crops), shown.boxes_xyxy)
        rows = []
        for row in range(len(candidates.scores)):
            label = gaussian_map(candidates.points_xy[row], shown.boxes_xyxy[row : row + 1], sigma=0.25)
            error, _ = hinge_residual(0.05)(candidates.scores[row : row + 1], label)
            rows.append(error.square().mean())
        total.append(torch.stack(rows))
    moved = torch.zeros(len(total[0]))
    for name, leaf in context.kernel.items():
        for row in range(len(leaf)):
            moved[row] += ((kernel[name][row] - leaf[row]).norm() / leaf[row].norm()) ** 2 / len(context.kernel)
    return torch.stack(total).mean(dim=0) + link.config.keep * moved


@pytest.mark.parametrize("settings", [{"steps": 3}, {"steps": 2, "rate": 0.5}], ids=["small steps", "too large steps"])
def test_the_loss_falls_or_the_row_stays_as_it_was(tracker: Tracker, settings: dict[str, Any]) -> None:
    link = TemplateTuning(TemplateTuningConfig(**settings, keep=0.0001))
    context = start_context(tracker)
    kernel = link.adapt(context)
    assert {name: leaf.shape for name, leaf in kernel.items()} == {n: leaf.shape for n, leaf in context.kernel.items()}
    before, after = literal_loss(link, context, context.kernel), literal_loss(link, context, kernel)
    for row in range(len(before)):
        stayed = all(torch.equal(kernel[name][row], leaf[row]) for name, leaf in context.kernel.items())
        assert stayed or after[row] < before[row]
    if settings["steps"] == 3:
        assert (after < before).any()


def test_steps_that_are_too_long_are_halved_until_they_lower_the_loss(tracker: Tracker) -> None:
    """The first step is 16 times the kernel's norm: only shorter ones can help."""
    context = start_context(tracker)
    too_long, halved = (TemplateTuning(TemplateTuningConfig(rate=16.0, steps=steps, keep=0.01)) for steps in (1, 14))
    before = literal_loss(halved, context, context.kernel)
    assert torch.equal(literal_loss(too_long, context, too_long.adapt(context)), before)
    assert (literal_loss(halved, context, halved.adapt(context)) < before).all()


def test_the_weight_of_the_kernels_change_does_not_depend_on_the_number_of_its_leaves() -> None:
    first = {"a": torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))}
    moved = {"a": 1.1 * first["a"]}
    alone = _change(moved, first)
    torch.testing.assert_close(alone, torch.full((2,), 0.01))
    torch.testing.assert_close(_change({**moved, "b": moved["a"]}, {**first, "b": first["a"]}), alone)


@pytest.mark.parametrize("keep", [0.0, 1.0])
def test_a_head_whose_score_has_no_gradient_is_refused_with_what_to_do(tracker: Tracker, keep: float) -> None:
    context = start_context(tracker)
    without = replace(context, detect=torch.no_grad()(context.detect))
    with pytest.raises(FitError, match=r"this head's has none .*; use another head, .* or leave template-tuning out"):
        TemplateTuning(TemplateTuningConfig(keep=keep)).adapt(without)


def test_without_steps_the_kernel_is_the_matchers(tracker: Tracker) -> None:
    context = start_context(tracker)
    assert TemplateTuning(TemplateTuningConfig(steps=0)).adapt(context) is context.kernel


def test_a_session_tracks_with_the_tuned_kernel() -> None:
    """Sessions run in inference mode, where nothing is differentiated unless a link sees to it."""
    clip = synthetic_clip()
    kernels = []
    for steps in (0, 2):
        tuned = trackcli.compose(
            preset="siamrpn-pp",
            backbone={"name": "resnet18", "depth": 2},
            matcher={"name": "dw-xcorr", "channels": 16, "template_cells": 4},
            head={"name": "rpn", "hidden": 16, "scale": 4.0},
            postprocessor=[
                {"name": "template-tuning", "steps": steps, "keep": 0.0},
                {"name": "select"},
                {"name": "clip"},
            ],
            crop={"template_size": 64, "search_size": 128},
            device="cpu",
        )
        tuned.start(clip.frames[0], clip.boxes_xywh[0])
        assert tuned.session._state is not None
        kernels.append(tuned.session._state.kernel)
        assert tuned.update(clip.frames[1]).boxes_xyxy.shape == (1, 4)
    assert any(not torch.equal(kernels[0][name], kernels[1][name]) for name in kernels[0])
