"""What learns online: the filter against loops, the solvers against a direct solution, the weights of the memory."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from trackcli_ibfp.classifiers import (
    FILTER,
    LAYERS,
    FilterOnSamples,
    LayeredFilter,
    ProjectedFilter,
    filter_gradient,
    fresh_parameters,
    normalised,
    respond,
    sample_gradient,
)
from trackcli_ibfp.config_online import OnlineUpdateConfig
from trackcli_ibfp.memory import slots_for, with_new
from trackcli_ibfp.solvers import Task, conjugate_gradient, gauss_newton, hinge_residual, mlu_residual


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def least_squares(response: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """No hinge: the solution is known."""
    return response - labels, torch.ones_like(response)


@pytest.mark.parametrize("side", [1, 3, 4])
def test_the_response_is_the_literal_correlation_padded_by_half_the_filter(side: int) -> None:
    filters, samples = randn(2, 3, side, side), randn(2, 3, 4, 5, 6, seed=1)
    found = respond(filters, samples)
    more = 1 if side % 2 == 0 else 0
    assert found.shape == (2, 4, 5 + more, 6 + more)
    expected = torch.zeros_like(found)
    for b, n, y, x in itertools.product(range(2), range(4), range(5 + more), range(6 + more)):
        for p, q in itertools.product(range(side), range(side)):
            row, column = y + p - side // 2, x + q - side // 2
            if 0 <= row < 5 and 0 <= column < 6:
                expected[b, n, y, x] += filters[b, :, p, q] @ samples[b, :, n, row, column]
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("side", [3, 4])
def test_gradients_are_those_of_torch(side: int) -> None:
    filters, samples = randn(2, 3, side, side).requires_grad_(), randn(2, 3, 4, 5, 5, seed=1).requires_grad_()
    response = respond(filters, samples)
    maps = randn(*response.shape, seed=2)
    of_filters, of_samples = torch.autograd.grad((response * maps).sum(), (filters, samples))
    torch.testing.assert_close(filter_gradient(maps, samples.detach(), side), of_filters)
    torch.testing.assert_close(sample_gradient(maps, filters.detach(), samples.detach()), of_samples)


@pytest.mark.parametrize("classifier", ["atom", "four-layer"])
def test_both_products_of_the_derivative_belong_together_and_are_true(classifier: str) -> None:
    """⟨J p, u⟩ = ⟨p, Jᵀ u⟩ row by row, and J p is the difference quotient."""
    config = OnlineUpdateConfig(classifier=classifier, channels=4, filter_cells=3)  # type: ignore[arg-type]
    features = randn(2, 5, 3, 4, 4)
    parameters = {name: leaf + 0.1 for name, leaf in fresh_parameters(config, features).items()}
    whole = ProjectedFilter(features) if classifier == "atom" else LayeredFilter(features)
    change = {name: randn(*leaf.shape, seed=index) for index, (name, leaf) in enumerate(parameters.items())}
    near = whole.linearise(parameters)
    maps = randn(*near.response.shape, seed=9)
    forward, backward = near.forward(change), near.backward(maps)
    left = (forward * maps).flatten(1).sum(dim=1)
    right = torch.stack([(change[name] * backward[name]).flatten(1).sum(dim=1) for name in change]).sum(dim=0)
    torch.testing.assert_close(left, right)
    small = 1e-6
    moved = whole.linearise({name: parameters[name] + small * change[name] for name in parameters})
    torch.testing.assert_close((moved.response - near.response) / small, forward, rtol=1e-4, atol=1e-4)


def direct_solution(samples: Tensor, labels: Tensor, weights: Tensor, penalty: float) -> Tensor:
    """(Σ w AᵀA + λ)⁻¹ Σ w Aᵀ y with A built column by column."""
    batch, channels = samples.shape[:2]
    side, rows = 3, []
    for b in range(batch):
        columns = []
        for index in range(channels * side * side):
            unit = torch.zeros(1, channels * side * side, dtype=torch.float64)
            unit[0, index] = 1
            columns.append(respond(unit.reshape(1, channels, side, side), samples[b : b + 1]).flatten())
        matrix = torch.stack(columns, dim=1)
        weight = weights[b].repeat_interleave(labels[b, 0].numel())
        normal = matrix.T @ (weight[:, None] * matrix) + penalty * torch.eye(matrix.shape[1], dtype=torch.float64)
        rows.append(torch.linalg.solve(normal, matrix.T @ (weight * labels[b].flatten())))
    return torch.stack(rows).reshape(batch, channels, side, side)


def problem() -> tuple[FilterOnSamples, dict[str, Tensor], Task]:
    samples, labels = randn(2, 2, 3, 5, 5), randn(2, 3, 5, 5, seed=1).abs()
    weights = torch.tensor([[0.2, 0.3, 0.5], [0.6, 0.2, 0.2]], dtype=torch.float64)
    return (
        FilterOnSamples(samples),
        {FILTER: randn(2, 2, 3, 3, seed=2)},
        Task(labels, weights, {FILTER: 0.1}, least_squares),
    )


@pytest.mark.parametrize("solver, iterations", [("conjugate-gradient", 18), ("steepest-descent", 200)])
def test_the_solvers_reach_the_direct_solution(solver: str, iterations: int) -> None:
    """18 unknowns: conjugate gradients need no more than 18 iterations."""
    classifier, parameters, task = problem()
    found = gauss_newton(classifier, parameters, task, rounds=1, iterations=iterations, solver=solver)  # type: ignore[arg-type]
    expected = direct_solution(classifier.samples, task.labels, task.weights, 0.1)
    torch.testing.assert_close(found[FILTER], expected, rtol=1e-4, atol=1e-5)


def test_a_step_of_steepest_descent_has_the_length_that_lowers_the_loss_most() -> None:
    classifier, parameters, task = problem()
    after = gauss_newton(classifier, parameters, task, rounds=1, iterations=1, solver="steepest-descent")
    step = after[FILTER] - parameters[FILTER]
    reached = task.loss(classifier, after)
    for factor in (0.9, 0.99, 1.01, 1.1):
        other = task.loss(classifier, {FILTER: parameters[FILTER] + factor * step})
        assert (other > reached).all()


@pytest.mark.parametrize("residual", [hinge_residual(0.05), mlu_residual], ids=["hinge", "mlu"])
@pytest.mark.parametrize("classifier", ["atom", "four-layer"])
@pytest.mark.parametrize("solver", ["conjugate-gradient", "steepest-descent"])
def test_all_layers_together_learn_to_tell_target_from_background(
    residual: object, classifier: str, solver: str
) -> None:
    config = OnlineUpdateConfig(classifier=classifier, channels=8, filter_cells=3)  # type: ignore[arg-type]
    features = normalised(randn(2, 6, 4, 7, 7), 2.0)
    labels = torch.zeros(2, 4, 7, 7, dtype=torch.float64)
    labels[:, :, 3, 3], labels[:, :, 3, 4] = 1, 0.5
    task = Task(labels, torch.full((2, 4), 0.25, dtype=torch.float64), {}, residual)  # type: ignore[arg-type]
    parameters = fresh_parameters(config, features)
    task = Task(task.labels, task.weights, dict.fromkeys(parameters, 1e-3), task.residual)
    whole = ProjectedFilter(features) if classifier == "atom" else LayeredFilter(features)
    # The pattern that makes a target: the same features in every sample.
    features[:, :, :, 3, 3] = features[:, :, :1, 3, 3]
    before = task.loss(whole, parameters)
    after = task.loss(whole, gauss_newton(whole, parameters, task, rounds=6, iterations=5, solver=solver))  # type: ignore[arg-type]
    assert (after < 0.5 * before).all()


def test_the_hinge_lets_background_under_0_alone() -> None:
    response = torch.tensor([-2.0, 0.3, -2.0, 0.3])
    error, slope = hinge_residual(0.05)(response, torch.tensor([0.0, 0.04, 1.0, 0.05]))
    assert error.tolist() == pytest.approx([0.0, 0.3, -3.0, 0.25])
    assert slope.tolist() == [0, 1, 1, 1]


def test_the_mlu_does_not_fall_below_its_floor() -> None:
    response = torch.tensor([-5.0, 0.0, 0.7], dtype=torch.float64, requires_grad=True)
    error, slope = mlu_residual(response, torch.zeros(3, dtype=torch.float64))
    assert error.tolist() == pytest.approx([-0.05, 0.0, 0.7])
    torch.testing.assert_close(torch.autograd.grad(error.sum(), response)[0], slope.detach())


def test_a_row_that_is_solved_stays_as_it_is() -> None:
    found = conjugate_gradient(lambda x: x, {"x": torch.tensor([[0.0, 0.0], [3.0, 4.0]])}, iterations=4)
    assert found["x"].tolist() == [[0.0, 0.0], [3.0, 4.0]]


def test_rows_are_solved_as_if_alone() -> None:
    classifier, parameters, task = problem()
    both = gauss_newton(classifier, parameters, task, rounds=1, iterations=4, solver="conjugate-gradient")
    alone = gauss_newton(
        FilterOnSamples(classifier.samples[1:]),
        {FILTER: parameters[FILTER][1:]},
        Task(task.labels[1:], task.weights[1:], task.penalties, task.residual),
        rounds=1,
        iterations=4,
        solver="conjugate-gradient",
    )
    torch.testing.assert_close(both[FILTER][1:], alone[FILTER])


def test_features_have_one_power_per_sample() -> None:
    features = randn(2, 3, 4, 5, 5) * torch.tensor([1.0, 7.0])[:, None, None, None, None]
    found = normalised(features, 2.0)
    torch.testing.assert_close(found.square().mean(dim=(1, 3, 4)), torch.ones(2, 4, dtype=torch.float64))
    torch.testing.assert_close(
        normalised(features, 1.0).abs().mean(dim=(1, 3, 4)), torch.ones(2, 4, dtype=torch.float64)
    )
    assert normalised(features, 0.0) is features
    assert torch.isfinite(normalised(torch.zeros(1, 2, 1, 3, 3), 2.0)).all()


def test_first_weights_follow_from_the_seed_and_are_the_same_for_all_targets() -> None:
    config, features = OnlineUpdateConfig(classifier="four-layer", channels=4), randn(3, 5, 2, 4, 4)
    one, two = fresh_parameters(config, features), fresh_parameters(config, features[:1])
    assert list(one) == [FILTER, *LAYERS]
    for name, leaf in one.items():
        assert torch.equal(leaf[2:], two[name])
    other = fresh_parameters(config.model_copy(update={"seed": 1}), features)
    assert not torch.equal(other[LAYERS[0]], one[LAYERS[0]])


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_weights_always_sum_to_1_and_the_first_frame_keeps_its_share(hard: list[tuple[bool, bool]]) -> None:
    initial, memory = 3, 8
    weights = torch.zeros(2, memory, dtype=torch.float64)
    weights[:, :initial] = 1 / initial
    for flags in hard:
        rates = torch.where(torch.tensor(flags), 0.3, 0.1).double()
        slots = slots_for(weights, initial)
        assert (slots >= initial).all()
        weights = with_new(weights, slots, rates, initial=initial, least_initial=0.25)
        torch.testing.assert_close(weights.sum(dim=1), torch.ones(2, dtype=torch.float64))
        assert (weights[:, :initial].sum(dim=1) >= 0.25 - 1e-9).all()
        assert (weights >= 0).all()


def test_empty_slots_fill_first_then_the_least_sample_makes_room() -> None:
    """By hand: a rate of 0.5 halves what was there."""
    weights = torch.tensor([[1.0, 0.0, 0.0]])
    rate = torch.tensor([0.5])
    taken = []
    for _ in range(3):
        slots = slots_for(weights, 1)
        taken.append(int(slots))
        weights = with_new(weights, slots, rate, initial=1, least_initial=0.0)
    assert taken == [1, 2, 1]
    # After two: 1/4, 1/4, 1/2. The third replaces slot 1: 1/4 and 1/2 share the other half as 1 to 2.
    assert weights[0].tolist() == pytest.approx([1 / 6, 1 / 2, 1 / 3])
