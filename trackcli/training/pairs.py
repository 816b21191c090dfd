"""From a pair's plan to its pixels and labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from trackcli_cache.reader import CropCache
from trackcli_cache.records import Record

from trackcli.config.recipe import CropConfig
from trackcli.config.training import AugmentConfig, SamplerConfig
from trackcli.training.augment import (
    Affine,
    Image,
    View,
    degrade,
    mean_color,
    random_affine,
    transform_box,
    transform_points,
    warp,
)
from trackcli.training.paste import Sprite, paste
from trackcli.training.sampler import PairPlan, PairSampler, RecordKey

OCCLUDER_CHANCE = 0.25
"""Share of the pasted targets that another object covers in part."""

REAL_CONTEXT_CHANCE = 0.5
"""Share of the pasted pairs whose template keeps the photograph that the object comes from."""


@dataclass(frozen=True)
class Pair:
    """One labelled pair on the host; boxes in the pixels of their crops.

    Attributes:
        template_image: ``(T, T, 3)`` uint8 RGB.
        search_image: ``(S, S, 3)`` uint8 RGB.
        template_box_xyxy: ``(4,)``.
        search_box_xyxy: ``(4,)``; meaningless for negative pairs.
        objects_xyxy: ``(M, 4)`` all objects known to be in the search region.
        same_category: ``(M,)`` bool.
        plan: What it was made of.
        sample_id: Its number in the run.
        grey: Whether colour is to be removed from both crops.
    """

    template_image: Image
    search_image: Image
    template_box_xyxy: NDArray[np.float64]
    search_box_xyxy: NDArray[np.float64]
    objects_xyxy: NDArray[np.float64]
    same_category: NDArray[np.bool_]
    plan: PairPlan
    sample_id: int
    grey: bool


@dataclass(frozen=True)
class _Search:
    """A search region before blur: row 0 of the objects is the one it is centred on."""

    image: Image
    objects_xyxy: NDArray[np.float64]
    same_category: NDArray[np.bool_]


class PairMaker:
    """Turns sample numbers into pairs: reads crops, augments, pastes."""

    def __init__(self, caches: Sequence[CropCache], sampler: PairSampler, crop: CropConfig) -> None:
        self.caches = caches
        self.sampler = sampler
        self.crop = crop
        self.config: SamplerConfig = sampler.config

    def make(self, sample_id: int) -> Pair:
        """Pair number ``sample_id``; the same for the same seed, whoever makes it."""
        plan, rng = self.sampler.draw(sample_id)
        if plan.background is not None:
            search = self._pasted_search(plan, rng)
            template, template_box = self._pasted_template(plan, rng)
        else:
            search = self._search(plan, rng)
            template, template_box = self._template(plan, rng)
        flip = rng.random() < self.config.flip
        if flip:
            template, template_box = template[:, ::-1], _flip(template_box[None], template.shape[1])[0]
            search = _Search(
                search.image[:, ::-1], _flip(search.objects_xyxy, search.image.shape[1]), search.same_category
            )
        return Pair(
            template_image=np.ascontiguousarray(degrade(template, rng, self.config.template)),
            search_image=np.ascontiguousarray(degrade(search.image, rng, self.config.search)),
            template_box_xyxy=template_box,
            search_box_xyxy=search.objects_xyxy[0],
            objects_xyxy=search.objects_xyxy,
            same_category=search.same_category,
            plan=plan,
            sample_id=sample_id,
            grey=bool(rng.random() < self.config.grey),
        )

    def _template(self, plan: PairPlan, rng: np.random.Generator) -> tuple[Image, NDArray[np.float64]]:
        view, record = self._view(plan.template, rng, self.config.template, self.crop.template_size)
        return view.image, box_in_view(record, view.to_view)

    def _search(self, plan: PairPlan, rng: np.random.Generator) -> _Search:
        view, record = self._view(plan.search, rng, self.config.search, self.crop.search_size)
        box = box_in_view(record, view.to_view)
        others = [transform_box(other, view.to_view) for other in record.other_boxes_xyxy]
        objects = np.stack((box, *others))
        template = self.caches[plan.template.cache].record(plan.template.record)
        return _Search(view.image, objects, self._same_category(plan, record, template))

    def _same_category(self, plan: PairPlan, search: Record, template: Record) -> NDArray[np.bool_]:
        """Which objects of the search region have the category of the template's target."""
        searched, wanted = self.caches[plan.search.cache].categories, self.caches[plan.template.cache].categories
        name = wanted[template.category_id] if template.category_id >= 0 else None
        ids = (search.category_id, *search.other_category_ids)
        alike = [name is not None and index >= 0 and searched[index] == name for index in ids]
        alike[0] = alike[0] or plan.positive
        return np.array(alike)

    def _pasted_search(self, plan: PairPlan, rng: np.random.Generator) -> _Search:
        assert plan.background is not None
        size, config = self.crop.search_size, self.config.search
        canvas = self._background(plan.background, rng, size)
        pasted: list[NDArray[np.float64]] = []
        for key in plan.distractors:
            far = config.model_copy(update={"shift": size * 0.45})
            canvas, box = self._paste(canvas, key, rng, far, size)
            pasted.append(box)
        canvas, target_box = self._paste(canvas, plan.search, rng, config, size)
        if plan.distractors and rng.random() < OCCLUDER_CHANCE:
            canvas = self._occlude(canvas, plan.distractors[-1], target_box, rng, size)
        same = np.array([True, *(self._alike(plan.search, key) for key in plan.distractors)])
        return _Search(canvas, np.stack((target_box, *pasted)), same)

    def _pasted_template(self, plan: PairPlan, rng: np.random.Generator) -> tuple[Image, NDArray[np.float64]]:
        if rng.random() < REAL_CONTEXT_CHANCE:
            return self._template(plan, rng)
        size, config = self.crop.template_size, self.config.template
        surroundings = self.sampler.draw(int(rng.integers(1 << 40)))[0].search
        canvas = self._background(surroundings, rng, size)
        return self._paste(canvas, plan.template, rng, config, size)

    def _background(self, key: RecordKey, rng: np.random.Generator, size: int) -> Image:
        """A random square of a record's photograph: no border of fill colour that would betray a paste."""
        cache = self.caches[key.cache]
        left, top, right, bottom = photograph_in_crop(cache.record(key.record))
        side = min(right - left, bottom - top) * rng.uniform(0.5, 1.0)
        corner = np.array((rng.uniform(left, right - side), rng.uniform(top, bottom - side)))
        to_canvas = np.column_stack((np.eye(2), -corner)) * (size / side)
        image = cache.search_crop(key.record)
        return warp(image, to_canvas, size, fill=mean_color(image))

    def _occlude(
        self, canvas: Image, key: RecordKey, target_box: NDArray[np.float64], rng: np.random.Generator, size: int
    ) -> Image:
        """Cover a side of the target with another object; the label stays the whole target."""
        record, sprite = self._sprite(key)
        side = float(np.sqrt(np.prod(target_box[2:] - target_box[:2])))
        toward = rng.choice((-1.0, 1.0), size=2) * rng.uniform(0.35, 0.7, size=2)
        center = (target_box[:2] + target_box[2:]) / 2 + toward * (target_box[2:] - target_box[:2])
        calm = AugmentConfig(shift=0.0, scale=0.3, rotation=20.0)
        own_side = float(np.sqrt(np.prod(record.box_xyxy[2:] - record.box_xyxy[:2])))
        affine = random_affine(rng, calm, center_xy=_center(record.box_xyxy), zoom=side / max(1.0, own_side), size=size)
        affine[:, 2] += center - size / 2
        return paste(canvas, sprite, affine)[0]

    def _paste(
        self, canvas: Image, key: RecordKey, rng: np.random.Generator, config: AugmentConfig, size: int
    ) -> tuple[Image, NDArray[np.float64]]:
        record, sprite = self._sprite(key)
        zoom = self._zoom(record)
        affine = random_affine(rng, config, center_xy=_center(record.box_xyxy), zoom=zoom, size=size)
        return paste(canvas, sprite, affine)

    def _sprite(self, key: RecordKey) -> tuple[Record, Sprite]:
        cache = self.caches[key.cache]
        record = cache.record(key.record)
        return record, Sprite(cache.search_crop(key.record), record.target_polygons)

    def _alike(self, a: RecordKey, b: RecordKey) -> bool:
        return self.sampler.category(a) == self.sampler.category(b) != ""

    def _view(self, key: RecordKey, rng: np.random.Generator, config: AugmentConfig, size: int) -> tuple[View, Record]:
        cache = self.caches[key.cache]
        record = cache.record(key.record)
        image = cache.search_crop(key.record)
        affine = random_affine(rng, config, center_xy=_center(record.box_xyxy), zoom=self._zoom(record), size=size)
        return View(warp(image, affine, size, fill=mean_color(image)), affine), record

    def _zoom(self, record: Record) -> float:
        """View pixels per cached-crop pixel: both show the target with its context at a fixed size."""
        width, height = record.box_xyxy[2:] - record.box_xyxy[:2]
        return self.crop.pixels_of_context / context_side(width, height, self.crop.context)


