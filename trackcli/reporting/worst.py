"""Where trackers fail: for the hardest sequences the frame in which the best tracker is farthest from the truth."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from trackcli.errors import InputDataError
from trackcli.evaluation.datasets import EvaluationSequence
from trackcli.evaluation.overlaps import iou_xywh, is_box_xywh
from trackcli.reporting.gather import Entrant, Evaluation
from trackcli.video.images import read_image

Floats = NDArray[np.float64]

PICTURE_SIDE = 480
"""Longest side of a picture in pixels: sharp on a phone, some 25 KB each."""
_QUALITY = 72


@dataclass(frozen=True, eq=False)
class Answer:
    """What one tracker said in a frame.

    Attributes:
        label: The tracker.
        style: Its colour.
        box_xywh: ``(4,)`` picture pixels; NaN where it gave no box.
        overlap: With the truth.
    """

    label: str
    style: int
    box_xywh: Floats
    overlap: float


@dataclass(frozen=True, eq=False)
class WorstFrame:
    """One frame of one sequence.

    Attributes:
        sequence: Its name.
        frame: Number of the frame, from 0.
        frames: Length of the sequence.
        score: The best tracker's ranking measure on the whole sequence.
        jpeg: The picture as base64 text; empty if the image could not be read.
        size_wh: The picture's size.
        truth_xywh: ``(4,)`` true box in picture pixels.
        answers: What each tracker said, in the order of their ranks.
    """

    sequence: str
    frame: int
    frames: int
    score: float
    jpeg: str
    size_wh: tuple[int, int]
    truth_xywh: Floats
    answers: tuple[Answer, ...]


def worst_frames(evaluation: Evaluation, count: int) -> list[WorstFrame]:
    """The ``count`` sequences in which the best tracker scores lowest, hardest first, each with its worst frame.

    Of several frames without any overlap it is the first: there the target was lost.

    Raises:
        InputDataError: if a result cannot be read.
    """
    best = evaluation.entrants[0]
    scores = {
        index: evaluation.first.read(one.score)
        for index, one in enumerate(best.result.sequences)
        if one.score is not None
    }
    hardest = sorted(scores, key=lambda index: scores[index])[:count]
    return [_worst_frame(evaluation, evaluation.sequences[index], scores[index]) for index in hardest]


def _worst_frame(evaluation: Evaluation, sequence: EvaluationSequence, score: float) -> WorstFrame:
    boxes = {entrant.label: _boxes(entrant, sequence) for entrant in evaluation.entrants}
    counts = is_box_xywh(sequence.boxes_xywh) & ~sequence.marked(evaluation.variant.marks)
    counts[:1] = False
    overlaps = iou_xywh(boxes[evaluation.entrants[0].label], sequence.boxes_xywh)
    frame = int(np.argmin(np.where(counts, overlaps, np.inf)))
    jpeg, size_wh, scale = _picture(sequence, frame)
    answers = []
    for entrant in evaluation.entrants:
        box = boxes[entrant.label][frame]
        overlap = float(iou_xywh(box[None], sequence.boxes_xywh[frame][None])[0])
        answers.append(Answer(entrant.label, entrant.style, box * scale, overlap))
    truth = sequence.boxes_xywh[frame] * scale
    return WorstFrame(sequence.name, frame, len(sequence), score, jpeg, size_wh, truth, tuple(answers))


def _boxes(entrant: Entrant, sequence: EvaluationSequence) -> Floats:
    return entrant.store.read_from(sequence.name, sequence.boxes_xywh[0], len(sequence)).boxes_xywh


def _picture(sequence: EvaluationSequence, frame: int) -> tuple[str, tuple[int, int], float]:
    """The frame as base64 JPEG, its size and its scale; without the image an empty text and a size to draw in."""
    try:
        image = read_image(sequence.image_paths[frame])
    except InputDataError:
        reach = np.nanmax(sequence.boxes_xywh[:, :2] + sequence.boxes_xywh[:, 2:], axis=0)
        return "", (max(1, int(reach[0])), max(1, int(reach[1]))), 1.0
    height, width = image.shape[:2]
    scale = min(1.0, PICTURE_SIDE / max(width, height))
    size_wh = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA)
    done, encoded = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return (base64.b64encode(encoded.tobytes()).decode("ascii") if done else ""), size_wh, scale
