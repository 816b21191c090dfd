"""From a sample's number to its pixels and labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from trackcli_cache.batches_paste import Sprite, paste
from trackcli_cache.batches_targets import Target, TargetReader, number_categories
from trackcli_cache.batches_views import (
    Affine,
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


@dataclass(frozen=True, eq=False)
class PairLabels:
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
        plan, rng = self.sampler.draw(sample_id)
        crop = self.crop
        if plan.background is not None:
            objects, same = self._pasted_search(plan, plan.background, rng, search)
            box = self._pasted_template(plan, rng, template)
        else:
            objects, same = self._search(plan, rng, search)
            box = self._template(plan, rng, template)
        for image, settings in ((template, crop.template), (search, crop.search)):
            if settings.low_resolution and rng.random() < settings.low_resolution:
                lose_resolution(image, rng)
        return PairLabels(plan, box, objects, same, rng.random(DRAWS))

    def _target(self, key: RecordKey, plan: PairPlan) -> Target:
        target = self._readers[key.cache].target(key.record)
        return target if plan.part is None else target.part(plan.part)

    def _template(self, plan: PairPlan, rng: np.random.Generator, out: Image) -> NDArray[np.float64]:
        key = plan.template
        target = self._target(key, plan)
        to_view = self._view(key, target, self._request(target, rng, self.crop.template), out)
        return self._box(key, target, to_view)

    def _search(
        self, plan: PairPlan, rng: np.random.Generator, out: Image
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        key = plan.search
        target = self._target(key, plan)
        request = self._request(target, rng, self.crop.search)
        if plan.center_on is not None:
            request = self._centered_on(plan.center_on, key, request)
        to_view = self._view(key, target, request, out)
        box = self._box(key, target, to_view)
        boxes, categories = self._readers[key.cache].others(key.record)
        wanted = self._target(plan.template, plan).category
        first = plan.positive or (target.category == wanted >= 0)
        same = np.array([first, *(bool(category == wanted >= 0 and plan.part is None) for category in categories)])
        return np.concatenate((box[None], transform_boxes(boxes, to_view))), same

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

    def _view(self, key: RecordKey, target: Target, request: ViewRequest, out: Image) -> Affine:
        return self._readers[key.cache].view(key.record, target, request, out)

    def _box(self, key: RecordKey, target: Target, to_view: Affine) -> NDArray[np.float64]:
        if to_view[0, 1]:
            return self._readers[key.cache].box_in_view(key.record, target, to_view)
        box: NDArray[np.float64] = transform_boxes(np.array([target.box_xyxy]), to_view)[0]
        return box

    def _pasted_search(
        self, plan: PairPlan, background: RecordKey, rng: np.random.Generator, out: Image
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        settings = self.crop.search
        self._background(background, rng, out)
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
            return self._template(plan, rng, out)
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
        return paste(canvas, sprite, self._request(target, rng, settings).affine(canvas.shape[0]))

    def _sprite(self, key: RecordKey) -> tuple[Target, Sprite]:
        reader = self._readers[key.cache]
        outlines = reader.cache.record(key.record).target_polygons
        return reader.target(key.record), Sprite(reader.cache.search_crop(key.record), outlines)
