"""Does a tracker say when the target is gone? Area under the ROC of its score on spliced clips; and fitting that score.

Usage::

    python benchmarks/gone.py --data DATA [--tracker default] [--part dev] [-o gone.json]
    python benchmarks/gone.py --videos FOLDER
    python benchmarks/gone.py --data DATA --tracker runs/mine --fit mine.safetensors

``DATA`` holds ``train/video`` and ``train/images`` as for ``dev_set.py``; what that holds back is part ``dev``, the
rest is part ``train``. Clips are those of ``spliced_clips.py``; ``--videos`` makes them of your own sequences,
``FOLDER/<sequence>/{img/*.jpg, groundtruth.txt}``. ``--fit`` tracks the training part, finds the weights of the
link ``presence`` by logistic regression, and writes the tracker with it, weights of the network unchanged.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from dev_set import choose_split
from numpy.typing import NDArray
from spliced_clips import Clip, clips_of, video_clips
from torch import Tensor

import trackcli
from trackcli.builtin.postprocessors.presence import LEAST, MEMORY, SCORE, TEMPLATE
from trackcli.composition.variants import write_variant
from trackcli.contracts.components import TrackLink
from trackcli.contracts.context import Context
from trackcli.contracts.predictions import Selection
from trackcli.contracts.state import State
from trackcli.evaluation.overlaps import iou_xywh
from trackcli.host.registry import installed
from trackcli.tracking.tracker import Tracker, find_tracker_file

Floats = NDArray[np.float64]

SEEDS = {"dev": 7, "train": 11}
SCENES = 12
TRACKED = 0.5
"""Overlap above which a frame counts as tracked."""
FOUND_FRAMES = 5
"""Last frames of a clip in which the target must be tracked for it to count as found again."""
RESAMPLES = 2000
RIDGE = 1e-3
THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7)


@dataclass(frozen=True, eq=False)
class Track:
    """What a tracker said in a clip, first frame left out.

    Attributes:
        clip: The clip's name.
        kind: The clip's kind.
        scores: ``(T,)``.
        overlaps: ``(T,)`` with the truth; NaN where the target is not in view.
        gone: ``(T,)`` bool: another shot is shown.
        evidence: ``(T, 3)`` logit of the head's score and both cosines; empty without the link ``presence``.
    """

    clip: str
    kind: str
    scores: Floats
    overlaps: Floats
    gone: NDArray[np.bool_]
    evidence: Floats

    @property
    def in_view(self) -> NDArray[np.bool_]:
        """``(T,)`` where the target can be seen; a frame may be neither gone nor in view."""
        return ~self.gone & np.isfinite(self.overlaps)

    @property
    def tracked(self) -> NDArray[np.bool_]:
        """``(T,)`` where it is seen and followed."""
        return self.in_view & (np.nan_to_num(self.overlaps) > TRACKED)

    @property
    def found_again(self) -> bool:
        """Whether the target is followed at the end, after its return."""
        return bool((np.nan_to_num(self.overlaps[-FOUND_FRAMES:]) > TRACKED).all())


@dataclass(frozen=True)
class Outcome:
    """Figures of some clips.

    Attributes:
        clips: How many.
        area: Under the ROC, frames in view against frames gone.
        interval: 95% of resampled clips.
        tracked_area: The same with the frames that are tracked as positives.
        found_again: Share of clips in which the target is followed at the end.
    """

    clips: int
    area: float
    interval: tuple[float, float]
    tracked_area: float
    found_again: float


class EvidenceListener(TrackLink):
    """Keeps what the link ``presence`` says about its evidence."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[float]] = []

    def step(self, selection: Selection, state: State, context: Context) -> tuple[Selection, State]:
        """Nothing."""
        return selection, state

    def rows_to_update(self, frame_index: Tensor, flags: dict[str, Tensor]) -> Tensor | None:
        """Called with the values that were read out."""
        if SCORE in flags:
            score = flags[SCORE].clamp(LEAST, 1 - LEAST)
            self.rows.append([float(score.logit()), float(flags[TEMPLATE]), float(flags[MEMORY])])
        return None


