"""The presets at full size, the paper's numbers, and both sides of every comparison."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from trackcli_ibfp import presets

from trackcli.composition.build import build_losses, build_model
from trackcli.composition.defaults import complete
from trackcli.composition.plan import Plan, plan
from trackcli.config.layers import apply_assignments
from trackcli.contracts.shapes import LevelShape, MatchShape
from trackcli.host.registry import installed
from trackcli.testing import Scene, build_seeded, synthetic_clip, training_batch
from trackcli.tracking.tracker import Tracker
from trackcli.training.schedule import Timeline

COMPARISONS = tomllib.loads((Path(__file__).resolve().parents[1] / "comparisons.toml").read_text(encoding="utf-8"))


def planned(**recipe: object) -> Plan:
    return plan(complete(recipe, installed()).recipe, installed())


@pytest.fixture(scope="module")
def tracker() -> Tracker:
    """Full size but for the first frame's views and steps; random weights: shapes and code are what matters here."""
    ibfp = planned(
        preset="ibfp",
        postprocessor=[
            {"name": "online-update", "views": "few", "memory": 20, "first_iterations": 6},
            *({"name": name} for name in ("select", "hold", "clip")),
        ],
    )
    return Tracker("full", build_seeded(ibfp), ibfp, device="cpu")


def test_naming_the_matcher_gives_this_papers_tracker() -> None:
    recipe = complete({"matcher": {"name": "ibu-pyramid"}}, installed()).recipe
    assert (recipe.preset, recipe.head.name, recipe.loss[0].name) == ("ibfp", "center", "focal-hinge")
    assert [link.name for link in recipe.postprocessor] == ["online-update", "select", "hold", "clip"]


def test_the_settings_are_those_of_section_4_a() -> None:
    ibfp = planned(preset="ibfp")
    train, crop = ibfp.recipe.train, ibfp.recipe.crop
    assert (train.epochs, train.pairs_per_epoch / train.batch, train.batch) == (60, 1000, 128)
    assert (train.optimizer, train.schedule, train.step_factor) == ("adam", "step", 0.2)
    timeline = Timeline.of(train)
    moments = [timeline.step_at(moment) / timeline.steps_per_epoch for moment in (train.warmup, *train.milestones)]
    assert moments == [5, 15, 30, 45]
    assert (crop.template_size, crop.search_size) == (288, 288)
    assert crop.search_size / crop.pixels_of_context == 5
    loss = ibfp.losses[0].config
    assert (loss.alpha, loss.gamma, loss.tau) == (0.9, 0.1, 0.05)  # type: ignore[attr-defined]
    online = ibfp.candidate_links[0].config
    assert (online.offline_weight, online.every) == (0.3, 10)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "backbone, width",
    [
        ({"name": "resnet18", "depth": 4, "max_stride": 32}, 128),
        ({"name": "resnet50", "depth": 4, "max_stride": 32, "form": "plain"}, 512),
    ],
    ids=["resnet18", "resnet50"],
)
def test_the_pyramid_ends_at_stride_8(backbone: dict[str, object], width: int) -> None:
    ibfp = planned(preset="ibfp", backbone=backbone)
    assert ibfp.matches == {"layer2": MatchShape(width, width, 8, shared=True)}
    assert list(ibfp.levels) == ["layer2", "layer3", "layer4"]
    with torch.device("meta"):
        model = build_model(ibfp)
        images = torch.zeros(1, 3, 288, 288)
        seen = model.branch(images)
        matched = model.matcher(model.embed(seen).kernel, seen)
    assert tuple(matched.levels["layer2"].classification.shape) == (1, width, 36, 36)


def test_search_regions_of_five_times_the_targets_area_compose_with_their_template_cells() -> None:
    """The target has 288 / sqrt(5) = 128.8 pixels: 16.1, 8 and 4 cells at strides 8, 16 and 32."""
    given = ["crop.context_size=128.8", "matcher.template_cells=[17,9,5]"]
    ibfp = plan(complete({"preset": "ibfp"}, installed(), given).recipe, installed())
    assert (ibfp.recipe.crop.search_size / ibfp.recipe.crop.pixels_of_context) ** 2 == pytest.approx(5, rel=1e-3)
    with torch.device("meta"):
        model = build_model(ibfp)
        seen = model.branch(torch.zeros(1, 3, 288, 288))
        matched = model.matcher(model.embed(seen).kernel, seen)
    assert tuple(matched.levels["layer2"].classification.shape) == (1, 128, 36, 36)


