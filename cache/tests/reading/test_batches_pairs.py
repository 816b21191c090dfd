"""Pairs and batches: labels sit on the objects, and nothing depends on threads, ranks or the order of asking."""

from __future__ import annotations

import math
import pickle
from dataclasses import fields

import numpy as np
import pytest
from trackcli_cache.batches import PairBatch, PairReader, Rank
from trackcli_cache.batches_pairs import CropSettings, PairLabels, PairMaker
from trackcli_cache.batches_views import ViewSettings
from trackcli_cache.errors import CacheFormatError
from trackcli_cache.reader import CropCache
from trackcli_cache.sampling import PairPlan, RecordKey
from trackcli_cache.sampling_pairs import PairSampler, PairSettings

T, S = 63, 127
BRICK_RGB = (30, 30, 200)
CALM = {"template": ViewSettings(), "search": ViewSettings()}


def maker_of(cache: CropCache, crop: CropSettings | None = None, seed: int = 0, **settings) -> PairMaker:
    sampler = PairSampler([cache], [1.0], PairSettings(**settings), seed=seed, warn=lambda text: None)
    return PairMaker([cache], sampler, crop or small_crops())


def small_crops(**changes) -> CropSettings:
    return CropSettings(template_size=T, search_size=S, pixels_of_context=float(T), **changes)


def made(maker: PairMaker, number: int) -> tuple[PairLabels, np.ndarray, np.ndarray]:
    template, search = np.empty((T, T, 3), np.uint8), np.empty((S, S, 3), np.uint8)
    return maker.make(number, template, search), template, search


class Fixed:
    """A sampler of one plan."""

    def __init__(self, plan: PairPlan) -> None:
        self.plan = plan

    def draw(self, sample_id: int) -> tuple[PairPlan, np.random.Generator]:
        return self.plan, np.random.default_rng(sample_id)


def brick_fills(image: np.ndarray, box_xyxy: np.ndarray, margin: int = 3) -> bool:
    x0, y0, x1, y1 = np.rint(box_xyxy).astype(int)
    inside = image[max(y0, 0) + margin : y1 - margin, max(x0, 0) + margin : x1 - margin].reshape(-1, 3).astype(int)
    return bool(len(inside)) and bool((np.abs(np.median(inside, axis=0) - BRICK_RGB) < 30).all())


def first_brick(cache: CropCache) -> RecordKey:
    return RecordKey(0, int(np.flatnonzero(cache.category_ids == cache.categories.index("brick"))[0]))


def test_without_augmentation_the_target_lies_in_the_middle_at_the_recipes_scale(stills: CropCache) -> None:
    maker = maker_of(stills, small_crops(**CALM), video=0.0, negative=0.0)
    labels, _, _ = made(maker, 0)
    width, height = stills.target_sizes[labels.plan.template.record]
    scale = T / math.sqrt((width + (width + height) / 2) * (height + (width + height) / 2))
    for box, size in ((labels.template_box_xyxy, T), (labels.objects_xyxy[0], S)):
        np.testing.assert_allclose(box[2:] - box[:2], [width * scale, height * scale], rtol=0.015)  # whole windows
        np.testing.assert_allclose((box[:2] + box[2:]) / 2, [size / 2, size / 2], atol=1.0)


@pytest.mark.parametrize("rotation", [0.0, 10.0])
def test_boxes_sit_on_their_objects(stills: CropCache, rotation: float) -> None:
    changes = ViewSettings(shift=20.0, scale=0.3, aspect=0.2, rotation=rotation)
    maker = maker_of(stills, small_crops(template=changes, search=changes), video=0.0, negative=0.0)
    bricks = 0
    for number in range(30):
        labels, template, search = made(maker, number)
        if stills.categories[stills.category_ids[labels.plan.search.record]] == "brick":
            assert brick_fills(template, labels.template_box_xyxy) and brick_fills(search, labels.objects_xyxy[0])
            bricks += 1
    assert bricks > 10