def main() -> None:
    """Measure, or fit and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, help="folder that holds train/video and train/images")
    parser.add_argument("--videos", type=Path, help="instead: a folder of sequences, of different objects")
    parser.add_argument("--tracker", default="default", help="a name, a file or a run folder")
    parser.add_argument("--part", choices=tuple(SEEDS), default="dev", help="what is held back, or the rest")
    parser.add_argument("--scenes", type=int, default=SCENES, help="pasted scenes")
    parser.add_argument("--fit", type=Path, metavar="FILE", help="fit on the training part; write the tracker here")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("-o", "--output", type=Path, help="figures as JSON")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if (arguments.data is None) == (arguments.videos is None):
        parser.error("give either --data or --videos")
    part = "train" if arguments.fit else arguments.part
    if arguments.videos:
        clips = video_clips(arguments.videos, sorted(path.name for path in arguments.videos.iterdir()))
    else:
        split = choose_split(arguments.data / "train")
        clips = clips_of(arguments.data, split, part, SEEDS[part], arguments.scenes)
    if arguments.fit:
        fit_tracker(arguments.tracker, clips, arguments.fit)
        return
    tracks = _follow_all(trackcli.load(arguments.tracker, device="cpu"), clips)
    content: dict[str, object] = {"tracker": arguments.tracker, "clips": str(arguments.videos or part)}
    for name, scored in kinds_of_score(tracks).items():
        outcomes = by_kind(scored)
        print("\n".join(["", f"{name}:", "", *table(outcomes), "", *threshold_table(scored)]))
        content[name] = {kind: asdict(one) for kind, one in outcomes.items()}
    if arguments.output:
        arguments.output.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def fit_tracker(name: str, clips: Sequence[Clip], output: Path) -> None:
    """Fit the link ``presence`` to a tracker and write the tracker with it."""
    source = find_tracker_file(name, installed())
    links = [part.name for part in trackcli.load(source, device="cpu").plan.recipe.postprocessor]
    if "presence" not in links:
        write_variant(source, output, installed(), added=["presence"])
        source = output
    tracks = _follow_all(trackcli.load(source, device="cpu"), clips)
    evidence, in_view = gather_evidence(tracks)
    bias, score, template, memory = fit_logistic(evidence, in_view).tolist()
    found = {"score_weight": score, "template_weight": template, "memory_weight": memory, "bias": bias}
    settings = [f"postprocessor.presence.{key}={value:.3f}" for key, value in found.items()]
    write_variant(source, output, installed(), assignments=settings)
    print("\n".join(settings))
    print(f"fitted on {len(in_view)} frames of {len(tracks)} clips; written: {output}")


def follow(tracker: Tracker, clip: Clip) -> Track:
    """Start on the first frame, and track to the end."""
    listener = EvidenceListener()
    links = tracker.session.model.track_links
    links["evidence"] = listener
    try:
        boxes, frames = clip.boxes_xywh, clip.frames()
        tracker.start(next(frames), boxes[0])
        results = [tracker.update(frame) for frame in frames]
    finally:
        del links["evidence"]
    found = np.concatenate([result.boxes_xywh for result in results])
    overlaps = np.where(np.isfinite(boxes[1:, 0]), iou_xywh(found, np.nan_to_num(boxes[1:])), np.nan)
    scores = np.concatenate([result.scores for result in results])
    return Track(clip.name, clip.kind, scores, overlaps, clip.gone[1:], np.array(listener.rows).reshape(-1, 3))


def kinds_of_score(tracks: Sequence[Track]) -> dict[str, list[Track]]:
    """The tracker's score and, with the link ``presence``, each part of its evidence as if it were the score."""
    scores = {"score": list(tracks)}
    if all(len(one.evidence) == len(one.scores) for one in tracks):
        for column, name in enumerate(("the head's score", "cosine with the first frame", "cosine with the memory")):
            scores[name] = [replace(one, scores=one.evidence[:, column]) for one in tracks]
        # The logit back to a score, so that thresholds mean the same.
        scores["the head's score"] = [replace(one, scores=1 / (1 + np.exp(-one.evidence[:, 0]))) for one in tracks]
    return scores


def _follow_all(tracker: Tracker, clips: Sequence[Clip]) -> list[Track]:
    tracks = []
    for clip in clips:
        tracks.append(follow(tracker, clip))
        print(f"\r{len(tracks)}/{len(clips)} clips", end="", flush=True)
    print()
    return tracks


def roc_area(positives: Floats, negatives: Floats) -> float:
    """Chance that a positive scores above a negative; a tie counts one half.

    Source: Mann and Whitney 1947; Hanley and McNeil 1982.
    """
    return float(_wins(positives, negatives) / (len(positives) * len(negatives)))


def roc_interval(positives: Sequence[Floats], negatives: Sequence[Floats], *, seed: int = 0) -> tuple[float, float]:
    """95% of the areas when clips are drawn with replacement: frames of one clip say nearly the same.

    Args:
        positives: Per clip, the scores of its positive frames.
        negatives: Per clip, those of its negative frames.
        seed: Of the resampling.
    """
    wins = np.array([[_wins(ours, theirs) for theirs in negatives] for ours in positives])
    counts = np.array([len(one) for one in positives]), np.array([len(one) for one in negatives])
    clips = len(positives)
    drawn = np.random.default_rng(seed).multinomial(clips, np.full(clips, 1 / clips), size=RESAMPLES)
    pairs = (drawn @ counts[0]) * (drawn @ counts[1])
    areas = ((drawn @ wins) * drawn).sum(axis=1)[pairs > 0] / pairs[pairs > 0]
    low, high = np.quantile(areas, [0.025, 0.975])
    return float(low), float(high)


