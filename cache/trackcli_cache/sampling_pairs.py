"""The common sampler: pairs of one object from videos and stills, and the kinds of pairs that papers add to them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from trackcli_cache.datasets import Mark
from trackcli_cache.errors import DatasetError
from trackcli_cache.reader import CropCache
from trackcli_cache.sampling import PairKind, PairPlan, Part, RecordKey
from trackcli_cache.sampling_objects import ObjectTable, list_objects
from trackcli_cache.sampling_odds import Odds, capped_weights

PERSON = "person"
TRIES = 8
"""How often something that must differ is drawn again before a pair goes without it."""

PART_SIDES = (0.4, 0.8)
"""Smallest and largest side of a part, as a share of the object's."""


@dataclass(frozen=True)
class PairSettings:
    """Shares are 0..1.

    Attributes:
        max_gap: Largest distance of the pair's frames within a sequence.
        max_gaps: The same for single caches, by the name of their folder or of their dataset.
        negative: Share of pairs whose search region lacks the target.
        same_category: Share of the negative pairs that show another object of the target's category.
        video: Share of pairs from sequences of several frames; the rest from stills.
        part: Share of the positive pairs whose target is a part of an object.
        look_alike: Share of the positive pairs whose search region is centred on another object of the target's
            category beside it.
        paste: Share of the still pairs whose target is pasted onto another photograph.
        distractors: Most objects pasted beside the target in a pasted pair.
        min_size: Smallest target, sqrt(w·h) in source pixels.
        person_cap: Largest share of category 'person' among still pairs that are not pasted.
    """

    max_gap: int = 100
    max_gaps: Mapping[str, int] = field(default_factory=dict)
    negative: float = 0.1
    same_category: float = 0.5
    video: float = 0.5
    part: float = 0.0
    look_alike: float = 0.0
    paste: float = 0.0
    distractors: int = 0
    min_size: float = 8.0
    person_cap: float = 1.0

    def __post_init__(self) -> None:
        if self.part + self.look_alike > 1:
            raise ValueError(
                f"part {self.part:g} and look_alike {self.look_alike:g} are shares of the same pairs; "
                "expected a sum of at most 1"
            )


