"""Which pairs are drawn: a function of the run's seed and the sample's number alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from trackcli_cache.reader import CropCache

from trackcli.config.training import SamplerConfig
from trackcli.contracts.training import PairKind
from trackcli.errors import InputDataError

PERSON = "person"


class RecordKey(NamedTuple):
    """A record of one of several caches."""

    cache: int
    record: int


@dataclass(frozen=True)
class PairPlan:
    """What one pair is made of.

    Attributes:
        template: Where the template comes from.
        search: Where the search region comes from.
        kind: How they belong together.
        positive: Whether the target is in the search region.
        background: If given, the target of ``search`` is cut out and pasted onto this record's surroundings.
        distractors: Objects pasted beside the target.
    """

    template: RecordKey
    search: RecordKey
    kind: PairKind
    positive: bool
    background: RecordKey | None = None
    distractors: tuple[RecordKey, ...] = ()


@dataclass(frozen=True)
class _Video:
    """One object's records in one sequence, in order of their frames."""

    cache: int
    records: NDArray[np.int64]
    frames: NDArray[np.int64]


class PairSampler:
    """Draws pairs from weighted caches.

    Args:
        caches: The caches.
        weights: One weight per cache: how often it is drawn from, relative to its size being ignored.
        config: Shares of the kinds of pairs.
        seed: The run's seed.
        warn: Told, once, about shares that the data cannot supply.

    Raises:
        InputDataError: if the caches hold no object that is large enough.
    """

    def __init__(
        self,
        caches: Sequence[CropCache],
        weights: Sequence[float],
        config: SamplerConfig,
        *,
        seed: int,
        warn: Callable[[str], None],
    ) -> None:
        self.config = config
        self.seed = seed
        self._categories = [_global_categories(cache) for cache in caches]
        self._videos: list[_Video] = []
        video_weights: list[float] = []
        stills: list[NDArray[np.int64]] = []
        still_weights: list[NDArray[np.float64]] = []
        for index, (cache, weight) in enumerate(zip(caches, weights, strict=True)):
            large = np.sqrt(cache.target_sizes.prod(axis=1)) >= config.min_size
            videos, single = _split(index, cache, large)
            self._videos += videos
            video_weights += [weight / max(1, len(videos))] * len(videos)
            stills.append(np.stack((np.full_like(single, index), single), axis=1))
            still_weights.append(weight * _capped(self._categories[index][single], config.person_cap))
        self._stills = np.concatenate(stills)
        self._video_odds = _cumulative(np.array(video_weights))
        self._still_odds = _cumulative(np.concatenate(still_weights))
        self._sprites = self._with_outline(caches)
        self._sprites_by_category = self._index_categories(self._sprites)
        self._stills_by_category = self._index_categories([RecordKey(int(c), int(r)) for c, r in self._stills])
        self._shares = self._available_shares(warn)

    def draw(self, sample_id: int) -> tuple[PairPlan, np.random.Generator]:
        """The plan of sample ``sample_id`` and the generator that continues its random choices."""
        rng = np.random.default_rng((self.seed, sample_id))
        from_video = rng.random() < self._shares["video"]
        negative = rng.random() < self._shares["negative"]
        plan = self._from_video(rng) if from_video else self._from_still(rng)
        return (self._make_negative(plan, rng) if negative else plan), rng

    def _from_video(self, rng: np.random.Generator) -> PairPlan:
        video = self._videos[_pick(self._video_odds, rng)]
        first = int(rng.integers(len(video.records)))
        near = np.flatnonzero(np.abs(video.frames - video.frames[first]) <= self.config.max_gap)
        second = int(rng.choice(near))
        return PairPlan(
            RecordKey(video.cache, int(video.records[first])),
            RecordKey(video.cache, int(video.records[second])),
            PairKind.SAME_INSTANCE,
            positive=True,
        )

    def _from_still(self, rng: np.random.Generator) -> PairPlan:
        if rng.random() < self._shares["paste"]:
            return self._pasted(rng)
        key = self._still(rng)
        return PairPlan(key, key, PairKind.SAME_INSTANCE, positive=True)

    def _pasted(self, rng: np.random.Generator) -> PairPlan:
        target = self._sprites[int(rng.integers(len(self._sprites)))]
        count = int(rng.integers(self.config.distractors + 1))
        others = tuple(self._look_alike(target, rng) for _ in range(count))
        return PairPlan(target, target, PairKind.SAME_INSTANCE, True, background=self._still(rng), distractors=others)

    def _look_alike(self, target: RecordKey, rng: np.random.Generator) -> RecordKey:
        """Half of the time an object of the target's category, else any."""
        same = self._sprites_by_category.get(self.category(target), [])
        pool = same if len(same) > 1 and rng.random() < 0.5 else self._sprites
        for _ in range(4):
            other = pool[int(rng.integers(len(pool)))]
            if other != target:
                return other
        return other

    def _make_negative(self, plan: PairPlan, rng: np.random.Generator) -> PairPlan:
        """Another object's surroundings; of the same category half of the time, where there is one."""
        other = self._still(rng) if len(self._stills) else self._from_video(rng).search
        same = self._stills_by_category.get(self.category(plan.template), [])
        if len(same) > 1 and rng.random() < 0.5:
            other = same[int(rng.integers(len(same)))]
        if other == plan.template:
            return plan
        alike = self.category(other) == self.category(plan.template) != ""
        kind = PairKind.SAME_CATEGORY if alike else PairKind.DIFFERENT_CATEGORY
        return PairPlan(plan.template, other, kind, positive=False)

    def _still(self, rng: np.random.Generator) -> RecordKey:
        if not len(self._stills):
            return self._from_video(rng).search
        cache, record = self._stills[_pick(self._still_odds, rng)]
        return RecordKey(int(cache), int(record))

    def category(self, key: RecordKey) -> str:
        """Name of a record's category, empty where there is none."""
        return str(self._categories[key.cache][key.record])

    def _with_outline(self, caches: Sequence[CropCache]) -> list[RecordKey]:
        outlined = [cache.has_polygon for cache in caches]
        return [RecordKey(int(c), int(r)) for c, r in self._stills if outlined[int(c)][r]]

    def _index_categories(self, keys: Iterable[RecordKey]) -> dict[str, list[RecordKey]]:
        index: dict[str, list[RecordKey]] = {}
        for key in keys:
            if category := self.category(key):
                index.setdefault(category, []).append(key)
        return index

    def _available_shares(self, warn: Callable[[str], None]) -> dict[str, float]:
        """The configured shares, renormalised where the data lacks what a kind needs."""
        if not self._videos and not len(self._stills):
            raise InputDataError(
                f"the caches hold no object of at least {self.config.min_size:g} px; "
                "add data or lower it with --set sampler.min_size=…"
            )
        shares = {"video": self.config.video, "paste": self.config.paste, "negative": self.config.negative}
        missing = []
        if not self._videos and shares["video"] > 0:
            shares["video"] = 0.0
            missing.append("no sequences: all pairs come from stills")
        if not len(self._stills) and shares["video"] < 1:
            shares["video"] = 1.0
            missing.append("no stills: all pairs come from sequences")
        if not self._sprites and shares["paste"] > 0:
            shares["paste"] = 0.0
            missing.append("no outlines: nothing is pasted")
        if missing:
            warn(f"the data has {'; '.join(missing)}")
        return shares


