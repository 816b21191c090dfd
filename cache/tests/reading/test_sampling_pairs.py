"""The sampler ``pairs``: which records make a pair, how often, and what happens where the data lacks something."""

from __future__ import annotations

import pickle
from collections import Counter

import numpy as np
import pytest
from trackcli_cache.datasets import Mark
from trackcli_cache.errors import DatasetError
from trackcli_cache.reader import CropCache
from trackcli_cache.sampling import PairKind, PairPlan, RecordKey
from trackcli_cache.sampling_objects import list_objects
from trackcli_cache.sampling_pairs import PairSampler, PairSettings

DRAWN = 600


def sampler_of(caches: list[CropCache], weights: list[float] | None = None, seed: int = 0, **settings) -> PairSampler:
    return PairSampler(
        caches, weights or [1.0] * len(caches), PairSettings(**settings), seed=seed, warn=lambda text: None
    )


def plans_of(caches: list[CropCache], weights: list[float] | None = None, **settings) -> list[PairPlan]:
    sampler = sampler_of(caches, weights, **settings)
    return [sampler.draw(number)[0] for number in range(DRAWN)]


def warnings_of(caches: list[CropCache], weights: list[float] | None = None, **settings) -> list[str]:
    complaints: list[str] = []
    PairSampler(caches, weights or [1.0] * len(caches), PairSettings(**settings), seed=0, warn=complaints.append)
    return complaints


def category(cache: CropCache, key: RecordKey) -> str:
    return cache.categories[cache.category_ids[key.record]]


def share(plans: list[PairPlan], kind: PairKind) -> float:
    return sum(plan.kind == kind for plan in plans) / len(plans)


def test_a_plan_depends_on_seed_and_number_alone(videos: CropCache, stills: CropCache) -> None:
    one = sampler_of([videos, stills], paste=0.5, distractors=2, look_alike=0.3, part=0.3)
    other = pickle.loads(pickle.dumps(one))
    backwards = [other.draw(number)[0] for number in reversed(range(50))]
    assert [one.draw(number)[0] for number in range(50)] == backwards[::-1]
    differing = sampler_of([videos, stills], seed=1)
    assert [one.draw(number)[0] for number in range(50)] != [differing.draw(number)[0] for number in range(50)]


def test_video_pairs_show_one_object_within_the_gap_and_reach_both_ends_of_it(videos: CropCache) -> None:
    plans = plans_of([videos], video=1.0, negative=0.0, max_gap=2)
    gaps = set()
    for plan in plans:
        a, b = plan.template.record, plan.search.record
        assert videos.sequence_ids[a] == videos.sequence_ids[b]
        gaps.add(int(videos.frame_numbers[b] - videos.frame_numbers[a]))
    assert gaps == {-2, -1, 0, 1, 2}


@pytest.mark.parametrize("name", ["clips", "folder"])
def test_a_cache_has_a_gap_of_its_own_by_the_name_of_its_folder_or_dataset(videos: CropCache, name: str) -> None:
    plans = plans_of([videos], video=1.0, negative=0.0, max_gap=100, max_gaps={name: 1})
    frames = videos.frame_numbers
    assert {abs(int(frames[p.search.record] - frames[p.template.record])) for p in plans} == {0, 1}


def test_negative_halves_and_equal_halves_of_those_give_two_to_one_to_one(stills: CropCache) -> None:
    plans = plans_of([stills], video=0.0, negative=0.5, same_category=0.5)
    assert share(plans, PairKind.SAME_INSTANCE) == pytest.approx(0.5, abs=0.06)
    assert share(plans, PairKind.SAME_CATEGORY) == pytest.approx(0.25, abs=0.06)
    assert share(plans, PairKind.DIFFERENT_CATEGORY) == pytest.approx(0.25, abs=0.06)


def test_negative_pairs_come_from_another_scene_and_their_kind_is_true(stills: CropCache) -> None:
    for plan in plans_of([stills], video=0.0, negative=1.0):
        assert not plan.positive
        assert stills.frame_numbers[plan.template.record] != stills.frame_numbers[plan.search.record]
        alike = category(stills, plan.template) == category(stills, plan.search)
        assert plan.kind == (PairKind.SAME_CATEGORY if alike else PairKind.DIFFERENT_CATEGORY)


def test_four_pairs_from_videos_to_one_still(videos: CropCache, stills: CropCache) -> None:
    plans = plans_of([videos, stills], video=0.8, negative=0.0)
    assert sum(plan.template.cache == 0 for plan in plans) / DRAWN == pytest.approx(0.8, abs=0.05)


def test_caches_are_drawn_from_by_their_weights_and_not_by_their_sizes(stills: CropCache, gradients: CropCache) -> None:
    plans = plans_of([stills, gradients], [3.0, 1.0], video=0.0, negative=0.0)
    assert sum(plan.template.cache == 0 for plan in plans) / DRAWN == pytest.approx(0.75, abs=0.06)


def test_what_is_pasted_is_drawn_by_weight_too(stills: CropCache) -> None:
    plans = plans_of([stills, stills], [3.0, 1.0], paste=1.0, video=0.0, negative=0.0)
    assert sum(plan.template.cache == 0 for plan in plans) / DRAWN == pytest.approx(0.75, abs=0.06)