@pytest.mark.parametrize("head, loss", [("rpn", "rpn"), ("point", "point")])
def test_the_pyramid_stands_in_front_of_other_heads(head: str, loss: str) -> None:
    other = planned(matcher={"name": "ibu-pyramid"}, head={"name": head})
    assert (other.head.spec.name, other.losses[0].spec.name) == (head, loss)


def test_at_full_size_it_trains_a_step(tracker: Tracker) -> None:
    model, losses = tracker.model, build_losses(tracker.plan)
    batch = training_batch(Scene(synthetic_clip(frames=2), tracker.plan.recipe.crop, rows=(0,)), negative=0)
    model.train()
    outputs = model(batch)
    output = outputs.predictions.output
    assert (tuple(output.logits.shape), tuple(output.distances.shape)) == ((1, 1296, 1), (1, 1296, 4))
    assert output.points_xy[0].tolist() == [0.0, 0.0] and output.points_xy[18 * 36 + 18].tolist() == [144.0, 144.0]
    terms = losses(outputs, batch)
    assert list(terms) == ["focal-hinge.center", "focal-hinge.box"]
    torch.stack(list(terms.values())).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    model.zero_grad()
    model.eval()


def test_at_full_size_it_tracks(tracker: Tracker) -> None:
    clip = synthetic_clip(frames=2)
    tracker.start(clip.frames[0], clip.boxes_xywh[0])
    state = tracker.session._state
    assert state is not None
    assert tuple(state.links["online-update"]["samples"].shape) == (1, 64, 20, 18, 18)
    assert tuple(state.links["online-update"]["labels"].shape) == (1, 20, 19, 19)
    result = tracker.update(clip.frames[1])
    assert np.isfinite(result.boxes_xyxy).all() and 0 <= result.scores[0] <= 1


def test_the_small_preset_has_one_step_from_16_to_8() -> None:
    small = planned(preset="ibfp-small")
    assert small.levels == {"layer2": LevelShape(128, 8, 0.5), "layer3": LevelShape(256, 16, 0.5)}
    assert small.recipe.crop.search_size / small.recipe.crop.pixels_of_context == 5
    assert list(small.matches) == ["layer2"]


def test_the_papers_tables_are_whole_and_put_its_own_last_row_where_it_does() -> None:
    assert max(presets.TABLE_1, key=lambda row: presets.TABLE_1[row][0]) == "IBU and CSCS"
    assert max(presets.TABLE_2, key=lambda row: presets.TABLE_2[row][0]) == "(b) ratio 0.25"
    assert presets.TABLE_1["IBU and CSCS"] == presets.TABLE_2["(b) ratio 0.25"]
    assert {len(row) for row in presets.TABLE_3.values()} == {len(presets.TABLE_3_TRACKERS)} == {12}
    assert len(presets.TABLE_3) == 14
    assert max(presets.TABLE_5, key=lambda name: presets.TABLE_5[name][0]) == "IBFP"


@pytest.mark.parametrize("name", COMPARISONS, ids=str)
def test_both_sides_of_a_comparison_compose(name: str) -> None:
    recipes = []
    comparison = COMPARISONS[name]
    a, b = comparison["a"], comparison["b"]
    for words in (a, f"{a} {b}" if comparison.get("same_weights") else b):
        data: dict[str, object] = {}
        links: list[dict[str, object]] = []
        assignments = []
        for key, value in (word.split("=", 1) for word in words.split()):
            if key == "preset":
                data[key] = value
            elif key == "postprocessor":
                links.append({"name": value})
            else:
                assignments.append(f"{key}={value}")
        if links:
            data["postprocessor"] = links
        assert apply_assignments({}, assignments) is not None
        recipes.append(plan(complete(data, installed(), assignments).recipe, installed()).recipe)
    assert recipes[0] != recipes[1]