class PairSampler:
    """Draws pairs from weighted caches.

    Args:
        caches: The caches.
        weights: One weight per cache: how often it is drawn from, whatever its size.
        settings: Shares of the kinds of pairs.
        seed: The run's seed.
        warn: Told, once, about what the data cannot supply.

    Raises:
        DatasetError: if the caches hold no object that is large enough.
    """

    def __init__(
        self,
        caches: Sequence[CropCache],
        weights: Sequence[float],
        settings: PairSettings,
        *,
        seed: int,
        warn: Callable[[str], None],
    ) -> None:
        self._caches = tuple(caches)
        self._seed = seed
        self._objects = table = list_objects(caches, min_size=settings.min_size)
        if not len(table):
            raise DatasetError(
                f"the caches hold no object of at least {settings.min_size:g} px; add data or lower sampler.min_size"
            )
        self._gaps = [settings.max_gaps.get(_named(cache, settings), settings.max_gap) for cache in caches]
        several = table.lengths > 1
        self._videos = Odds.over(np.flatnonzero(several), _equal_weights(table, several, weights))
        self._stills = Odds.over(np.flatnonzero(~several), _still_weights(table, several, weights, settings))
        outlined = ~several & table.outlined[table.starts[:-1]]
        self._sprites = Odds.over(np.flatnonzero(outlined), _equal_weights(table, outlined, weights))
        self._settings = self._available(settings, weights, warn)
        self._by_category = self._category_odds(several)

    def draw(self, sample_id: int) -> tuple[PairPlan, np.random.Generator]:
        """The plan of sample ``sample_id`` and the generator that continues its random choices."""
        rng = np.random.default_rng((self._seed, sample_id))
        negative = rng.random() < self._settings.negative
        target, plan = self._positive(rng)
        return (self._as_negative(target, plan, rng) if negative else self._varied(target, plan, rng)), rng

    def _positive(self, rng: np.random.Generator) -> tuple[int, PairPlan]:
        """An object, and a pair that shows it twice."""
        if rng.random() < self._settings.video:
            return self._from_video(rng)
        if rng.random() < self._settings.paste:
            return self._pasted(rng)
        target = self._stills.pick(rng)
        key = self._key(target, 0)
        return target, PairPlan(key, key)

    def _from_video(self, rng: np.random.Generator) -> tuple[int, PairPlan]:
        target = self._videos.pick(rng)
        first, last = self._objects.starts[target : target + 2].tolist()
        frames, records = self._objects.frames, self._objects.records
        place = first + int(rng.random() * (last - first))
        cache, frame = self._objects.caches.item(target), frames.item(place)
        gap = self._gaps[cache]
        numbers = frames.data  # a memoryview: it gives plain integers
        low = bisect_left(numbers, frame - gap, first, last)
        high = bisect_right(numbers, frame + gap, first, last)
        other = int(low + rng.random() * (high - low))
        return target, PairPlan(RecordKey(cache, records.item(place)), RecordKey(cache, records.item(other)))

    def _pasted(self, rng: np.random.Generator) -> tuple[int, PairPlan]:
        target = self._sprites.pick(rng)
        key = self._key(target, 0)
        count = int(rng.random() * (self._settings.distractors + 1))
        others = tuple(self._key(self._other_sprite(target, rng), 0) for _ in range(count))
        background, surroundings = (self._random_key(self._any(rng), rng) for _ in range(2))
        return target, PairPlan(key, key, background=background, surroundings=surroundings, distractors=others)

    def _other_sprite(self, target: int, rng: np.random.Generator) -> int:
        """Half of the time an object of the target's category, else any."""
        wanted = self._objects.categories[target]
        alike = wanted >= 0 and rng.random() < 0.5
        other = target
        for _ in range(TRIES):
            other = self._sprites.pick(rng)
            if other != target and (not alike or self._objects.categories[other] == wanted):
                break
        return other

    def _varied(self, target: int, plan: PairPlan, rng: np.random.Generator) -> PairPlan:
        """Some positive pairs are of a part, or centred on a look-alike."""
        chosen = rng.random()
        if plan.background is not None or chosen >= self._settings.part + self._settings.look_alike:
            return plan
        if chosen < self._settings.part:
            return self._of_part(target, plan, rng)
        for _ in range(TRIES):
            if (beside := self._look_alike_in(plan.search, rng)) is not None:
                return replace(plan, center_on=beside)
            target, plan = self._positive(rng)
        return plan

    def _of_part(self, target: int, plan: PairPlan, rng: np.random.Generator) -> PairPlan:
        """Both crops from one picture: between frames, nobody knows where a part has gone."""
        low, high = PART_SIDES
        width, height = (low + (high - low) * rng.random() for _ in range(2))
        left, top = (1 - width) * rng.random(), (1 - height) * rng.random()
        part: Part = (left, top, left + width, top + height)
        first, last = self._objects.starts[target : target + 2]
        place = first + self._objects.records[first:last].tolist().index(plan.search.record)
        if self._objects.sizes[place] * np.sqrt(width * height) < self._settings.min_size:
            return plan
        return replace(plan, template=plan.search, part=part)

    def _look_alike_in(self, key: RecordKey, rng: np.random.Generator) -> int | None:
        """One of the other objects in a record's crop that has the target's category."""
        record = self._caches[key.cache].record(key.record)
        if record.category_id < 0:
            return None
        known = (record.other_marks & Mark.IGNORED) == 0
        alike = np.flatnonzero((record.other_category_ids == record.category_id) & known)
        return int(alike[int(rng.random() * len(alike))]) if len(alike) else None

    def _as_negative(self, target: int, plan: PairPlan, rng: np.random.Generator) -> PairPlan:
        """The template's object is looked for in another scene."""
        category = int(self._objects.categories[target])
        alike = category >= 0 and rng.random() < self._settings.same_category
        other = self._other_object(target, category, rng, alike=alike)
        if other is None and alike:
            other = self._other_object(target, category, rng, alike=False)
        if other is None:
            return plan
        same = category >= 0 and int(self._objects.categories[other]) == category
        kind = PairKind.SAME_CATEGORY if same else PairKind.DIFFERENT_CATEGORY
        return PairPlan(plan.template, self._random_key(other, rng), kind, positive=False)

    def _other_object(self, target: int, category: int, rng: np.random.Generator, *, alike: bool) -> int | None:
        """An object of another scene, of the target's category or of another one; None if none is found soon."""
        scene = self._objects.scenes[target]
        found = None
        for _ in range(TRIES):
            other = self._by_category[category].pick(rng) if alike else self._any(rng)
            if self._objects.scenes[other] == scene:
                continue
            if alike or category < 0 or self._objects.categories[other] != category:
                return other
            found = other
        return found

    def _any(self, rng: np.random.Generator) -> int:
        return (self._videos if rng.random() < self._settings.video else self._stills).pick(rng)

    def _key(self, target: int, place: int) -> RecordKey:
        records = self._objects.records
        return RecordKey(self._objects.caches.item(target), records.item(self._objects.starts.item(target) + place))

    def _random_key(self, target: int, rng: np.random.Generator) -> RecordKey:
        first, last = self._objects.starts[target : target + 2].tolist()
        return self._key(target, int(rng.random() * (last - first)))

    def _category_odds(self, several: NDArray[np.bool_]) -> dict[int, Odds]:
        """Objects of each category, as often as they are drawn without asking for one."""
        table, video = self._objects, self._settings.video
        weights = np.zeros(len(table))
        weights[self._videos.items] += video * self._videos.shares
        weights[self._stills.items] += (1 - video) * self._stills.shares
        order = np.argsort(table.categories, kind="stable")
        present, first = np.unique(table.categories[order], return_index=True)
        groups = zip(present, np.split(order, first[1:]), strict=True)
        return {int(category): Odds.over(group, weights[group]) for category, group in groups if category >= 0}

    def _available(self, settings: PairSettings, weights: Sequence[float], warn: Callable[[str], None]) -> PairSettings:
        """The settings, renormalised where the data lacks what a kind needs."""
        table = self._objects
        changes: dict[str, float] = {}
        missing = []
        if not len(self._videos) and settings.video > 0:
            changes["video"] = 0.0
            missing.append("no sequences: all pairs come from stills")
        if not len(self._stills) and settings.video < 1:
            changes["video"] = 1.0
            missing.append("no stills: all pairs come from sequences")
        if not len(self._sprites) and settings.paste > 0:
            changes["paste"] = 0.0
            missing.append("no outlines: nothing is pasted")
        if settings.negative > 0 and len(np.unique(table.scenes)) < 2:
            changes["negative"] = 0.0
            missing.append("one scene: no negative pairs")
        labelled = bool(np.any(table.categories >= 0))
        if not labelled and settings.negative * settings.same_category > 0 and "negative" not in changes:
            changes["same_category"] = 0.0
            missing.append("no categories: negative pairs show any other object")
        if settings.look_alike > 0 and not (labelled and any(each.columns.other_offsets[-1] for each in self._caches)):
            changes["look_alike"] = 0.0
            missing.append("no neighbours of one category: no look-alikes")
        unknown = settings.max_gaps.keys() - {name for cache in self._caches for name in _names(cache)}
        said = [f"the data has {'; '.join(missing)}"] if missing else []
        if unknown:
            said.append(f"sampler.max_gaps names {', '.join(sorted(unknown))}, which no cache is called")
        if len(set(weights)) > 1 and not self._have_rivals():
            said.append("weights change nothing: one cache has all sequences and one all stills; sampler.video decides")
        if said:
            warn("; ".join(said))
        return replace(settings, **changes)  # type: ignore[arg-type]  # only shares are changed

    def _have_rivals(self) -> bool:
        """Whether any two caches supply the same kind of pair, so that their weights matter."""
        return any(len(np.unique(self._objects.caches[odds.items])) > 1 for odds in (self._videos, self._stills))


def _names(cache: CropCache) -> tuple[str, str]:
    return cache.path.name, cache.manifest.dataset


def _named(cache: CropCache, settings: PairSettings) -> str:
    """The name under which a cache has a gap of its own, its folder's before its dataset's."""
    return next((name for name in _names(cache) if name in settings.max_gaps), "")


def _equal_weights(table: ObjectTable, chosen: NDArray[np.bool_], weights: Sequence[float]) -> NDArray[np.float64]:
    """A cache's weight, divided equally among its chosen objects: videos, or stills to paste."""
    caches = table.caches[chosen]
    counts = np.bincount(caches, minlength=len(weights))
    return (np.asarray(weights, np.float64) / np.maximum(counts, 1))[caches]


def _still_weights(
    table: ObjectTable, several: NDArray[np.bool_], weights: Sequence[float], settings: PairSettings
) -> NDArray[np.float64]:
    """A cache's weight, divided among its stills; persons get at most their cap."""
    caches = table.caches[~several]
    person = table.categories[~several] == (table.names.index(PERSON) if PERSON in table.names else -2)
    result = np.zeros(len(caches))
    for index, weight in enumerate(weights):
        own = caches == index
        result[own] = weight * capped_weights(person[own], settings.person_cap)
    return result