def test_weights_that_change_nothing_are_worth_a_word(videos: CropCache, stills: CropCache) -> None:
    assert "weights change nothing" in warnings_of([videos, stills], [1.0, 0.5])[0]
    assert warnings_of([videos, stills], [1.0, 1.0]) == []
    assert warnings_of([videos, stills, stills], [1.0, 1.0, 0.5]) == []


def test_the_share_of_persons_is_capped(stills: CropCache) -> None:
    plans = plans_of([stills], video=0.0, negative=0.0, person_cap=0.1)
    counts = Counter(category(stills, plan.template) for plan in plans)
    assert counts["person"] / DRAWN == pytest.approx(0.1, abs=0.04)


def test_pairs_of_a_part_show_the_same_part_of_one_picture(stills: CropCache) -> None:
    plans = plans_of([stills], video=0.0, negative=0.0, part=1.0)
    parts = [plan for plan in plans if plan.part is not None]
    assert len(parts) > 0.9 * DRAWN
    for plan in parts:
        assert plan.template == plan.search
        left, top, right, bottom = plan.part or (0, 0, 0, 0)
        assert 0 <= left < right <= 1 and 0 <= top < bottom <= 1
        assert 0.4 <= right - left <= 0.8 and 0.4 <= bottom - top <= 0.8


def test_no_part_is_smaller_than_the_smallest_target(stills: CropCache) -> None:
    for plan in plans_of([stills], video=0.0, negative=0.0, part=1.0, min_size=20.0):
        if plan.part is not None:
            width, height = stills.target_sizes[plan.search.record]
            left, top, right, bottom = plan.part
            assert np.sqrt(width * (right - left) * height * (bottom - top)) >= 20.0


def test_a_look_alike_is_another_object_of_the_category_in_the_same_picture(stills: CropCache) -> None:
    centered = [p for p in plans_of([stills], video=0.0, negative=0.0, look_alike=1.0) if p.center_on is not None]
    assert len(centered) > 0.9 * DRAWN
    for plan in centered:
        record = stills.record(plan.search.record)
        assert record.other_category_ids[plan.center_on] == record.category_id
        assert category(stills, plan.search) == "brick"  # each picture has one person only
        assert plan.positive


def test_pasted_pairs_name_everything_that_is_pasted(stills: CropCache) -> None:
    plans = plans_of([stills], video=0.0, negative=0.0, paste=1.0, distractors=2)
    assert all(plan.background is not None and plan.surroundings is not None for plan in plans)
    assert {len(plan.distractors) for plan in plans} == {0, 1, 2}
    assert all(key != plan.search for plan in plans for key in plan.distractors)


def test_too_small_objects_everywhere_are_an_error(stills: CropCache) -> None:
    with pytest.raises(
        DatasetError, match=r"^the caches hold no object of at least 999 px; add data or lower sampler\.min_size$"
    ):
        sampler_of([stills], min_size=999.0)


def test_targets_that_are_hidden_are_never_drawn(stills: CropCache) -> None:
    marked = pickle.loads(pickle.dumps(stills))
    marked.columns.marks[:5] = [Mark.FULLY_OCCLUDED, Mark.OUT_OF_VIEW, Mark.IGNORED, Mark.OCCLUDED, Mark.CUT_BY_IMAGE]
    assert list_objects([marked], min_size=0.0).records.tolist() == list(range(3, len(stills)))


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"video": 0.2, "paste": 0.5}, "no stills: all pairs come from sequences; no outlines: nothing is pasted; "),
        ({"video": 1.0, "same_category": 0.5}, ""),
    ],
)
def test_what_videos_lack_is_said_once_and_made_up_for(videos: CropCache, settings: dict, complaint: str) -> None:
    expected = f"the data has {complaint}no categories: negative pairs show any other object"
    assert warnings_of([videos], **settings) == [expected]
    assert {plan.template.cache for plan in plans_of([videos], **settings)} == {0}


def test_what_stills_lack_is_said_once_and_made_up_for(stills: CropCache) -> None:
    assert warnings_of([stills], video=0.5) == ["the data has no sequences: all pairs come from stills"]
    assert warnings_of([stills], video=0.0, look_alike=0.5, paste=0.5) == []


def test_a_single_scene_has_no_negative_pairs(videos: CropCache) -> None:
    first = pickle.loads(pickle.dumps(videos))
    first.columns.sequence_id[:] = 0
    first.columns.track_id[:] = 0
    settings = {"video": 1.0, "negative": 0.5}
    assert warnings_of([first], **settings) == ["the data has one scene: no negative pairs"]
    assert all(plan.positive for plan in plans_of([first], **settings))


def test_a_gap_for_a_cache_that_is_not_there_is_worth_a_word(videos: CropCache) -> None:
    said = warnings_of([videos], video=1.0, same_category=0.0, max_gaps={"youtube-bb": 3, "clips": 3})
    assert said == ["sampler.max_gaps names youtube-bb, which no cache is called"]
