"""Least squares by Gauss-Newton, a problem per target, all targets at once.

The problem: ``Σ_n w_n Σ_cells r(s)² + Σ_p λ_p |θ_p|²`` with ``s`` the classifier's responses to samples n, θ its
parameters, and r the residual of a label.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from trackcli.contracts.state import State

Residual = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Response and label → residual and its derivative by the response."""

MLU_FLOOR = 0.05
"""ATOM's activation: responses are as they are above 0 and not below −0.05."""


@dataclass(frozen=True)
class Linearised:
    """A classifier near its parameters.

    Attributes:
        response: ``(B, n, h, w)``.
        forward: J: changes of the parameters → of the response.
        backward: Jᵀ: a map like the response → like the parameters.
    """

    response: Tensor
    forward: Callable[[State], Tensor]
    backward: Callable[[Tensor], State]


class Classifier(Protocol):
    """What can be fitted: parameters, each ``(B, …)``, give responses."""

    def linearise(self, parameters: State) -> Linearised:
        """Responses and their derivatives at these parameters."""
        ...


@dataclass(frozen=True)
class Task:
    """What a classifier shall learn.

    Attributes:
        labels: ``(B, n, h, w)``.
        weights: ``(B, n)``.
        penalties: λ of each parameter, by name.
        residual: Of the loss.
    """

    labels: Tensor
    weights: Tensor
    penalties: Mapping[str, float]
    residual: Residual

    def loss(self, classifier: Classifier, parameters: State) -> Tensor:
        """``(B,)``."""
        error, _ = self.residual(classifier.linearise(parameters).response, self.labels)
        data = (self.weights[..., None, None] * error.square()).sum(dim=(1, 2, 3))
        return data + sum(
            (penalty * parameters[name].square().flatten(1).sum(dim=1) for name, penalty in self.penalties.items()),
            torch.zeros_like(data),
        )


def hinge_residual(tau: float) -> Residual:
    """``s − y`` where y ≥ τ, ``max(0, s)`` elsewhere.

    Source: Pi et al. 2021, section III.E ("hinge MSE loss"), with the cases of equation 9.
    """

    def residual(response: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        is_near = labels >= tau
        error = torch.where(is_near, response - labels, response.clamp(min=0))
        return error, (is_near | (response > 0)).to(response.dtype)

    return residual


def mlu_residual(response: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """``φ(s) − y`` with φ(s) = s above 0 and ``a (exp(s/a) − 1)`` below.

    Source: Danelljan et al. 2019 (ATOM), public parameters (``mlu``, 0.05).
    """
    below = (response.clamp(max=0) / MLU_FLOOR).exp()
    activated = torch.where(response > 0, response, MLU_FLOOR * (below - 1))
    return activated - labels, torch.where(response > 0, 1, below)


def gauss_newton(
    classifier: Classifier,
    parameters: State,
    task: Task,
    *,
    rounds: int,
    iterations: int,
    solver: Literal["conjugate-gradient", "steepest-descent"],
) -> State:
    """Improve the parameters.

    Args:
        classifier: What responds.
        parameters: Where to begin, each ``(B, …)``.
        task: What to learn.
        rounds: How often the problem is linearised.
        iterations: Solver iterations per round. Steepest descent linearises anew in each one instead.
        solver: How a round is solved.
    """
    if solver == "steepest-descent":
        for _ in range(rounds * iterations):
            parameters = _round(classifier, parameters, task, iterations=1)
        return parameters
    for _ in range(rounds):
        parameters = _round(classifier, parameters, task, iterations=iterations)
    return parameters


def _round(classifier: Classifier, parameters: State, task: Task, *, iterations: int) -> State:
    """Conjugate gradients on the linearised problem; one iteration is steepest descent with the exact step."""
    near = classifier.linearise(parameters)
    error, slope = task.residual(near.response, task.labels)
    weights = task.weights[..., None, None]

    def curvature(direction: State) -> State:
        """``Jᵀ W D² J p + λ p``: half of the Gauss-Newton matrix's product with p."""
        curved = near.backward(weights * slope.square() * near.forward(direction))
        return {name: curved[name] + task.penalties[name] * direction[name] for name in direction}

    pulled = near.backward(weights * slope * error)
    left = {name: -pulled[name] - task.penalties[name] * parameters[name] for name in parameters}
    return _plus(parameters, conjugate_gradient(curvature, left, iterations=iterations))


def conjugate_gradient(product: Callable[[State], State], right: State, *, iterations: int) -> State:
    """Solve ``A x = b`` for a positive semi-definite A per row, from x = 0.

    Args:
        product: x → A x, each leaf ``(B, …)``.
        right: b.
        iterations: How many.

    Returns:
        x. A row whose residual is 0 stays as it is.

    Source: Hestenes and Stiefel 1952; Shewchuk 1994, section B2.
    """
    solution = {name: torch.zeros_like(leaf) for name, leaf in right.items()}
    left, direction = right, right
    power = _dot(left, left)
    for _ in range(iterations):
        changed = product(direction)
        step = _ratio(power, _dot(direction, changed))
        solution = _plus(solution, direction, step)
        left = _plus(left, changed, -step)
        following = _dot(left, left)
        direction = _plus(left, direction, _ratio(following, power))
        power = following
    return solution


def _ratio(above: Tensor, below: Tensor) -> Tensor:
    """0 where there is nothing to divide by: a row that is solved."""
    tiny = torch.finfo(below.dtype).tiny
    return torch.where(below > tiny, above / below.clamp(min=tiny), 0)


def _dot(a: State, b: State) -> Tensor:
    """``(B,)`` over all leaves."""
    return torch.stack([(a[name] * b[name]).flatten(1).sum(dim=1) for name in a]).sum(dim=0)


def _plus(a: State, b: State, factor: Tensor | None = None) -> State:
    """``a + factor · b`` row by row."""
    if factor is None:
        return {name: a[name] + b[name] for name in a}
    return {name: a[name] + factor.reshape(-1, *(1,) * (b[name].ndim - 1)) * b[name] for name in a}