@pytest.mark.parametrize("bend", [0.0, 0.1])
def test_the_box_sits_on_the_object_in_a_pasted_pair(stills: CropCache, bend: float) -> None:
    changes = {"template": ViewSettings(), "search": ViewSettings(bend=bend)}
    maker = maker_of(stills, small_crops(**changes), video=0.0, negative=0.0, paste=1.0)
    bricks = 0
    for number in range(30):
        labels, _, search = made(maker, number)
        if stills.categories[stills.category_ids[labels.plan.search.record]] == "brick":
            assert brick_fills(search, labels.objects_xyxy[0])
            bricks += 1
    assert bricks > 10


def test_bending_changes_pasted_objects_only(stills: CropCache) -> None:
    for share, changed in ((0.0, False), (1.0, True)):
        plain, bent = (
            made(maker_of(stills, small_crops(search=ViewSettings(bend=bend)), video=0.0, paste=share), 1)
            for bend in (0.0, 0.1)
        )
        assert bool((plain[2] != bent[2]).any()) is changed


def test_other_objects_are_listed_with_whether_they_are_of_the_targets_category(stills: CropCache) -> None:
    key = first_brick(stills)
    labels, _, search = made(PairMaker([stills], Fixed(PairPlan(key, key)), small_crops(**CALM)), 0)
    record = stills.record(key.record)
    bricks = [True, *(record.other_category_ids == record.category_id)]
    assert labels.same_category.tolist() == bricks and sum(bricks) == 2 and len(bricks) == 3
    assert brick_fills(search, labels.objects_xyxy[bricks.index(True, 1)], margin=2)


def test_in_a_negative_pair_row_0_is_the_other_object_and_is_alike_by_category_only(stills: CropCache) -> None:
    maker = maker_of(stills, video=0.0, negative=1.0)
    seen = set()
    for number in range(30):
        labels, _, _ = made(maker, number)
        categories = [stills.category_ids[key.record] for key in (labels.plan.template, labels.plan.search)]
        assert labels.same_category[0] == (categories[0] == categories[1])
        seen.add(bool(labels.same_category[0]))
    assert seen == {True, False}


def test_the_template_of_a_part_pair_is_that_part_at_the_same_scale(stills: CropCache) -> None:
    key = first_brick(stills)
    plan = PairPlan(key, key, part=(0.5, 0.25, 1.0, 0.75))
    labels, template, search = made(PairMaker([stills], Fixed(plan), small_crops(**CALM)), 0)
    whole, _, _ = made(PairMaker([stills], Fixed(PairPlan(key, key)), small_crops(**CALM)), 0)
    size, full = (each.template_box_xyxy[2:] - each.template_box_xyxy[:2] for each in (labels, whole))
    np.testing.assert_allclose(size, full, rtol=0.03)  # half the object, twice the magnification
    assert brick_fills(template, labels.template_box_xyxy) and brick_fills(search, labels.objects_xyxy[0])


def test_a_region_centred_on_a_look_alike_still_shows_the_target(stills: CropCache) -> None:
    maker = maker_of(stills, small_crops(**CALM), video=0.0, negative=0.0, look_alike=1.0)
    for number in range(20):
        labels, _, search = made(maker, number)
        assert labels.plan.center_on is not None
        box = labels.objects_xyxy[0]
        center = (box[:2] + box[2:]) / 2
        assert np.abs(center - S / 2).max() <= 0.4 * S + 1
        assert np.abs(center - S / 2).max() > 10  # not in the middle
        assert brick_fills(search, box, margin=2)


def test_lost_resolution_changes_pixels_and_no_label(stills: CropCache) -> None:
    sharp = maker_of(stills, small_crops(**CALM), video=0.0, negative=0.0)
    coarse = ViewSettings(low_resolution=1.0)
    soft = maker_of(stills, small_crops(template=coarse, search=coarse), video=0.0, negative=0.0)
    one, _, sharp_image = made(sharp, 3)
    two, _, soft_image = made(soft, 3)
    np.testing.assert_array_equal(one.objects_xyxy, two.objects_xyxy)
    assert (
        np.abs(np.diff(soft_image.astype(int), axis=1)).mean() < np.abs(np.diff(sharp_image.astype(int), axis=1)).mean()
    )


def equal(one: PairBatch, other: PairBatch) -> bool:
    return all(np.array_equal(getattr(one, field.name), getattr(other, field.name)) for field in fields(PairBatch))


