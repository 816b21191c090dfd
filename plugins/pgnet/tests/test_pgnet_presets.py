"""The presets at full size, the paper's numbers, named comparisons, and single stages."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from trackcli_pgnet.presets import PG_NET, TABLE_1, TABLE_2, TABLE_3
from trackcli_pgnet.stages import single_stages

import trackcli
from trackcli.builtin.heads.rpn import RpnHead
from trackcli.composition.build import build_losses, build_model
from trackcli.composition.defaults import complete
from trackcli.composition.plan import Plan, plan
from trackcli.config.layers import apply_assignments
from trackcli.contracts.context import Context
from trackcli.contracts.shapes import LevelShape, MatchShape
from trackcli.errors import UsageError
from trackcli.host.registry import installed
from trackcli.testing import Scene, build_seeded, synthetic_clip, training_batch
from trackcli.tracking.tracker import Tracker

COMPARISONS = tomllib.loads((Path(__file__).resolve().parents[1] / "comparisons.toml").read_text(encoding="utf-8"))
LAYERS = ("layer2", "layer3", "layer4")


def planned(**recipe: object) -> Plan:
    return plan(complete(recipe, installed()).recipe, installed())


@pytest.fixture(scope="module")
def tracker() -> Tracker:
    """Full size, random weights: the shapes and the code are what matters here."""
    pg_net = planned(matcher={"name": "pg-corr"}, head={"name": "rpn"})
    return Tracker("full", build_seeded(pg_net), pg_net, device="cpu")


def test_naming_matcher_and_head_gives_this_papers_tracker() -> None:
    recipe = complete({"matcher": {"name": "pg-corr"}, "head": {"name": "rpn"}}, installed()).recipe
    assert recipe.preset == "pg-net"
    assert [part.name for part in recipe.loss] == ["multi-loss"]
    assert recipe == complete({"preset": "pg-net"}, installed()).recipe


def test_the_composition_has_the_papers_shapes() -> None:
    pg_net = planned(preset="pg-net")
    widths = dict(zip(LAYERS, (512, 1024, 2048), strict=True))
    assert pg_net.levels == {name: LevelShape(width, 8, 7.5) for name, width in widths.items()}
    assert pg_net.matches == {name: MatchShape(256, 256, 8, shared=True) for name in LAYERS}
    assert pg_net.adjusted == {name: LevelShape(256, 8, 7.5) for name in LAYERS}


def test_the_schedule_is_the_papers() -> None:
    """430 000 steps of 28 pairs; 110 000 of warm-up; the whole network from step 215 000 on."""
    train = planned(preset="pg-net").recipe.train
    assert train.epochs * train.pairs_per_epoch / train.batch == pytest.approx(430_000)
    assert float(train.warmup) * 430_000 == pytest.approx(110_000)
    assert (train.warmup_rate, train.learning_rate, train.final_rate) == (1e-3, 5e-3, 5e-4)
    assert dict(train.unfreeze) == {"stem": 0.5}
    assert PG_NET["sampler"]["negative"] == 0.1


def test_at_full_size_it_tracks(tracker: Tracker) -> None:
    clip = synthetic_clip(frames=2)
    tracker.start(clip.frames[0], clip.boxes_xywh[0])
    result = tracker.update(clip.frames[1])
    assert result.boxes_xyxy.shape == (1, 4)
    assert np.isfinite(result.boxes_xyxy).all()
    assert 0 <= result.scores[0] <= 1


def test_at_full_size_it_trains_a_step(tracker: Tracker) -> None:
    model, losses = tracker.model, build_losses(tracker.plan)
    batch = training_batch(Scene(synthetic_clip(frames=2), tracker.plan.recipe.crop, rows=(0,)), negative=0)
    model.train()
    outputs = model(batch)
    levels = {name: tuple(level.classification.shape) for name, level in outputs.matched.levels.items()}
    assert levels == dict.fromkeys(LAYERS, (1, 256, 31, 31))
    assert tuple(outputs.matched.template["layer4"].map.shape) == (1, 256, 15, 15)
    for output in (outputs.predictions.output, *outputs.predictions.stages.values()):
        assert (tuple(output.logits.shape), tuple(output.deltas.shape)) == ((1, 4805, 2), (1, 4805, 4))
    terms = losses(outputs, batch)
    assert len(terms) == 8
    torch.stack(list(terms.values())).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    model.zero_grad()
    model.eval()


def test_the_wider_search_of_the_long_term_preset_fits_every_part() -> None:
    """831 pixels give 103 × 103 cells; on the meta device, where nothing is computed."""
    long_term = planned(preset="pg-net-long-term")
    assert long_term.recipe.crop.search_sizes == (255, 831)
    assert [link.spec.name for link in long_term.track_links] == ["smooth-size", "clip", "long-term"]
    with torch.device("meta"):
        model = build_model(long_term)
        template, search = (model.branch(torch.zeros(1, 3, side, side)) for side in (127, 831))
        predictions = model.predict(model.embed(template).kernel, Context(search=search))
    assert tuple(predictions.output.logits.shape) == (1, 5 * 103 * 103, 2)


def test_the_papers_tables_put_its_own_tracker_first() -> None:
    assert max(TABLE_1, key=lambda name: TABLE_1[name]["output"] or 0) == "PG-Net-mult-loss"
    assert max(TABLE_2, key=lambda name: TABLE_2[name][0]) == "PG-Net"
    assert max(TABLE_3, key=lambda name: TABLE_3[name][0]) == "PG-Net"
    assert TABLE_1["PG-Net-mult-loss"]["output"] == TABLE_2["PG-Net"][0]


@pytest.mark.parametrize("name", [name for name in COMPARISONS if name != "both"])
def test_both_sides_of_a_comparison_compose(name: str) -> None:
    entry = COMPARISONS[name]
    recipes = []
    for side in ("a", "b"):
        data: dict[str, object] = {}
        assignments = []
        for key, value in (word.split("=", 1) for word in f"{COMPARISONS['both']} {entry[side]}".split()):
            if key == "preset":
                data[key] = value
            elif key in {"backbone", "matcher", "head"}:
                data[key] = {"name": value}
            elif key in {"loss", "postprocessor"}:
                data[key] = [{"name": value}]
            else:
                assignments.append(f"{key}={value}")
        assert apply_assignments({}, assignments) is not None
        recipes.append(plan(complete(data, installed(), assignments).recipe, installed()).recipe)
    assert recipes[0] != recipes[1]


def test_single_stages_writes_a_tracker_for_each_stage(tmp_path: Path) -> None:
    made = trackcli.compose(
        preset="pg-net",
        backbone={"name": "resnet18", "depth": 3},
        matcher={"name": "pg-corr", "channels": 16},
        device="cpu",
    )
    assert isinstance(made.model.head, RpnHead)
    torch.nn.init.normal_(made.model.head.classification_weights)
    path = tmp_path / "all.safetensors"
    made.save(path, provenance={"seed": 3, "figures": {"auc": 0.5}})
    command = [sys.executable, "-m", "trackcli", "single-stages", str(path), "-o", str(tmp_path / "stages")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    batch = training_batch(Scene(synthetic_clip(), made.plan.recipe.crop), negative=0)
    with torch.no_grad():
        stages = trackcli.load(path, device="cpu").model(batch).predictions.stages
        for name in ("layer2", "layer3"):
            single = trackcli.load(tmp_path / "stages" / f"{name}.safetensors", device="cpu")
            output = single.model(batch).predictions.output
            torch.testing.assert_close(output.logits, stages[name].logits)
            torch.testing.assert_close(output.deltas, stages[name].deltas)
            assert single.described is not None
            assert single.described.provenance == {"seed": 3, "single_stage": name}
    with pytest.raises(UsageError, match="add --force to replace it"):
        single_stages(str(path), output=tmp_path / "stages")
