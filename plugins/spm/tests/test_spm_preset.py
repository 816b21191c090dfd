"""The preset at full size, the public code's settings, and the paper's tables."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import torch
from torch import nn
from trackcli_spm import presets

from trackcli.composition.build import build_losses, build_model
from trackcli.composition.defaults import complete
from trackcli.composition.model import TrackerModel
from trackcli.composition.plan import Plan, plan
from trackcli.host.registry import installed
from trackcli.testing.scenes import Scene, synthetic_clip, training_batch
from trackcli.tracking.tracker import Tracker


def planned(*assignments: str, **parts: object) -> Plan:
    registry = installed()
    return plan(complete({"preset": "spm-tracker", **parts}, registry, assignments).recipe, registry)


@pytest.fixture(scope="module")
def full() -> tuple[Plan, TrackerModel]:
    torch.manual_seed(0)
    preset = planned()
    return preset, build_model(preset)


def test_a_step_at_full_size_has_the_papers_shapes_and_trains_every_part(full: tuple[Plan, TrackerModel]) -> None:
    preset, model = full
    losses = build_losses(preset)
    batch = training_batch(Scene(synthetic_clip(), preset.recipe.crop, rows=(0,)), negative=0)
    model.train().requires_grad_(True)
    outputs = model(batch)
    shapes = {name: tuple(level.map.shape) for name, level in outputs.search.features.items()}
    assert shapes == {"conv3": (1, 384, 34, 34), "conv5": (1, 256, 34, 34)}
    assert outputs.template.features["conv5"].map.shape == (1, 256, 16, 16)
    level = outputs.matched.levels["conv5"]
    assert level.classification.shape == (1, 10, 19, 19) and level.regression.shape == (1, 20, 19, 19)
    # The response's middle is that of the crop: 19 cells of stride 8 around 135.5.
    assert level.offset + 9 * level.stride == 135.5
    output = outputs.predictions.output
    assert output.coarse.output.logits.shape == (1, 1805, 2)
    assert output.regions.logits.shape == (1, 48, 2) and output.regions.boxes_xyxy.shape == (1, 48, 4)
    assert int(output.regions.positive.sum()) == 24 == int((output.regions.valid & ~output.regions.positive).sum())
    relation = model.head.fine.relation  # type: ignore[union-attr]
    assert isinstance(relation, nn.Conv2d) and relation.weight.shape == (256, 1280, 1, 1)
    terms = losses(outputs, batch)
    names = ("coarse_classification", "coarse_box", "fine_classification", "fine_box")
    assert list(terms) == [f"series-parallel.{name}" for name in names]
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    torch.stack(list(terms.values())).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    optimizer.step()
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())
    model.requires_grad_(False).eval()


def test_it_tracks_at_full_size(full: tuple[Plan, TrackerModel]) -> None:
    preset, model = full
    tracker = Tracker("spm-tracker", model.eval(), preset, device="cpu")
    clip = synthetic_clip()
    tracker.start(clip.frames[0], clip.boxes_xywh[:1])
    result = tracker.update(clip.frames[1])
    assert result.boxes_xyxy.shape == (1, 4) and 0 <= result.scores[0] <= 1


def test_its_settings_are_those_of_section_4() -> None:
    preset = planned()
    train, sampler, head = preset.recipe.train, preset.recipe.sampler.settings, preset.head.config
    assert (train.epochs, train.pairs_per_epoch, train.learning_rate, train.final_rate) == (50, 160_000, 1e-2, 1e-4)
    assert (train.optimizer, train.unfreeze) == ("sgd", {"stem": 0.0})
    assert (preset.recipe.crop.template_size, preset.recipe.crop.search_size) == (127, 271)
    # 2 : 1 : 1 and 4 : 1.
    assert (sampler["negative"], sampler["same_category"], sampler["video"]) == (0.5, 0.5, 0.8)
    assert head.chosen(preset.levels) == ("conv3", "conv5")  # type: ignore[attr-defined]
    assert sum(preset.levels[name].channels for name in ("conv3", "conv5")) == 640
    normalisation = preset.normalisation
    assert (normalisation.channels, normalisation.scale, normalisation.mean) == ("bgr", 1.0, (104.0, 117.0, 123.0))


def test_the_links_have_the_public_codes_settings() -> None:
    links = planned().recipe.postprocessor
    assert {link.name: link.settings for link in links} == {
        "cosine-window": {"influence": 0.5, "span": 1.0},
        "select": {},
        "smooth-size": {"rate": 0.5},
        "hold": {"threshold": 0.2},
        "clip": {},
    }


def test_the_public_codes_form_is_settings_alone() -> None:
    code = planned(
        "backbone.groups=2",
        "backbone.norm=lrn",
        "crop.template_size=271",
        "crop.context_size=127",
        "head.relation_kernel=3",
        "head.last_box=score",
    )
    with torch.device("meta"):
        model = build_model(code)
        template, search = (model.branch(torch.zeros(1, 3, 271, 271), torch.zeros(1, 4)) for _ in range(2))
        kernel, _ = model.matcher.embed(template)
        matched = model.matcher(kernel, search)
    assert template.features["conv5"].map.shape[-2:] == (34, 34)
    assert matched.levels["conv5"].classification.shape == (1, 10, 19, 19)


@pytest.mark.parametrize(
    "assignment",
    ['head.levels=["conv3"]', 'head.levels=["conv5"]', "head.fine=cross-correlation", "head.structure=coarse"],
)
def test_the_papers_ablations_are_settings(assignment: str) -> None:
    assert planned(assignment).matches


def test_another_backbone_needs_its_name_alone() -> None:
    preset = planned(backbone={"name": "resnet18"})
    assert preset.head.config.chosen(preset.levels) == ("layer2", "layer3")  # type: ignore[attr-defined]


def test_every_named_comparison_fits_together() -> None:
    comparisons = tomllib.loads((Path(__file__).parents[1] / "comparisons.toml").read_text(encoding="utf-8"))
    both = comparisons.pop("both")
    assert comparisons
    for name, comparison in comparisons.items():
        a, b = comparison["a"], comparison["b"]
        sides = [_plan_of(f"{both} {own}") for own in (a, f"{a} {b}" if comparison.get("same_weights") else b)]
        assert sides[0].recipe != sides[1].recipe, name


def _plan_of(words: str) -> Plan:
    pairs = [word.partition("=")[::2] for word in words.split()]
    parts = {key: {"name": value} for key, value in pairs if key == "backbone"}
    return planned(*(f"{key}={value}" for key, value in pairs if "." in key), **parts)


def test_the_tables_agree_with_one_another_and_with_the_text() -> None:
    assert presets.TABLE_1["series-parallel"] == presets.TABLE_2["series-parallel"]
    generalised = presets.TABLE_2["series-parallel, generalised"]
    assert presets.TABLE_3["SPM-Tracker"][2] == generalised[0] == presets.FINE_LEVELS["conv3 + conv5"]
    assert (presets.TABLE_4["SPM-Tracker"][2], presets.TABLE_4["SPM-Tracker"][5]) == (generalised[2], generalised[1])
    assert presets.FINE_COMPARISON["relation"] == (presets.TABLE_1["series-parallel"][0], generalised[0])
    assert {len(row) for row in presets.TABLE_4.values()} == {7}