def _split(index: int, cache: CropCache, usable: NDArray[np.bool_]) -> tuple[list[_Video], NDArray[np.int64]]:
    """Objects seen in several frames, and records that stand alone."""
    groups: dict[tuple[int, int], list[int]] = {}
    for record in np.flatnonzero(usable):
        groups.setdefault((int(cache.sequence_ids[record]), int(cache.track_ids[record])), []).append(int(record))
    videos = [
        _Video(index, np.array(records), cache.frame_numbers[records])
        for records in groups.values()
        if len(records) > 1
    ]
    single = [records[0] for records in groups.values() if len(records) == 1]
    return videos, np.array(single, dtype=np.int64)


def _global_categories(cache: CropCache) -> NDArray[np.str_]:
    """The category's name per record, '' where there is none."""
    names = np.array([*cache.categories, ""])
    return names[cache.category_ids]  # -1 picks the last, ''


def _capped(categories: NDArray[np.str_], cap: float) -> NDArray[np.float64]:
    """Odds that sum to 1, persons to at most ``cap`` of it."""
    if not len(categories):
        return np.zeros(0)
    person = categories == PERSON
    share = float(person.mean())
    odds = np.full(len(categories), 1.0 / len(categories))
    if cap < share < 1:
        odds[person] *= cap / share
        odds[~person] *= (1 - cap) / (1 - share)
    return odds


def _cumulative(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    total = np.cumsum(weights)
    return total / total[-1] if len(total) and total[-1] > 0 else total


def _pick(odds: NDArray[np.float64], rng: np.random.Generator) -> int:
    return min(int(np.searchsorted(odds, rng.random(), side="right")), len(odds) - 1)
