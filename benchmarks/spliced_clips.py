"""Clips in which the target is gone for a while: start on A, cut to frames of B, return to A.

For measuring whether a tracker says so (``gone.py``). B never shows A: videos are of different objects, pasted scenes
share neither photograph nor cutout nor category, synthetic scenes are made up apart from one another. Harder, and a
kind of its own: the scene goes on and only the target has vanished, look-alikes stay. Everything follows from the data
and a seed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from dev_set import Split, collections_in, cut_out
from numpy.typing import NDArray
from pasted_scenes import Cutout, PastedScene, plan_scene
from trackcli_cache.datasets import AnnotatedSequence
from trackcli_cache.sequences import is_sequence, read_folder_sequence
from trackcli_cache.stills import read_stills

from trackcli.synth.sequences import SyntheticSequence, make_sequence
from trackcli.synth.settings import SceneSettings, derive_seed
from trackcli.video.images import read_image

Image = NDArray[np.uint8]
Floats = NDArray[np.float64]

BEFORE, AWAY, AFTER = 10, 8, 10
"""Frames of A, of B, and of A again."""
_CUTS_PER_VIDEO = 2
_SYNTH_SIZE_WH = (480, 320)


@dataclass(frozen=True, eq=False)
class Shot:
    """Frames of one scene and its target; frames are made when asked for.

    Attributes:
        name: What it is.
        paint: Frame number → ``(H, W, 3)`` RGB.
        boxes_xywh: ``(T, 4)``; NaN or without area where the target cannot be seen.
    """

    name: str
    paint: Callable[[int], Image]
    boxes_xywh: Floats

    def __len__(self) -> int:
        return len(self.boxes_xywh)


@dataclass(frozen=True, eq=False)
class Clip:
    """A spliced clip.

    Attributes:
        kind: ``video``, ``pasted``, ``synth`` or ``vanished``.
        shown: The shot with the target.
        away: The shot without it, shown in between.
        lengths: Frames of the one, of the other, and of the first again.
    """

    kind: str
    shown: Shot
    away: Shot
    lengths: tuple[int, int, int] = (BEFORE, AWAY, AFTER)

    @property
    def name(self) -> str:
        """Both shots."""
        return f"{self.shown.name}+{self.away.name}"

    @property
    def gone(self) -> NDArray[np.bool_]:
        """``(T,)`` where the other shot is shown."""
        before, away, after = self.lengths
        return np.repeat([False, True, False], [before, away, after])

    @property
    def boxes_xywh(self) -> Floats:
        """``(T, 4)`` the target; NaN while the other shot is shown, and where the shot says that it cannot be seen."""
        before, away, after = self.lengths
        boxes = self.shown.boxes_xywh[: before + after].astype(np.float64)
        boxes = np.where((boxes[:, 2:] > 0).all(axis=1, keepdims=True), boxes, np.nan)
        return np.concatenate((boxes[:before], np.full((away, 4), np.nan), boxes[before:]))

    def frames(self) -> Iterator[Image]:
        """All frames, of the size of the first; the first shot goes on where it was left."""
        before, away, after = self.lengths
        for index in range(before):
            yield self.shown.paint(index)
        height, width = self.shown.paint(0).shape[:2]
        for index in range(away):
            yield fitted(self.away.paint(index), (width, height))
        for index in range(before, before + after):
            yield self.shown.paint(index)


def fitted(image: Image, size_wh: tuple[int, int]) -> Image:
    """The image's middle, as large as fits with these proportions, resized to ``size_wh``: nothing looks stretched."""
    height, width = image.shape[:2]
    scale = min(width / size_wh[0], height / size_wh[1])
    keep_w, keep_h = round(size_wh[0] * scale), round(size_wh[1] * scale)
    left, top = (width - keep_w) // 2, (height - keep_h) // 2
    part = np.ascontiguousarray(image[top : top + keep_h, left : left + keep_w])
    return np.asarray(cv2.resize(part, size_wh, interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def video_clips(videos: Path, names: Sequence[str]) -> list[Clip]:
    """Every video that is long enough, cut to each of the next two."""
    read = [read_folder_sequence(videos / name) for name in names if is_sequence(videos / name)]
    shots = [_video_shot(sequence) for sequence in read if len(sequence) >= BEFORE + AFTER]
    return [
        Clip("video", shown, shots[(number + step) % len(shots)])
        for number, shown in enumerate(shots)
        for step in range(1, min(_CUTS_PER_VIDEO + 1, len(shots)))
    ]


def synth_clips(seed: int, count: int) -> list[Clip]:
    """Synthetic scenes without occluders: what is not gone can be seen."""

    def shot(number: int) -> Shot:
        scene = SceneSettings(
            frames=BEFORE + AFTER, size_wh=_SYNTH_SIZE_WH, seed=derive_seed(seed, number), occluders=0
        )
        sequence: SyntheticSequence = make_sequence(scene)
        return Shot(f"synth-{number:02d}", sequence.frames.__getitem__, sequence.boxes_xywh)

    return [Clip("synth", shot(2 * number), shot(2 * number + 1)) for number in range(count)]


@dataclass(frozen=True, eq=False)
class Photograph:
    """A still image and what can be cut out of it.

    Attributes:
        path: The file.
        categories: Of all objects annotated in it.
        cutouts: Its outlined objects.
    """

    path: Path
    categories: frozenset[str]
    cutouts: tuple[Cutout, ...]


def photographs(images: Path, wanted: Callable[[str], bool]) -> list[Photograph]:
    """The stills of all collections whose ``<collection>/<file>`` is wanted."""
    return [
        Photograph(image.path, frozenset(one.category or "" for one in image.objects), tuple(cut_out(image)))
        for folder in collections_in(images)
        for image in read_stills(folder)
        if wanted(f"{folder.name}/{image.path.name}")
    ]


def pasted_clips(seed: int, material: Sequence[Photograph], count: int) -> list[Clip]:
    """Cut-and-paste scenes, each cut to one that shares no category with its target, and to itself without its target.

    Raises:
        SystemExit: if there is too little to cut out.
    """
    sources = [one for one in material if one.cutouts]
    if len({category for one in sources for category in one.categories}) < 2:
        raise SystemExit("no two categories of outlined objects to paste; expected boxes.json and polys.json")
    clips = []
    for number in range(count):
        rng = np.random.default_rng((seed, number))
        source = sources[int(rng.integers(len(sources)))]
        target = source.cutouts[int(rng.integers(len(source.cutouts)))]
        shown = _scene(rng, target, _alike(rng, target, sources), _other_photograph(rng, material, source.path))
        others = [one for one in material if target.category not in one.categories and one.path != source.path]
        objects = [cutout for one in others for cutout in one.cutouts]
        several = [objects[int(rng.integers(len(objects)))] for _ in range(int(rng.integers(1, 4)))]
        away = _scene(rng, several[0], several[1:], others[int(rng.integers(len(others)))])
        shot = _pasted_shot(f"pasted-{number:02d}", shown)
        clips.append(Clip("pasted", shot, _pasted_shot(several[0].category, away)))
        clips.append(Clip("vanished", shot, _without_target(shown)))
    return clips


def clips_of(data: Path, split: Split, part: str, seed: int, count: int) -> list[Clip]:
    """All clips of one part of the data.

    Args:
        data: Holds ``train/video`` and ``train/images``.
        split: What ``dev_set.py`` holds back.
        part: ``dev`` (what is held back) or ``train`` (the rest).
        seed: Of scenes.
        count: Pasted scenes, each for two clips; a third as many synthetic ones.
    """
    held = part == "dev"
    videos = data / "train" / "video"
    names = sorted(path.name for path in videos.iterdir() if (path.name in split.videos) == held)
    stills = photographs(data / "train" / "images", lambda key: (key in split.images) == held)
    return [*video_clips(videos, names), *pasted_clips(seed, stills, count), *synth_clips(seed, count // 3)]


def _video_shot(sequence: AnnotatedSequence) -> Shot:
    boxes = np.where(sequence.absent[:, None], np.nan, sequence.boxes_xywh)
    return Shot(sequence.name, lambda index: read_image(sequence.frames[index]), boxes)


def _pasted_shot(name: str, scene: PastedScene) -> Shot:
    return Shot(name, scene.paint, scene.boxes_xywh())


def _without_target(scene: PastedScene) -> Shot:
    """The same scene, a little later, with everything in it but the target."""
    layers = tuple(layer for place, layer in enumerate(scene.layers) if place != scene.target)
    empty = replace(scene, layers=layers)
    return Shot("vanished", lambda index: empty.paint(BEFORE + index), np.full((BEFORE + AFTER, 4), np.nan))


def _scene(rng: np.random.Generator, target: Cutout, behind: Sequence[Cutout], photograph: Photograph) -> PastedScene:
    background = read_image(photograph.path)
    return plan_scene(rng, background, target, behind=behind, frames=BEFORE + AFTER)


def _alike(rng: np.random.Generator, target: Cutout, sources: Sequence[Photograph]) -> list[Cutout]:
    """0 to 2 other objects of the target's category, if there are any. Not its twin: nobody could tell it is gone."""
    objects = [cutout for one in sources for cutout in one.cutouts]
    alike = [cutout for cutout in objects if cutout.category == target.category and cutout is not target]
    return [alike[int(rng.integers(len(alike)))] for _ in range(int(rng.integers(3)))] if alike else []


def _other_photograph(rng: np.random.Generator, material: Sequence[Photograph], path: Path) -> Photograph:
    others = [one for one in material if one.path != path]
    return others[int(rng.integers(len(others)))]