EVERYTHING = {"video": 0.0, "negative": 0.3, "paste": 0.5, "distractors": 2, "part": 0.3, "look_alike": 0.3}


def test_batches_are_the_same_whatever_the_number_of_threads(stills: CropCache) -> None:
    maker = maker_of(stills, **EVERYTHING)
    alone = list(PairReader(maker, batch_size=5, workers=0).batches(2, 7))
    assert alone[0].sample_ids.tolist() == [10, 11, 12, 13, 14]
    for workers in (1, 3):
        threaded = list(PairReader(maker, batch_size=5, workers=workers).batches(2, 7))
        assert all(map(equal, alone, threaded)) and len(threaded) == 5


def test_ranks_together_see_what_one_alone_sees(stills: CropCache) -> None:
    maker = maker_of(stills, **EVERYTHING)
    alone = PairReader(maker, batch_size=8).batch(3)
    shares = [PairReader(pickle.loads(pickle.dumps(maker)), batch_size=8, rank=Rank(i, 4)).batch(3) for i in range(4)]
    assert [len(share) for share in shares] == [2, 2, 2, 2]
    for name in ("search_images", "template_images", "template_boxes_xyxy", "sample_ids", "draws", "positive"):
        np.testing.assert_array_equal(np.concatenate([getattr(share, name) for share in shares]), getattr(alone, name))


def test_every_nth_batch_by_number(stills: CropCache) -> None:
    reader = PairReader(maker_of(stills, **EVERYTHING), batch_size=2, workers=0)
    assert [batch.sample_ids[0] for batch in reader.batches(1, 8, step=3)] == [2, 8, 14]


def test_shares_that_do_not_come_out_even_are_refused(stills: CropCache) -> None:
    with pytest.raises(ValueError, match=r"^3 ranks cannot share batches of 8 evenly; expected a multiple$"):
        PairReader(maker_of(stills), batch_size=8, rank=Rank(0, 3))
    with pytest.raises(ValueError, match=r"^rank 3 of 3; expected 0 to 2$"):
        Rank(3, 3)


def test_rows_without_an_object_are_not_valid(stills: CropCache, gradients: CropCache) -> None:
    batch = PairReader(maker_of(gradients, video=0.0, negative=0.0), batch_size=6, workers=0).batch(0)
    for row in range(6):
        count = int(batch.valid[row].sum())
        assert batch.valid[row, :count].all() and not batch.objects_xyxy[row, count:].any()
    np.testing.assert_array_equal(batch.search_boxes_xyxy, batch.objects_xyxy[:, 0])


def test_both_codecs_give_the_same_labels_and_nearly_the_same_pixels(stills: CropCache, tmp_path) -> None:
    from trackcli_cache.build import build_cache
    from trackcli_cache.catalogue import open_dataset

    build_cache(open_dataset("folder", stills.path.parent / "root"), tmp_path / "raw", codec="raw")
    raw = CropCache.open(tmp_path / "raw")
    one, other = (PairReader(maker_of(each, video=0.0), batch_size=8, workers=0).batch(0) for each in (stills, raw))
    np.testing.assert_array_equal(one.objects_xyxy, other.objects_xyxy)
    flat = one.search_images.astype(int) - other.search_images
    assert np.abs(flat).mean() < 25  # white noise is the worst that JPEG can meet


def test_a_damaged_crop_stops_the_batch_with_its_name(stills: CropCache, tmp_path) -> None:
    import shutil

    folder = shutil.copytree(stills.path, tmp_path / "copy")
    cache = CropCache.open(folder)
    shard = next(folder.glob("*.h5"))
    data = bytearray(shard.read_bytes())
    sampler = PairSampler([cache], [1.0], PairSettings(video=0.0, negative=0.0), seed=0, warn=lambda text: None)
    for start in range(len(data) // 2, len(data) // 2 + 60_000, 50):
        data[start] ^= 0xFF
    shard.write_bytes(bytes(data))
    reader = PairReader(PairMaker([cache], sampler, small_crops()), batch_size=24, workers=2)
    with pytest.raises(CacheFormatError, match=r"shard-00000\.h5, record \d+: .*build the cache again"):
        list(reader.batches(0, 3))
