"""PG-corr: the sums are the paper's, its forms agree, and responses lie where the search pixels do."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from trackcli_pgnet.config import PgCorrConfig
from trackcli_pgnet.forms import FORMS, Form, Work, cheapest, cost
from trackcli_pgnet.pg_corr import (
    PgTask,
    PixelToGlobalMatcher,
    as_cells,
    as_map,
    pg_corr,
    spatial_similarity,
    unified_similarity,
)

from trackcli.config.recipe import CropConfig
from trackcli.contracts.levels import Branch, Features, Level
from trackcli.contracts.shapes import LevelShape
from trackcli.engines.eager import optimised

LEVELS = {"layer2": LevelShape(12, 8, 7.5), "layer3": LevelShape(20, 8, 7.5)}


def random_maps(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def random_features(cells: int, *, batch: int = 2) -> Features:
    return {
        name: Level(random_maps(cells, batch, shape.channels, cells, cells), shape.stride, shape.offset)
        for name, shape in LEVELS.items()
    }


def branch(features: Features) -> Branch:
    return Branch(torch.zeros(1, 3, 8, 8), features)


def make_matcher(**changed: object) -> PixelToGlobalMatcher:
    torch.manual_seed(1)
    config = PgCorrConfig(**{"channels": 8, "template_cells": 3, **changed})  # type: ignore[arg-type]
    matcher = PixelToGlobalMatcher(config, LEVELS, CropConfig(template_size=127, search_size=255)).double()
    for module in matcher.modules():  # norms that do something, so that leaving one out would show
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias)
    return matcher.eval()


def literal_s1(search: Tensor, template: Tensor) -> Tensor:
    """Equation 2, pixel by pixel: ``(C, H, W)`` and ``(C, h, w)`` → ``(n_z, H, W)``."""
    channels, height, width = template.shape
    s1 = torch.zeros(height * width, *search.shape[1:], dtype=torch.float64)
    for j in range(search.shape[1]):
        for i in range(search.shape[2]):
            for m in range(height * width):
                for k in range(channels):
                    s1[m, j, i] += search[k, j, i] * template[k, m // width, m % width]
    return s1


def literal_s2(s1: Tensor, template: Tensor) -> Tensor:
    """Equation 3: the n-th channel kernel has the n_z values of channel n."""
    channels, _, width = template.shape
    s2 = torch.zeros(channels, *s1.shape[1:], dtype=torch.float64)
    for n in range(channels):
        for m in range(s1.shape[0]):
            s2[n] += s1[m] * template[n, m // width, m % width]
    return s2


def literal_pg(search: Tensor, template: Tensor) -> Tensor:
    """Equation 4, as printed."""
    channels, height, width = template.shape
    s2 = torch.zeros_like(search)
    for i in range(search.shape[1]):
        for j in range(search.shape[2]):
            for n in range(channels):
                for p in range(height):
                    for q in range(width):
                        for k in range(channels):
                            s2[n, i, j] += search[k, i, j] * template[k, p, q] * template[n, p, q]
    return s2


@pytest.fixture(scope="module")
def pair() -> tuple[Tensor, Tensor]:
    """Search ``(2, 4, 3, 5)`` and template ``(2, 4, 2, 3)``: no two sides alike."""
    return random_maps(0, 2, 4, 3, 5), random_maps(1, 2, 4, 2, 3)


def test_spatial_similarity_equals_the_literal_loops_of_equation_2(pair: tuple[Tensor, Tensor]) -> None:
    search, template = pair
    s1 = as_map(spatial_similarity(as_cells(search), as_cells(template)), search)
    torch.testing.assert_close(s1, torch.stack([literal_s1(*row) for row in zip(*pair, strict=True)]))


def test_unified_similarity_equals_the_literal_loops_of_equation_3(pair: tuple[Tensor, Tensor]) -> None:
    search, template = pair
    s1 = random_maps(2, 2, 6, 3, 5)
    s2 = as_map(unified_similarity(as_cells(s1), as_cells(template)), search)
    torch.testing.assert_close(s2, torch.stack([literal_s2(*row) for row in zip(s1, template, strict=True)]))


def test_pg_corr_equals_the_literal_sum_of_equation_4(pair: tuple[Tensor, Tensor]) -> None:
    search, template = pair
    s2 = as_map(pg_corr(as_cells(search), as_cells(template)), search)
    assert s2.shape == search.shape
    torch.testing.assert_close(s2, torch.stack([literal_pg(*row) for row in zip(*pair, strict=True)]))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("mean", [True, False])
def test_every_form_is_the_1x1_over_search_and_equation_4(
    pair: tuple[Tensor, Tensor], form: Form, *, mean: bool
) -> None:
    search, template = pair
    torch.manual_seed(0)
    task = PgTask(4, own_fit=False).double().eval()
    similar = torch.stack([literal_pg(*row) for row in zip(*pair, strict=True)]) / (6 if mean else 1)
    expected = task.reduce(torch.cat((search, similar), dim=1))
    torch.testing.assert_close(task(search, task.embed(template, form, mean=mean), form), expected, rtol=1e-10, atol=0)


@settings(max_examples=15)
@given(st.integers(1, 6), st.integers(1, 3), st.integers(1, 4), st.booleans(), st.integers(0, 99))
def test_the_three_forms_agree_in_values_and_gradients(
    channels: int, template_side: int, search_side: int, mean: bool, seed: int
) -> None:
    torch.manual_seed(seed)
    task = PgTask(channels, own_fit=False).double().train()
    results = []
    for form in FORMS:
        search = random_maps(seed, 2, channels, search_side, search_side).requires_grad_()
        template = random_maps(seed + 1, 2, channels, template_side, template_side).requires_grad_()
        response = task(search, task.embed(template, form, mean=mean), form)
        weight = task.reduce.get_parameter("0.weight")
        gradients = torch.autograd.grad(response.sin().sum(), (search, template, weight))
        results.append((response.detach(), *gradients))
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("shared", [True, False])
def test_matchers_of_all_forms_agree_also_after_the_engine_folded_the_norms(*, shared: bool) -> None:
    template, search = branch(random_features(15)), branch(random_features(31))
    responses = []
    for form in FORMS:
        matcher = make_matcher(form=form, shared=shared)
        for network in (matcher, optimised(matcher)):  # type: ignore[arg-type]  # any module will do
            kernel, _ = network.embed(template)
            responses.append(network(kernel, search).levels["layer3"])
    for other in responses[1:]:
        torch.testing.assert_close(other.classification, responses[0].classification, rtol=1e-5, atol=1e-9)
        torch.testing.assert_close(other.regression, responses[0].regression, rtol=1e-5, atol=1e-9)


def test_the_kernel_has_one_leaf_per_level_and_says_its_form() -> None:
    shapes = {"two-matmul": ("template", (2, 8, 9)), "gram": ("gram", (2, 8, 8)), "folded": ("folded", (2, 8, 8))}
    for form, (suffix, shape) in shapes.items():
        kernel, _ = make_matcher(form=form).embed(branch(random_features(15)))
        assert {name: tuple(leaf.shape) for name, leaf in kernel.items()} == {
            f"layer2.{suffix}": shape,
            f"layer3.{suffix}": shape,
        }


def test_only_the_templates_centre_counts() -> None:
    """T = 127 at offset 7.5: the middle of 7 cells is cell 7, at 63.5 exactly; they are cells 4 to 10."""
    matcher, features = make_matcher(template_cells=7), random_features(15)
    kernel, _ = matcher.embed(branch(features))
    changed = {name: Level(level.map.clone(), level.stride, level.offset) for name, level in features.items()}
    for level in changed.values():
        level.map[..., :4, :] = level.map[..., 11:, :] = level.map[..., :4] = level.map[..., 11:] = 9.0
    again, _ = matcher.embed(branch(changed))
    for name, leaf in kernel.items():
        assert torch.equal(leaf, again[name])
    changed["layer2"].map[..., 4, 4] += 1
    assert not torch.equal(matcher.embed(branch(changed))[0]["layer2.folded"], kernel["layer2.folded"])


def test_a_shared_correlation_is_one_tensor_on_the_searchs_own_grid() -> None:
    matcher = make_matcher()
    level = matcher(matcher.embed(branch(random_features(15)))[0], branch(random_features(31))).levels["layer2"]
    assert level.classification is level.regression
    assert level.classification.shape == (2, 8, 31, 31)
    assert (level.stride, level.offset) == (8, 7.5)


def test_separate_correlations_have_weights_and_responses_of_their_own() -> None:
    matcher = make_matcher(shared=False)
    kernel, _ = matcher.embed(branch(random_features(15)))
    assert len(kernel) == 4
    level = matcher(kernel, branch(random_features(31))).levels["layer2"]
    assert not torch.equal(level.classification, level.regression)


def test_a_search_pixel_answers_for_itself_alone() -> None:
    matcher, features = make_matcher(), random_features(31)
    kernel, _ = matcher.embed(branch(random_features(15)))
    before = matcher(kernel, branch(features)).levels["layer2"].classification
    features["layer2"].map[..., 12, 20] += 1
    moved = (matcher(kernel, branch(features)).levels["layer2"].classification - before).abs().sum(dim=(0, 1)) > 0
    assert moved.nonzero().tolist() == [[12, 20]]


def test_the_cost_model_takes_the_form_of_least_cost() -> None:
    """The table of the benchmark: folded at the paper's size, two products where a template meets few cells once."""
    assert cheapest(Work(256, 49, 31 * 31, frames=100)) == "folded"
    assert cheapest(Work(256, 49, 31 * 31)) == "folded"
    assert cheapest(Work(256, 49, 8 * 8)) == "two-matmul"
    for work in (Work(64, 49, 256), Work(256, 9, 25), Work(128, 25, 4096, frames=3)):
        assert cost(cheapest(work), work) == min(cost(form, work) for form in FORMS)


def test_training_and_tracking_may_take_different_forms() -> None:
    """64 search cells: two products cost least for one frame, folded weights for many; both are understood."""
    torch.manual_seed(0)
    levels = {"layer2": LEVELS["layer2"]}
    crop = CropConfig(template_size=64, search_size=64)
    matcher = PixelToGlobalMatcher(PgCorrConfig(channels=256, template_cells=3), levels, crop).double()
    template, search = branch(random_features(15)), branch(random_features(8))
    in_training, _ = matcher.train().embed(template)
    in_tracking, _ = matcher.eval().embed(template)
    assert list(in_training) == ["layer2.template"]
    assert list(in_tracking) == ["layer2.folded"]
    for kernel in (in_training, in_tracking):
        assert matcher(kernel, search).levels["layer2"].classification.shape == (2, 256, 8, 8)