def _wins(positives: Floats, negatives: Floats) -> float:
    order = np.sort(negatives)
    below = np.searchsorted(order, positives, side="left")
    return float((below + np.searchsorted(order, positives, side="right")).sum() / 2)


def measure(tracks: Sequence[Track]) -> Outcome:
    """Figures of these clips together: one threshold must serve them all."""
    in_view = [one.scores[one.in_view] for one in tracks]
    gone = [one.scores[one.gone] for one in tracks]
    tracked = np.concatenate([one.scores[one.tracked] for one in tracks])
    return Outcome(
        clips=len(tracks),
        area=roc_area(np.concatenate(in_view), np.concatenate(gone)),
        interval=roc_interval(in_view, gone),
        tracked_area=roc_area(tracked, np.concatenate(gone)) if len(tracked) else float("nan"),
        found_again=float(np.mean([one.found_again for one in tracks])),
    )


def by_kind(tracks: Sequence[Track]) -> dict[str, Outcome]:
    """Figures of all spliced clips, of each kind, and of everything with the targets that vanish."""
    kinds = list(dict.fromkeys(one.kind for one in tracks))
    groups: dict[str, Callable[[Track], bool]] = {"spliced": lambda one: one.kind != "vanished"}
    groups |= {kind: lambda one, kind=kind: one.kind == kind for kind in kinds}  # type: ignore[misc]
    chosen = {name: [one for one in tracks if belongs(one)] for name, belongs in groups.items()}
    return {name: measure(some) for name, some in {**chosen, "all": list(tracks)}.items() if some}


def table(outcomes: dict[str, Outcome]) -> list[str]:
    """The figures as a Markdown table."""
    lines = [
        "| clips | number | in view against gone | 95% | tracked against gone | found again |",
        "|---|---|---|---|---|---|",
    ]
    for name, one in outcomes.items():
        low, high = one.interval
        lines.append(
            f"| {name} | {one.clips} | {one.area:.3f} | {low:.3f}–{high:.3f} | {one.tracked_area:.3f} "
            f"| {one.found_again:.0%} |"
        )
    return lines


def threshold_table(tracks: Sequence[Track]) -> list[str]:
    """What a threshold does: tracked frames it keeps, frames without the target it reports."""
    tracked = np.concatenate([one.scores[one.tracked] for one in tracks])
    gone = np.concatenate([one.scores[one.gone] for one in tracks])
    lines = ["| threshold | tracked frames above | gone frames below |", "|---|---|---|"]
    return [*lines, *(f"| {at} | {np.mean(tracked >= at):.1%} | {np.mean(gone < at):.1%} |" for at in THRESHOLDS)]


def gather_evidence(tracks: Sequence[Track]) -> tuple[Floats, NDArray[np.bool_]]:
    """``(N, 3)`` evidence of tracked and of gone frames, and which of them are tracked.

    Frames in which the target is in view but something else is followed are left out: neither answer would be right.
    """
    rows = [one.tracked | one.gone for one in tracks]
    evidence = np.concatenate([one.evidence[row] for one, row in zip(tracks, rows, strict=True)])
    return evidence, np.concatenate([one.tracked[row] for one, row in zip(tracks, rows, strict=True)])


def fit_logistic(evidence: Floats, positive: NDArray[np.bool_], *, steps: int = 50) -> Floats:
    """Logistic regression by Newton's method, both classes with the same total weight, a light ridge on the weights.

    Args:
        evidence: ``(N, E)``.
        positive: ``(N,)``.
        steps: Of Newton's method.

    Returns:
        ``(1 + E,)`` bias and weights.
    """
    inputs = np.column_stack([np.ones(len(evidence)), evidence])
    weight = np.where(positive, 0.5 / positive.sum(), 0.5 / (~positive).sum())
    ridge = RIDGE * np.eye(inputs.shape[1])
    ridge[0, 0] = 0.0
    found = np.zeros(inputs.shape[1])
    for _ in range(steps):
        chance = 1 / (1 + np.exp(-np.clip(inputs @ found, -30, 30)))
        gradient = inputs.T @ (weight * (positive - chance)) - ridge @ found
        curvature = (inputs * (weight * np.maximum(chance * (1 - chance), 1e-9))[:, None]).T @ inputs + ridge
        found = found + np.linalg.solve(curvature, gradient)
    return found


if __name__ == "__main__":
    main()
