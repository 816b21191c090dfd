"""Writes synthetic sequences in the layout that the ``folder`` dataset reads."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from trackcli.errors import InputDataError, UsageError
from trackcli.synth.sequences import SyntheticSequence

FORMAT = 1
JPEG_QUALITY = 92
_SCENE_FILE = "scene.json"
_OWN_FOLDER = re.compile(r"synth_\d{5,}")
_OWN_LEFTOVER = re.compile(r"\.synth_\d{5,}\.partial")


def write_sequence(sequence: SyntheticSequence, folder: Path, *, video: bool) -> None:
    """Write one sequence: pictures or a video, ``groundtruth.txt``, ``absent.txt`` and ``scene.json``.

    ``groundtruth.txt`` has one ``x,y,w,h`` line per frame (pixels, 0-based, top-left; ``nan,nan,nan,nan`` where the
    target is absent), ``absent.txt`` one 0 or 1. Everything is written beside ``folder`` and renamed at the end: an
    interrupted run leaves no half sequence.

    Args:
        sequence: What to write.
        folder: Where to; its parents are made. It must not exist.
        video: ``video.mp4`` instead of ``img/00000.jpg``, ``img/00001.jpg``, …

    Raises:
        UsageError: if ``folder`` exists.
        InputDataError: if it cannot be written.
    """
    if folder.exists():
        raise UsageError(f"folder {folder} exists; expected a new one; choose another or remove it")
    partial = folder.with_name(f".{folder.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        _write_into(sequence, partial, video=video)
        partial.rename(folder)
    except OSError as error:
        raise InputDataError(f"cannot write {folder}: {error.strerror or error}; choose another --output") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def remove_sequences(output: Path) -> None:
    """Remove the sequences and leftovers that earlier runs wrote into ``output``, and nothing else."""
    for folder in output.iterdir():
        finished = _OWN_FOLDER.fullmatch(folder.name) and (folder / _SCENE_FILE).is_file()
        leftover = _OWN_LEFTOVER.fullmatch(folder.name) and folder.is_dir()
        if (finished or leftover) and not folder.is_symlink():
            shutil.rmtree(folder)


def _write_into(sequence: SyntheticSequence, folder: Path, *, video: bool) -> None:
    if video:
        _write_video(sequence, folder / "video.mp4")
    else:
        _write_images(sequence, folder / "img")
    (folder / "groundtruth.txt").write_text("".join(map(_box_line, sequence.boxes_xywh)), encoding="ascii")
    (folder / "absent.txt").write_text("".join(f"{int(gone)}\n" for gone in sequence.absent), encoding="ascii")
    (folder / _SCENE_FILE).write_text(_scene_json(sequence), encoding="utf-8")


def _write_images(sequence: SyntheticSequence, folder: Path) -> None:
    folder.mkdir()
    for index, image in enumerate(sequence.frames):
        _, data = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        (folder / f"{index:05d}.jpg").write_bytes(data.tobytes())


def _write_video(sequence: SyntheticSequence, path: Path) -> None:
    from trackcli.video.sinks import VideoSink

    with VideoSink(path, sequence.settings.fps, sequence.settings.size_wh) as sink:
        for image in sequence.frames:
            sink.write(image)


def _box_line(box_xywh: NDArray[np.float64]) -> str:
    return ",".join("nan" if np.isnan(value) else f"{value:.3f}" for value in box_xywh) + "\n"


def _scene_json(sequence: SyntheticSequence) -> str:
    from trackcli import __version__

    scene = {"format": FORMAT, "trackcli": __version__, "settings": sequence.settings.as_dict()}
    return json.dumps(scene, indent=2) + "\n"