def context_side(width: float, height: float, context: float) -> float:
    """``sqrt((w + p)(h + p))``, ``p = context · (w + h)``: see :func:`trackcli.geometry.crop.context_sides`."""
    margin = context * (width + height)
    return float(np.sqrt((width + margin) * (height + margin)))


def photograph_in_crop(record: Record) -> tuple[float, float, float, float]:
    """The part of a search crop that shows the photograph, x0, y0, x1, y1 in crop pixels; the rest is fill colour."""
    left, top, right, _ = (float(value) for value in record.search_window_xyxy)
    scale = record.search_crop_side / (right - left)
    width, height = record.image_size_wh
    side = float(record.search_crop_side)
    return (
        max(0.0, -left * scale),
        max(0.0, -top * scale),
        min(side, (width - left) * scale),
        min(side, (height - top) * scale),
    )


def box_in_view(record: Record, to_view: Affine) -> NDArray[np.float64]:
    """The target's upright box in a view: of its outline where there is one, else of its box."""
    box = transform_box(record.box_xyxy, to_view)
    if not record.target_polygons or not np.any(to_view[[0, 1], [1, 0]]):
        return box
    outline = transform_points(np.concatenate(record.target_polygons), to_view)
    return np.concatenate((outline.min(axis=0), outline.max(axis=0)))


def _center(box_xyxy: NDArray[np.float64]) -> tuple[float, float]:
    return float(box_xyxy[0] + box_xyxy[2]) / 2, float(box_xyxy[1] + box_xyxy[3]) / 2


def _flip(boxes_xyxy: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    return np.stack((width - boxes_xyxy[:, 2], boxes_xyxy[:, 1], width - boxes_xyxy[:, 0], boxes_xyxy[:, 3]), axis=1)
