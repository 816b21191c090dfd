"""The contract of samplers."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import ClassVar

import numpy as np
from trackcli_cache.batches_pairs import PairMaker
from trackcli_cache.build import build_cache
from trackcli_cache.reader import CropCache
from trackcli_cache.sampling import PairPlan, RecordKey, Sampler

from trackcli.config.component import ComponentConfig
from trackcli.config.recipe import CropConfig
from trackcli.config.sampling import SamplerConfig
from trackcli.host.datasets import open_dataset
from trackcli.host.specs import ComponentSpec, SamplerSpec
from trackcli.synth.files import write_sequence
from trackcli.synth.sequences import make_sequence
from trackcli.synth.settings import SceneSettings
from trackcli.testing.checks import expect
from trackcli.testing.compositions import TINY
from trackcli.testing.settings import SettingsContract
from trackcli.training.sampler import crop_settings

DRAWN = 64
"""Pairs that are drawn from a sampler: enough that its kinds of pairs come up."""

SHOWN = 4
"""Of these, how many are cut out of their pictures too."""


class SamplerContract(SettingsContract):
    """What a sampler promises: a sample's number alone determines its pair, which lies in the caches.

    Example:
        >>> class TestMySampler(SamplerContract):
        ...     name = "my-sampler"
    """

    kind: ClassVar[type[ComponentSpec]] = SamplerSpec
    config_base: ClassVar[type[ComponentConfig]] = SamplerConfig

    def write(self, root: Path) -> None:
        """Write sequences in the layout ``folder`` that the sampler can draw from; replace it if it needs others."""
        for seed in range(2):
            scene = SceneSettings(frames=5, size_wh=(96, 72), seed=seed, target_size=0.3)
            write_sequence(make_sequence(scene), root / f"sequence-{seed}", video=False)

    @contextmanager
    def caches(self) -> Iterator[list[CropCache]]:
        """Two small caches of the same sequences."""
        with tempfile.TemporaryDirectory() as folder, ExitStack() as opened:
            root = Path(folder) / "root"
            self.write(root)
            for name in ("one", "two"):
                build_cache(open_dataset("trackcli:folder", root, registry=self.registry), Path(folder) / name)
            yield [opened.enter_context(CropCache.open(Path(folder) / name)) for name in ("one", "two")]

    def sampler(self, caches: Sequence[CropCache], *, seed: int = 0) -> Sampler:
        """The sampler, as a training makes it."""
        make = self.find(self.registry).load_factory()
        sampler: Sampler = make(caches, [1.0, 2.0], self.config(), seed=seed, warn=lambda _: None)
        return sampler

    def test_its_pairs_lie_in_the_caches(self) -> None:
        """Every record that a plan names exists."""
        with self.caches() as caches:
            sampler = self.sampler(caches)
            for number in range(DRAWN):
                for key in _keys(_plan(sampler, number)):
                    inside = 0 <= key.cache < len(caches) and 0 <= key.record < len(caches[key.cache])
                    expect(inside, f"pair {number} names record {key.record} of cache {key.cache}; there is none")

    def test_a_pair_follows_from_its_number(self) -> None:
        """In any order, in any process: then neither workers nor interruptions change a training."""
        with self.caches() as caches:
            sampler, other = self.sampler(caches), self.sampler(caches)
            forwards = [_plan(sampler, number) for number in range(DRAWN)]
            backwards = [_plan(other, number) for number in reversed(range(DRAWN))][::-1]
            expect(
                forwards == backwards,
                "another order of drawing gives other pairs; begin each draw with default_rng((seed, sample_id))",
            )
            chances = [sampler.draw(3)[1].random(), other.draw(3)[1].random()]
            expect(chances[0] == chances[1], "draw() gives other generators for one sample; seed them by its number")

    def test_another_seed_gives_other_pairs(self) -> None:
        """The run's seed matters."""
        with self.caches() as caches:
            one, two = self.sampler(caches, seed=1), self.sampler(caches, seed=2)
            drawn = [(_plan(one, number), _plan(two, number)) for number in range(DRAWN)]
            expect(any(first != second for first, second in drawn), "two seeds give the same pairs; use the seed")

    def test_it_pickles(self) -> None:
        """Other processes draw from it."""
        with self.caches() as caches:
            sampler = self.sampler(caches)
            try:
                again = pickle.loads(pickle.dumps(sampler))
            except (pickle.PicklingError, TypeError, AttributeError) as error:
                raise AssertionError(f"it does not pickle ({error}); keep no lambdas and no open files") from error
            expect(
                [_plan(again, number) for number in range(DRAWN)]
                == [_plan(sampler, number) for number in range(DRAWN)],
                "it draws other pairs after a journey to another process; keep everything in plain attributes",
            )

    def test_its_pairs_can_be_cut(self) -> None:
        """The pictures of the first pairs can be made."""
        config = self.config()
        assert isinstance(config, SamplerConfig)
        with self.caches() as caches:
            crop = crop_settings(CropConfig(**TINY["crop"]), config)
            sampler = self.sampler(caches)
            maker = PairMaker(caches, sampler, crop)
            for number in range(SHOWN):
                template, search = (
                    np.zeros((side, side, 3), np.uint8) for side in (crop.template_size, crop.search_size)
                )
                try:
                    labels = maker.make(number, template, search)
                except (IndexError, ValueError) as error:
                    raise AssertionError(
                        f"pair {number} cannot be cut ({error}): {sampler.draw(number)[0]}; name only parts, objects "
                        "and records that are there"
                    ) from error
                expect(bool(search.any()), f"the search region of pair {number} is black")
                expect(bool(np.isfinite(labels.objects_xyxy).all()), f"pair {number} has no finite box: {labels.plan}")


def _plan(sampler: Sampler, number: int) -> PairPlan:
    return sampler.draw(number)[0]


def _keys(plan: PairPlan) -> list[RecordKey]:
    given = (plan.template, plan.search, plan.background, plan.surroundings, *plan.distractors)
    return [key for key in given if key is not None]
