"""Samplers as components: chosen by name, configured, provided by plugins, and left out of what tracks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch
from trackcli_cache.reader import CropCache
from trackcli_cache.sampling import PairPlan, RecordKey

from trackcli.composition.build import build_model
from trackcli.composition.defaults import complete, complete_layers
from trackcli.composition.files import load_tracker, read_header, save_tracker
from trackcli.composition.plan import plan
from trackcli.composition.record import full_recipe, recipe_origins
from trackcli.config.origins import Layer
from trackcli.config.recipe import CropConfig, Recipe
from trackcli.config.sampling import AugmentConfig, PairsConfig, SamplerConfig
from trackcli.errors import ConfigError, UnknownNameError
from trackcli.host.registry import installed
from trackcli.host.specs import SamplerSpec
from trackcli.testing.registries import registry_of
from trackcli.training.loader import make_loader
from trackcli.training.sampler import crop_settings

SMALL = ("crop.template_size=63", "crop.search_size=127", "train.batch=4", "head.hidden=8", "matcher.channels=8")


class FirstFramesConfig(SamplerConfig):
    first: int = 2


class FirstFrames:
    """Pairs of a cache's first records, in turn: a sampler as a plugin would write it."""

    def __init__(
        self,
        caches: Sequence[CropCache],
        weights: Sequence[float],
        config: FirstFramesConfig,
        *,
        seed: int,
        warn: Callable[[str], None],
    ) -> None:
        self.first, self.seed = config.first, seed

    def draw(self, sample_id: int) -> tuple[PairPlan, np.random.Generator]:
        key = RecordKey(0, sample_id % self.first)
        return PairPlan(key, key), np.random.default_rng((self.seed, sample_id))


FIRST_FRAMES = SamplerSpec(
    name="first-frames",
    summary="The first records, in turn",
    factory=f"{__name__}:FirstFrames",
    config=f"{__name__}:FirstFramesConfig",
)


def test_a_recipe_that_names_no_sampler_means_the_usual_one() -> None:
    completed = complete({"sampler": {"video": 0.25, "search": {"shift": 32}}}, installed())
    planned = plan(completed.recipe, installed())
    assert completed.recipe.sampler.name == "pairs"
    assert planned.sampler_config == PairsConfig(video=0.25, search=planned.sampler_config.search)
    assert planned.sampler_config.search.shift == 32


def test_the_shipped_tracker_from_before_samplers_had_names_still_loads() -> None:
    path = Path(str(files("trackcli.weights") / "default.safetensors"))
    _, planned, _ = load_tracker(path, installed())
    assert planned.sampler.spec.name == "pairs"
    assert isinstance(planned.sampler.config, PairsConfig) and planned.sampler.config.paste > 0


def test_a_plugins_sampler_draws_the_pairs_of_a_training(tiny_cache: CropCache) -> None:
    registry = registry_of(FIRST_FRAMES)
    completed = complete({"sampler": {"name": "first-frames"}}, registry, [*SMALL, "sampler.first=3"])
    planned = plan(completed.recipe, registry)
    loader = make_loader(planned, [tiny_cache], [1.0], warn=lambda text: None)
    assert [loader.maker.sampler.draw(n)[0].template.record for n in range(5)] == [0, 1, 2, 0, 1]
    (host,) = loader.batches(0, 1)
    assert host.batch.positive.all()


def test_another_sampler_keeps_the_augmentation_and_drops_what_only_the_old_one_knew() -> None:
    registry = registry_of(FIRST_FRAMES)
    layers = [
        Layer("--config mine.toml", {"preset": "default", "sampler": {"video": 0.9, "search": {"shift": 11}}}),
        Layer("--sampler first-frames", {"sampler": {"name": "first-frames"}}),
    ]
    completed = complete_layers(layers, registry)
    planned = plan(completed.recipe, registry)
    assert planned.sampler_config.search.shift == 11
    assert planned.sampler_config.search.rotation == 20  # of preset default
    origins = recipe_origins(completed, planned)
    assert origins["sampler.name"] == "--sampler first-frames"
    assert origins["sampler.search.shift"] == "--config mine.toml"
    assert origins["sampler.search.rotation"] == "preset default"
    assert origins["sampler.first"] == "default"
    assert "sampler.video" not in origins


def test_one_setting_of_a_crop_leaves_its_others_as_they_were() -> None:
    config = plan(complete({}, installed(), ["sampler.template.blur=0"]).recipe, installed()).sampler_config
    assert (config.template.blur, config.template.shift, config.template.scale) == (0.0, 4.0, 0.05)
    assert (config.search.blur, config.search.shift, config.search.scale) == (0.2, 64.0, 0.18)


@pytest.mark.parametrize(
    ("assignment", "complaint"),
    [
        ("sampler.vidoe=0.5", r"^sampler\.vidoe is unknown; did you mean 'video'\?$"),
        ("sampler.search.shfit=3", r"^sampler\.search\.shfit is unknown; did you mean 'shift'\?$"),
        ("sampler.negative=1.5", r"^sampler\.negative = 1\.5 does not fit: .*less than or equal to 1$"),
        ("sampler.max_gaps={a = -1}", r"max_gaps holds a negative number of frames; expected 0 or more$"),
    ],
)
def test_a_wrong_setting_is_named(assignment: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        plan(complete({}, installed(), [assignment]).recipe, installed())


def test_shares_of_the_same_pairs_are_at_most_all_of_them() -> None:
    with pytest.raises(ConfigError, match=r"part 0\.7 and look_alike 0\.6 are shares of the same pairs"):
        plan(complete({}, installed(), ["sampler.part=0.7", "sampler.look_alike=0.6"]).recipe, installed())


def test_an_unknown_sampler_suggests_the_nearest_one() -> None:
    with pytest.raises(UnknownNameError, match="pairs"):
        plan(complete({"sampler": {"name": "pears"}}, installed()).recipe, installed())


def test_a_tracker_tracks_without_the_plugin_of_its_sampler(tmp_path: Path) -> None:
    registry = registry_of(FIRST_FRAMES)
    planned = plan(complete({"sampler": {"name": "first-frames"}}, registry, SMALL).recipe, registry)
    save_tracker(tmp_path / "t.safetensors", build_model(planned), planned, {})
    header = read_header(tmp_path / "t.safetensors")
    assert header.recipe.sampler.name == "first-frames"
    assert header.components["sampler:first-frames"] == "plugin-under-test 0"
    model, elsewhere, _ = load_tracker(tmp_path / "t.safetensors", registry_of())
    assert elsewhere.sampler.spec.name == "pairs"
    assert isinstance(model, torch.nn.Module)


def test_every_setting_of_the_sampler_is_written_out() -> None:
    planned = plan(complete({}, installed()).recipe, installed())
    recipe: Recipe = full_recipe(planned)
    settings: Iterable[str] = recipe.sampler.settings
    assert set(settings) == set(PairsConfig.model_fields)


def test_every_change_of_the_cut_crops_reaches_them() -> None:
    changes = {"shift": 1.0, "scale": 0.2, "aspect": 0.3, "rotation": 4.0, "low_resolution": 0.5, "bend": 0.06}
    settings = crop_settings(CropConfig(), SamplerConfig(search=AugmentConfig(**changes)))
    assert asdict(settings.search) == changes
