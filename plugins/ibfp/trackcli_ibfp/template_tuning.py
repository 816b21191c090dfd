"""First-frame fine-tuning: the matcher's kernel learns from the frame that it was cut out of."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from trackcli.builtin.labels.points import gaussian_map
from trackcli.contracts.components import CandidateLink
from trackcli.contracts.context import Context, StartContext
from trackcli.contracts.predictions import Candidates
from trackcli.contracts.state import Kernel, State
from trackcli.errors import FitError
from trackcli_ibfp.config_online import TemplateTuningConfig
from trackcli_ibfp.solvers import hinge_residual
from trackcli_ibfp.views import Shown, shown_views, views_of

Losses = Callable[[Kernel], Tensor]
"""Kernel → ``(B,)``, how wrong each row is."""


class TemplateTuning(CandidateLink):
    """Gradient steps on the kernel, so that the head's score is 1 on the target and 0 elsewhere in the first frame.

    The score of any head is compared, at its candidates' points, with a Gaussian around the target in changed copies of
    the first frame; squared hinge as in online updating. Each row takes a step of its own, a share of its kernel's norm
    along the gradient. A step that makes a row's loss larger is taken back, and its next ones are half as long. It acts
    once; tracking costs nothing.

    Source: Pi et al. 2021, section IV.A; how is not said there.
    """

    def __init__(self, config: TemplateTuningConfig) -> None:
        super().__init__()
        self.config = config
        self.views = views_of(config.views, config.seed)
        self.residual = hinge_residual(config.tau)

    def step(self, candidates: Candidates, state: State, context: Context) -> tuple[Candidates, State]:
        """Nothing: all is done when a target starts."""
        return candidates, state

    def adapt(self, context: StartContext) -> Kernel:
        """The kernel after the steps.

        Raises:
            FitError: for a head whose score cannot be differentiated with respect to the kernel.
        """
        if not self.config.steps:
            return context.kernel
        # Tracking runs in inference mode, whose tensors cannot be differentiated: copies can.
        with torch.inference_mode(False):
            first = {name: leaf.clone().detach() for name, leaf in context.kernel.items()}
            errors = self._errors(context)
            _check_differentiable(errors, first)

            def losses(kernel: Kernel) -> Tensor:
                return errors(kernel) + self.config.keep * _change(kernel, first)

            return self._tuned(first, losses)

    def _errors(self, context: StartContext) -> Losses:
        """How far the score is from what it should be, the mean over the copies of the first frame."""
        with torch.no_grad():
            shown = [
                Shown(each.view, each.crops.clone(), each.boxes_xyxy.clone())
                for each in shown_views(context, self.views)
            ]
            branches = [context.branch(each.crops) for each in shown]

        def errors(kernel: Kernel) -> Tensor:
            each_view = [
                self._error(context.detect(kernel, branch, each.boxes_xyxy), each.boxes_xyxy)
                for branch, each in zip(branches, shown, strict=True)
            ]
            return torch.stack(each_view).mean(dim=0)

        return errors

    def _tuned(self, kernel: Kernel, losses: Losses) -> Kernel:
        """The best kernel that the steps reach, row by row."""
        best = _measured(losses, kernel)
        rates = torch.full_like(best, self.config.rate)
        for _ in range(self.config.steps):
            tried = _stepped(kernel, losses, rates)
            reached = _measured(losses, tried)
            better = reached < best
            kernel = {name: torch.where(_rows(better, leaf), tried[name], leaf) for name, leaf in kernel.items()}
            best = torch.where(better, reached, best)
            rates = torch.where(better, rates, rates / 2)
        return kernel

    def _error(self, candidates: Candidates, boxes_xyxy: Tensor) -> Tensor:
        """``(B,)`` squared hinge of the scores, the mean over candidates."""
        points_xy = candidates.points_xy.float()
        labels = torch.stack(
            [
                gaussian_map(points, box.unsqueeze(0), sigma=self.config.sigma)[0]
                for points, box in zip(points_xy, boxes_xyxy, strict=True)
            ]
        )
        error, _ = self.residual(candidates.scores.float(), labels)
        return error.square().where(candidates.valid, 0).mean(dim=1)


def _check_differentiable(errors: Losses, kernel: Kernel) -> None:
    """Refuse a score that no leaf of the kernel has a gradient of: no step would change anything."""
    if all(gradient is None for gradient in _gradients(errors, kernel).values()):
        raise FitError(
            "postprocessor 'template-tuning' needs a head whose score has a gradient with respect to the matcher's "
            "kernel, and this head's has none (series-parallel proposes its boxes without one); use another head, such "
            "as rpn or center, or leave template-tuning out: trackcli trackers variant TRACKER -o FILE --postprocessor "
            "select …"
        )


def _gradients(losses: Losses, kernel: Kernel) -> dict[str, Tensor | None]:
    """Of the kernel's leaves that have floating-point numbers; None for those that the loss does not follow."""
    with torch.enable_grad():
        leaves = {name: leaf.clone().requires_grad_() for name, leaf in kernel.items() if leaf.is_floating_point()}
        total = losses({**kernel, **leaves}).sum()  # rows do not depend on one another
        if not total.requires_grad:
            return dict.fromkeys(leaves)
        found = torch.autograd.grad(total, list(leaves.values()), allow_unused=True)
    return dict(zip(leaves, found, strict=True))


def _stepped(kernel: Kernel, losses: Losses, rates: Tensor) -> Kernel:
    """One step against the gradient, its length a share ``(B,)`` of each row's norm."""
    result = dict(kernel)
    for name, gradient in _gradients(losses, kernel).items():
        if gradient is not None:
            scale = rates * _norms(kernel[name]) / _norms(gradient)
            result[name] = kernel[name] - _rows(scale, gradient) * gradient
    return result


def _measured(losses: Losses, kernel: Kernel) -> Tensor:
    with torch.no_grad():
        return losses(kernel)


def _change(kernel: Kernel, first: Kernel) -> Tensor:
    """``(B,)`` squared change over the squared norm, the mean over leaves: kernels have two of them, or dozens."""
    changes = [
        (kernel[name] - leaf).flatten(1).square().sum(dim=1) / _norms(leaf).square() for name, leaf in first.items()
    ]
    return torch.stack(changes).mean(dim=0)


def _norms(tensor: Tensor) -> Tensor:
    return tensor.flatten(1).square().sum(dim=1).sqrt().clamp(min=1e-12)


def _rows(per_row: Tensor, like: Tensor) -> Tensor:
    return per_row.reshape(-1, *(1,) * (like.ndim - 1))
