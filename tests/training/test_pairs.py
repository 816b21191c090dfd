"""Sampling and making pairs: deterministic, exact in their labels."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trackcli_cache.reader import CropCache

from trackcli.config.recipe import CropConfig
from trackcli.config.training import AugmentConfig, SamplerConfig
from trackcli.contracts.training import PairKind
from trackcli.errors import InputDataError
from trackcli.training.augment import random_affine, transform_box, transform_points, warp
from trackcli.training.loader import PairLoader
from trackcli.training.pairs import PairMaker
from trackcli.training.paste import Sprite, paste
from trackcli.training.sampler import PairSampler

STILL = AugmentConfig(shift=0, scale=0, blur=0, color=0)


def make_sampler(cache: CropCache, *, seed: int = 0, **config: object) -> PairSampler:
    return PairSampler([cache], [1.0], SamplerConfig(**config), seed=seed, warn=lambda text: None)


def make_maker(cache: CropCache, **config: object) -> PairMaker:
    return PairMaker([cache], make_sampler(cache, **config), CropConfig(template_size=63, search_size=127))


def test_a_pair_depends_on_seed_and_number_alone(tiny_cache: CropCache) -> None:
    first, again = make_maker(tiny_cache, paste=0.5, distractors=2), make_maker(tiny_cache, paste=0.5, distractors=2)
    for number in (0, 7, 3):
        a, b = first.make(number), again.make(number)
        assert a.plan == b.plan
        np.testing.assert_array_equal(a.search_image, b.search_image)
        np.testing.assert_array_equal(a.search_box_xyxy, b.search_box_xyxy)
    assert not np.array_equal(first.make(1).search_image, first.make(2).search_image)


def test_batches_are_the_same_whatever_the_number_of_threads(tiny_cache: CropCache) -> None:
    maker = make_maker(tiny_cache, paste=0.5, distractors=1)
    alone = list(PairLoader(maker, batch_size=3, workers=0).batches(2, 5))
    threaded = list(PairLoader(maker, batch_size=3, workers=3).batches(2, 5))
    for a, b in zip(alone, threaded, strict=True):
        assert a.batch.sample_ids.tolist() == b.batch.sample_ids.tolist()
        assert (a.batch.search_images == b.batch.search_images).all()
    assert alone[0].batch.sample_ids.tolist() == [6, 7, 8]


def test_video_pairs_show_one_object_within_the_gap(tiny_cache: CropCache) -> None:
    sampler = make_sampler(tiny_cache, video=1.0, negative=0.0, max_gap=2)
    for number in range(40):
        plan, _ = sampler.draw(number)
        a, b = plan.template.record, plan.search.record
        assert tiny_cache.sequence_ids[a] == tiny_cache.sequence_ids[b]
        assert tiny_cache.track_ids[a] == tiny_cache.track_ids[b]
        assert abs(tiny_cache.frame_numbers[a] - tiny_cache.frame_numbers[b]) <= 2


def test_negative_pairs_show_another_object_and_say_so(tiny_cache: CropCache) -> None:
    sampler = make_sampler(tiny_cache, video=0.0, negative=1.0)
    plans = [sampler.draw(number)[0] for number in range(60)]
    negatives = [plan for plan in plans if not plan.positive]
    assert len(negatives) > 40
    assert all(plan.template != plan.search for plan in negatives)
    assert {plan.kind for plan in negatives} == {PairKind.SAME_CATEGORY, PairKind.DIFFERENT_CATEGORY}


def test_the_share_of_persons_is_capped(tiny_cache: CropCache) -> None:
    sampler = make_sampler(tiny_cache, video=0.0, negative=0.0, person_cap=0.1)
    names = [tiny_cache.categories[tiny_cache.category_ids[sampler.draw(i)[0].template.record]] for i in range(400)]
    assert 0.04 < names.count("person") / 400 < 0.17


def test_too_small_objects_everywhere_are_an_error(tiny_cache: CropCache) -> None:
    with pytest.raises(InputDataError, match=r"^the caches hold no object of at least 999 px; add data or lower it"):
        make_sampler(tiny_cache, min_size=999)


def test_missing_stills_are_reported_once_and_replaced_by_sequences(tiny_cache: CropCache) -> None:
    complaints: list[str] = []
    config = SamplerConfig(min_size=29.9, video=0.2, paste=0.5)
    # min_size keeps the 30×30 discs and drops nothing else; a cache of sequences alone is what a user's own clip gives.
    sampler = PairSampler([_only_sequences(tiny_cache)], [1.0], config, seed=0, warn=complaints.append)
    assert complaints == ["the data has no stills: all pairs come from sequences; no outlines: nothing is pasted"]
    assert sampler.draw(0)[0].positive in {True, False}


def _only_sequences(cache: CropCache) -> CropCache:
    class Sequences:
        keep = np.flatnonzero(np.array([not cache.sequences[index].still for index in cache.sequence_ids]))
        categories = cache.categories
        sequence_ids = cache.sequence_ids[keep]
        track_ids = cache.track_ids[keep]
        frame_numbers = cache.frame_numbers[keep]
        category_ids = cache.category_ids[keep]
        target_sizes = cache.target_sizes[keep]
        has_polygon = cache.has_polygon[keep]

    return Sequences()  # type: ignore[return-value]  # the columns that the sampler reads


def test_without_augmentation_the_target_lies_in_the_middle_at_the_recipes_scale(tiny_cache: CropCache) -> None:
    maker = make_maker(tiny_cache, video=0.0, negative=0.0, flip=0.0, template=STILL, search=STILL)
    pair = maker.make(0)
    record = tiny_cache.record(pair.plan.template.record)
    width, height = (record.box_xyxy[2:] - record.box_xyxy[:2]).tolist()
    margin = (width + height) / 2
    scale = 63 / math.sqrt((width + margin) * (height + margin))
    expected = np.array([63 - width * scale, 63 - height * scale, 63 + width * scale, 63 + height * scale]) / 2
    np.testing.assert_allclose(pair.template_box_xyxy, expected, atol=1e-6)
    np.testing.assert_allclose(pair.search_box_xyxy, expected + 32, atol=1e-6)


def test_the_box_sits_on_the_object_in_a_pasted_pair(tiny_cache: CropCache) -> None:
    """The brick is the only saturated colour of its kind: its pixels must fill the box."""
    maker = make_maker(
        tiny_cache, video=0.0, negative=0.0, paste=1.0, distractors=0, flip=1.0, template=STILL, search=STILL
    )
    checked = 0
    for number in range(12):
        pair = maker.make(number)
        if tiny_cache.categories[tiny_cache.category_ids[pair.plan.search.record]] != "brick":
            continue
        x0, y0, x1, y1 = np.rint(pair.search_box_xyxy).astype(int)
        inside = pair.search_image[y0 + 3 : y1 - 3, x0 + 3 : x1 - 3].reshape(-1, 3).astype(int)
        assert (np.abs(np.median(inside, axis=0) - (30, 30, 200)) < 25).all()  # BGR in the test's files, RGB here
        checked += 1
    assert checked > 2


@settings(max_examples=50, deadline=None)
@given(
    x=st.floats(20, 80), y=st.floats(20, 80), width=st.floats(4, 30), height=st.floats(4, 30), seed=st.integers(0, 999)
)
def test_a_box_and_its_corners_move_alike_without_rotation(
    x: float, y: float, width: float, height: float, seed: int
) -> None:
    config = AugmentConfig(shift=20, scale=0.5, aspect=0.3, rotation=0)
    affine = random_affine(np.random.default_rng(seed), config, center_xy=(50, 50), zoom=1.3, size=100)
    box = np.array([x, y, x + width, y + height])
    corners = transform_points(box.reshape(2, 2), affine).reshape(4)
    np.testing.assert_allclose(transform_box(box, affine), corners, atol=1e-9)


def test_warping_moves_a_bright_pixel_to_where_the_affine_map_says() -> None:
    image = np.zeros((40, 40, 3), np.uint8)
    image[10, 12] = 255
    affine = np.array([[1.0, 0, 5], [0, 1.0, -3]])
    warped = warp(image, affine, 40, fill=(0, 0, 0))
    assert np.argwhere(warped[..., 0] == 255).tolist() == [[7, 17]]


def test_pasting_covers_the_outline_and_nothing_else() -> None:
    canvas = np.zeros((60, 60, 3), np.uint8)
    outline = np.array([[10, 10], [30, 10], [30, 20], [10, 20]], np.float32)
    sprite = Sprite(np.full((60, 60, 3), 200, np.uint8), (outline,))
    picture, box = paste(canvas, sprite, np.array([[1.0, 0, 15], [0, 1.0, 20]]))
    np.testing.assert_allclose(box, [25, 30, 45, 40])
    assert (picture[33:37, 28:42] == 200).all()
    assert (picture[:27] == 0).all() and (picture[:, :22] == 0).all() and (picture[43:] == 0).all()


def test_the_sampler_reads_real_caches_of_the_shared_images(shared_data: Path, tmp_path: Path) -> None:
    from trackcli_cache.build import build_cache
    from trackcli_cache.catalogue import open_dataset

    build_cache(open_dataset("folder", shared_data / "train" / "images" / "voc_mini"), tmp_path / "cache", limit=20)
    with CropCache.open(tmp_path / "cache") as cache:
        pair = make_maker(cache, video=0.0).make(0)
    assert pair.search_image.shape == (127, 127, 3)
