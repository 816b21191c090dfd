"""From a sample's number to its pixels and labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trackcli_cache.batches_bend import random_bend
from trackcli_cache.batches_paste import Sprite, paste
from trackcli_cache.batches_targets import Cut, Target, TargetReader, number_categories
from trackcli_cache.batches_views import (
    Image,
    ViewRequest,
    ViewSettings,
    cut_window,
    lose_resolution,
    random_request,
    transform_boxes,
)
from trackcli_cache.batches_windows import photograph_in_crop, random_square
from trackcli_cache.reader import CropCache
from trackcli_cache.sampling import PairPlan, RecordKey, Sampler

DRAWS = 32
"""Numbers in 0..1 that every sample brings along for what is changed later, on the device."""

OCCLUDER_CHANCE = 0.25
"""Share of the pasted targets that another object covers in part."""

REAL_CONTEXT_CHANCE = 0.5
"""Share of the pasted pairs whose template keeps the photograph that the object comes from."""

LEAST_RESOLUTION, MOST_RESOLUTION = 0.2, 0.6
"""Which share of its side a crop that loses resolution keeps."""

LARGEST_OFFSET = 0.4
"""How far a target may lie from the centre of a region centred on something else, as a share of its size."""


@dataclass(frozen=True)
class CropSettings:
    """What the crops show, and how they are changed.

    Attributes:
        template_size: Side of the template in pixels.
        search_size: Side of the search region in pixels.
        context: Context around the target as a share of ``w + h`` (SiamFC: 0.5).
        pixels_of_context: Side, in both crops, of the square with the area of the target plus its context.
        template: Random changes of the template.
        search: Random changes of the search region.
    """

    template_size: int = 127
    search_size: int = 255
    context: float = 0.5
    pixels_of_context: float = 127.0
    template: ViewSettings = field(default_factory=lambda: ViewSettings(shift=4.0, scale=0.05))
    search: ViewSettings = field(default_factory=lambda: ViewSettings(shift=64.0, scale=0.18))


class PairLabels(NamedTuple):
    """What is known about a pair; boxes in the pixels of their crops.

    Attributes:
        plan: What it was made of.
        template_box_xyxy: ``(4,)`` float64.
        objects_xyxy: ``(M, 4)`` float64, all objects known to be in the search region; row 0 is the target, in negative
            pairs the object that the region is centred on.
        same_category: ``(M,)`` bool: of the category of the template's target.
        draws: ``(DRAWS,)`` float64 in 0..1, the sample's own random numbers.
    """

    plan: PairPlan
    template_box_xyxy: NDArray[np.float64]
    objects_xyxy: NDArray[np.float64]
    same_category: NDArray[np.bool_]
    draws: NDArray[np.float64]


class _Prepared(NamedTuple):
    """A pair before any pixel was read; without cuts and labels where those need pixels."""

    plan: PairPlan
    rng: np.random.Generator
    cuts: tuple[Cut, Cut] | None = None
    kept: tuple[float, float] = (0.0, 0.0)
    labels: PairLabels | None = None


class PairMaker:
    """Makes single pairs: reads crops, cuts views, pastes. May be shared by threads; pickles.

    Args:
        caches: The caches that the sampler's plans point into.
        sampler: Says what each pair is made of.
        crop: What the crops show.
    """

    def __init__(self, caches: Sequence[CropCache], sampler: Sampler, crop: CropSettings) -> None:
        self.sampler = sampler
        self.crop = crop
        categories = number_categories(caches)
        self._readers = [TargetReader(cache, categories) for cache in caches]

    def make(self, sample_id: int, template: Image, search: Image) -> PairLabels:
        """Draw pair number ``sample_id``; the same for the same seed, whoever draws it.

        Args:
            sample_id: Its number in the run.
            template: ``(T, T, 3)`` uint8, contiguous; becomes the template, RGB.
            search: ``(S, S, 3)`` uint8, contiguous; becomes the search region.

        Raises:
            CacheFormatError: if a crop is damaged.
        """
        return self._draw(self._prepare(sample_id), template, search)

    def make_all(
        self, sample_ids: Sequence[int], templates: Iterable[Image], searches: Iterable[Image]
    ) -> list[PairLabels]:
        """The same for several pairs, in less time with several threads.

        What needs no pixel is decided first, for all pairs; reading and resizing, without Python's lock, then hardly
        waits for other threads' decisions.
        """
        prepared = [self._prepare(sample_id) for sample_id in sample_ids]
        return [self._draw(*each) for each in zip(prepared, templates, searches, strict=True)]

    def _prepare(self, sample_id: int) -> _Prepared:
        plan, rng = self.sampler.draw(sample_id)
        if plan.background is not None:  # chance and pixels take turns in pasted pairs
            return _Prepared(plan, rng)
        target = self._target(plan.template, plan)
        search, objects, same = self._search(plan, target.category, rng)
        template, box = self._template(plan.template, target, rng)
        kept = self._resolutions(rng)
        return _Prepared(plan, rng, (template, search), kept, PairLabels(plan, box, objects, same, rng.random(DRAWS)))

    def _draw(self, prepared: _Prepared, template: Image, search: Image) -> PairLabels:
        plan, rng, cuts, kept, labels = prepared
        if cuts is None or labels is None:
            objects, same = self._pasted_search(plan, rng, search)
            box = self._pasted_template(plan, rng, template)
            kept = self._resolutions(rng)
            labels = PairLabels(plan, box, objects, same, rng.random(DRAWS))
        else:
            self._readers[plan.search.cache].draw(cuts[1], search)
            self._readers[plan.template.cache].draw(cuts[0], template)
        for image, share in zip((template, search), kept, strict=True):
            if share:
                lose_resolution(image, share)
        return labels

    def _resolutions(self, rng: np.random.Generator) -> tuple[float, float]:
        """The share of its resolution that each crop keeps; 0 stands for all."""
        template, search = (
            LEAST_RESOLUTION + (MOST_RESOLUTION - LEAST_RESOLUTION) * rng.random()
            if settings.low_resolution and rng.random() < settings.low_resolution
            else 0.0
            for settings in (self.crop.template, self.crop.search)
        )
        return template, search

    def _target(self, key: RecordKey, plan: PairPlan) -> Target:
        target = self._readers[key.cache].target(key.record)
        return target if plan.part is None else target.part(plan.part)

    def _template(self, key: RecordKey, target: Target, rng: np.random.Generator) -> tuple[Cut, NDArray[np.float64]]:
        reader, request = self._readers[key.cache], self._request(target, rng, self.crop.template)
        cut = reader.cut(key.record, target, request, self.crop.template_size)
        return cut, reader.box_in_view(key.record, target, cut.to_view)

    def _search(
        self, plan: PairPlan, wanted: int, rng: np.random.Generator
    ) -> tuple[Cut, NDArray[np.float64], NDArray[np.bool_]]:
        """The search region, the objects in it, and which of them are of the category ``wanted``."""
        key = plan.search
        target = self._target(key, plan)
        reader, request = self._readers[key.cache], self._request(target, rng, self.crop.search)
        if plan.center_on is not None:
            request = self._centered_on(plan.center_on, key, request)
        cut = reader.cut(key.record, target, request, self.crop.search_size)
        box = reader.box_in_view(key.record, target, cut.to_view)
        first = plan.positive or target.category == wanted >= 0
        boxes, categories = reader.others(key.record)
        if not len(boxes):
            return cut, box[None], np.array((first,))
        alike = (categories == wanted) & (wanted >= 0 and plan.part is None)
        return cut, np.concatenate((box[None], transform_boxes(boxes, cut.to_view))), np.append(first, alike)

    def _request(self, target: Target, rng: np.random.Generator, settings: ViewSettings) -> ViewRequest:
        """Both crops show the target with its context at a fixed size."""
        zoom = self.crop.pixels_of_context / max(1e-3, target.context_side(self.crop.context))
        return random_request(rng, settings, center_xy=target.center_xy, zoom=zoom)

    def _centered_on(self, index: int, key: RecordKey, request: ViewRequest) -> ViewRequest:
        """Shift the view to another object, but keep the target inside."""
        columns = self._readers[key.cache].cache.columns
        left, top, right, bottom = columns.other_box_xyxy[columns.other_offsets[key.record] + index].tolist()
        x = request.shift_x + (request.center_x - (left + right) / 2) * request.scale_x
        y = request.shift_y + (request.center_y - (top + bottom) / 2) * request.scale_y
        limit = LARGEST_OFFSET * self.crop.search_size
        return request._replace(shift_x=max(-limit, min(limit, x)), shift_y=max(-limit, min(limit, y)))

    def _pasted_search(
        self, plan: PairPlan, rng: np.random.Generator, out: Image
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        settings = self.crop.search
        assert plan.background is not None
        self._background(plan.background, rng, out)
        canvas = out
        boxes: list[NDArray[np.float64]] = []
        far = replace(settings, shift=self.crop.search_size * 0.45)
        for key in plan.distractors:
            canvas, box = self._paste(canvas, key, rng, far)
            boxes.append(box)
        canvas, target_box = self._paste(canvas, plan.search, rng, settings)
        if plan.distractors and rng.random() < OCCLUDER_CHANCE:
            canvas = self._occlude(canvas, plan.distractors[-1], target_box, rng)
        np.copyto(out, canvas)
        wanted = self._target(plan.search, plan).category
        same = [True, *(self._target(key, plan).category == wanted >= 0 for key in plan.distractors)]
        return np.stack((target_box, *boxes)), np.array(same)

    def _pasted_template(self, plan: PairPlan, rng: np.random.Generator, out: Image) -> NDArray[np.float64]:
        if plan.surroundings is None or rng.random() < REAL_CONTEXT_CHANCE:
            key = plan.template
            cut, box = self._template(key, self._target(key, plan), rng)
            self._readers[key.cache].draw(cut, out)
            return box
        self._background(plan.surroundings, rng, out)
        canvas, box = self._paste(out, plan.template, rng, self.crop.template)
        np.copyto(out, canvas)
        return box

    def _background(self, key: RecordKey, rng: np.random.Generator, out: Image) -> None:
        """A random square of a record's photograph: no border of fill colour that would betray a paste."""
        cache = self._readers[key.cache].cache
        area = photograph_in_crop(cache.record(key.record))
        cut_window(cache.search_crop(key.record), random_square(area, rng), out)

    def _occlude(
        self, canvas: Image, key: RecordKey, target_box: NDArray[np.float64], rng: np.random.Generator
    ) -> Image:
        """Cover a side of the target with another object; the label stays the whole target."""
        own, sprite = self._sprite(key)
        size_wh = target_box[2:] - target_box[:2]
        toward = (np.where(rng.random(2) < 0.5, -1.0, 1.0) * (0.35 + 0.35 * rng.random(2))) * size_wh
        left, top, right, bottom = own.box_xyxy
        zoom = float(np.sqrt(np.prod(size_wh))) / max(1.0, float(np.sqrt((right - left) * (bottom - top))))
        request = random_request(rng, ViewSettings(scale=0.3, rotation=20.0), center_xy=own.center_xy, zoom=zoom)
        x, y = ((target_box[:2] + target_box[2:]) / 2 + toward - canvas.shape[0] / 2).tolist()
        return paste(canvas, sprite, request._replace(shift_x=x, shift_y=y).affine(canvas.shape[0]))[0]

    def _paste(
        self, canvas: Image, key: RecordKey, rng: np.random.Generator, settings: ViewSettings
    ) -> tuple[Image, NDArray[np.float64]]:
        target, sprite = self._sprite(key)
        to_canvas = self._request(target, rng, settings).affine(canvas.shape[0])
        bend = random_bend(rng, transform_boxes(np.array([target.box_xyxy]), to_canvas)[0], settings.bend)
        return paste(canvas, sprite, to_canvas, bend)

    def _sprite(self, key: RecordKey) -> tuple[Target, Sprite]:
        reader = self._readers[key.cache]
        outlines = reader.cache.record(key.record).target_polygons
        return reader.target(key.record), Sprite(reader.cache.search_crop(key.record), outlines)
