"""The contracts of dataset readers and samplers bite: what breaks just one promise fails, and is told how."""

from __future__ import annotations

import numpy as np
import pytest
from trackcli_cache.datasets import AnnotatedObject, AnnotatedSequence, SourceImage
from trackcli_cache.errors import DatasetError
from trackcli_cache.sampling import PairPlan, RecordKey

from trackcli import DatasetSpec, SamplerSpec
from trackcli.testing import DatasetContract, SamplerContract

PIXELS = np.full((24, 32, 3), 90, np.uint8)


class Stills:
    """A sound reader of every ``*.png``; those below each break one promise."""

    name = "stills"
    box_xyxy = (4.0, 4.0, 20.0, 16.0)

    def __init__(self, root, split=None):
        self.root = root
        self.paths = sorted(root.glob("*.png"))
        if not self.paths:
            raise DatasetError(f"{root} holds no *.png; expected some")

    def image(self, number, path, sequence="all"):
        return SourceImage(path, sequence, number, (AnnotatedObject(self.box_xyxy, track_id=0),))

    def images(self):
        for number, path in enumerate(self.paths):
            yield self.image(number, path)


class Escapes(Stills):
    def images(self):
        yield self.image(0, self.root.parent / "beside.png")


class Invents(Stills):
    def images(self):
        yield self.image(0, self.root / "nowhere.png")


class EmptyHanded(Stills):
    def images(self):
        yield from ()


class Flat(Stills):
    box_xyxy = (4.0, 4.0, 4.0, 16.0)


class Restless(Stills):
    def images(self):
        self.paths.reverse()
        yield from super().images()


class Backwards(Stills):
    def images(self):
        yield from reversed(list(super().images()))


class Piecemeal(Stills):
    def images(self):
        for number, path in enumerate(self.paths):
            yield self.image(number, path, "ab"[number % 2])


class Undecodable(Stills):
    def images(self):
        yield from super().images()
        (self.root / "torn.png").write_bytes(b"torn")
        yield self.image(9, self.root / "torn.png")


class Forgiving(Stills):
    def __init__(self, root, split=None):
        self.root = root
        self.paths = sorted(root.glob("*.png"))


class HalfASequence(Stills):
    def sequence_names(self):
        return ["all"]

    def read_sequence(self, name):
        two = len(self.paths) - 1
        nothing = np.zeros(two, np.uint8)
        numbers = np.arange(two)
        return AnnotatedSequence(name, tuple(self.paths), np.ones((two, 4)), nothing > 0, nothing, numbers)


def dataset(reader, **more):
    class Under(DatasetContract):
        spec = DatasetSpec(name="stills", summary="Stills", reader=f"{__name__}:{reader}", **more)

        def write(self, root):
            import cv2

            for path in (*(root / f"{number}.png" for number in range(3)), root.parent / "beside.png"):
                cv2.imwrite(str(path), PIXELS)

    return Under


def checks(contract):
    return [name for name in dir(contract) if name.startswith("test_") and "torch" not in name]


@pytest.mark.parametrize(
    ("reader", "check", "message"),
    [
        ("Escapes", "test_its_images_lie_under_the_root", "beside.png lies outside the root"),
        ("Invents", "test_its_images_lie_under_the_root", "nowhere.png is no file"),
        ("EmptyHanded", "test_its_images_lie_under_the_root", "yields nothing"),
        ("Flat", "test_its_boxes_are_sound", "write absent=True"),
        ("Restless", "test_its_images_come_in_the_same_order_each_time", "another order the second time"),
        ("Backwards", "test_its_images_come_in_the_same_order_each_time", "number frames upwards"),
        ("Piecemeal", "test_its_images_come_in_the_same_order_each_time", "comes in two pieces"),
        ("Undecodable", "test_a_cache_can_be_built_from_it", "images cannot be used: torn.png"),
        ("Forgiving", "test_a_folder_of_another_layout_is_refused", "raise DatasetError and show the tree"),
    ],
)
def test_a_wrong_reader_is_told(reader, check, message):
    with pytest.raises(AssertionError, match=message):
        getattr(dataset(reader)(), check)()


def test_a_sequence_with_too_few_boxes_is_told():
    with pytest.raises(AssertionError, match=r"3 frames, boxes_xywh \(2, 4\).*expected one row per frame"):
        dataset("HalfASequence", sequences=True)().test_its_sequences_can_be_evaluated_on()


def test_a_sound_reader_passes():
    contract = dataset("Stills")
    for check in checks(contract):
        getattr(contract(), check)()


class Neighbours:
    """A sound sampler of two records of one cache; those below each break one promise."""

    def __init__(self, caches, weights, config, *, seed, warn):
        self.count = len(caches[0])
        self.seed = seed

    def generator(self, sample_id):
        return np.random.default_rng((self.seed, sample_id))

    def draw(self, sample_id):
        rng = self.generator(sample_id)
        first = int(rng.integers(self.count - 1))
        return PairPlan(RecordKey(0, first), RecordKey(0, first + 1)), rng


class OneTooFar(Neighbours):
    def draw(self, sample_id):
        return PairPlan(RecordKey(0, 0), RecordKey(0, self.count)), self.generator(sample_id)


class Counting(Neighbours):
    drawn = 0

    def generator(self, sample_id):
        self.drawn += 1
        return super().generator(self.drawn)


class FreshChance(Neighbours):
    def draw(self, sample_id):
        return super().draw(sample_id)[0], np.random.default_rng()


class Seedless(Neighbours):
    def generator(self, sample_id):
        return np.random.default_rng(sample_id)


class Unpicklable(Neighbours):
    def __init__(self, *given, **more):
        super().__init__(*given, **more)
        self.choose = lambda rng: rng


class NoSuchNeighbour(Neighbours):
    def draw(self, sample_id):
        plan, rng = super().draw(sample_id)
        return PairPlan(plan.template, plan.search, center_on=99), rng


def sampler(factory):
    class Under(SamplerContract):
        config = "trackcli.config.sampling:SamplerConfig"
        spec = SamplerSpec(name="neighbours", summary="Pairs", factory=f"{__name__}:{factory}", config=config)
        del config

    return Under


@pytest.mark.parametrize(
    ("factory", "check", "message"),
    [
        ("OneTooFar", "test_its_pairs_lie_in_the_caches", "names record 10 of cache 0; there is none"),
        ("Counting", "test_a_pair_follows_from_its_number", "begin each draw with default_rng"),
        ("FreshChance", "test_a_pair_follows_from_its_number", "seed them by its number"),
        ("Seedless", "test_another_seed_gives_other_pairs", "use the seed"),
        ("Unpicklable", "test_it_pickles", "keep no lambdas"),
        ("NoSuchNeighbour", "test_its_pairs_can_be_cut", "pair 0 cannot be cut"),
    ],
)
def test_a_wrong_sampler_is_told(factory, check, message):
    with pytest.raises(AssertionError, match=message):
        getattr(sampler(factory)(), check)()


def test_a_sound_sampler_passes():
    contract = sampler("Neighbours")
    for check in checks(contract):
        getattr(contract(), check)()
