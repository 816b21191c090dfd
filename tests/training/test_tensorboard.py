"""What TensorBoard gets to see, read back from the files by its own reader."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from trackcli.training.observe import drive
from trackcli.training.pictures import PREDICTED_RGB, TRUE_RGB, draw_snapshot
from trackcli.training.snapshot import Snapshot
from trackcli.training.tensorboard import TensorBoardLog, tensorboard_writer

if TYPE_CHECKING:
    from conftest import NewRun

    from trackcli.training.run import TrainingRun


def events_of(folder: Path) -> Any:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    return events


def observed(run: TrainingRun, *, pictures_every: int = 0) -> None:
    pytest.importorskip("tensorboard")
    log = TensorBoardLog(tensorboard_writer(run.folder, run.step), pictures_every=pictures_every)
    drive(run, [log])


def test_scalars_are_those_of_the_reports(new_run: NewRun) -> None:
    run = new_run("train.steps=21")
    seen: dict[int, dict[str, float]] = {}

    class Notes:
        def on_step(self, run: TrainingRun, report: Any) -> None:
            seen[report.step] = {**report.terms, "norm": report.gradient_norm, "rates": dict(report.rates)}

        def on_validation(self, step: int, figures: dict[str, float]) -> None: ...

        def close(self) -> None: ...

    pytest.importorskip("tensorboard")
    log = TensorBoardLog(tensorboard_writer(run.folder, 0), pictures_every=0)
    drive(run, [log, Notes()])
    events = events_of(run.folder)
    tags = set(events.Tags()["scalars"])
    assert {"loss/rpn.classification", "loss/rpn.box", "loss/total", "gradient_norm", "speed/waiting"} <= tags
    boxes = events.Scalars("loss/rpn.box")
    assert [point.step for point in boxes] == [20, 21], "every 20 steps, and the last"
    assert [point.value for point in boxes] == pytest.approx([seen[20]["rpn.box"], seen[21]["rpn.box"]])
    assert events.Scalars("gradient_norm")[0].value == pytest.approx(seen[20]["norm"])
    for group, rate in seen[21]["rates"].items():
        assert events.Scalars(f"rate/{group}")[-1].value == pytest.approx(rate)
    assert events.Tags()["images"] == []


def test_pictures_come_at_their_interval_and_at_the_end(new_run: NewRun) -> None:
    import cv2

    run = new_run("train.steps=5")
    observed(run, pictures_every=2)
    pictures = events_of(run.folder).Images("pairs")
    assert [picture.step for picture in pictures] == [2, 4, 5]
    decoded = cv2.imdecode(np.frombuffer(pictures[0].encoded_image_string, np.uint8), cv2.IMREAD_COLOR)
    assert decoded.shape == (2 * 127, 63 + 2 * 127, 3)  # two pairs: template, search region, response


def test_a_resumed_run_hides_what_it_writes_again(new_run: NewRun) -> None:
    pytest.importorskip("tensorboard")
    run = new_run("train.steps=40", "train.checkpoint_every=10", folder="run")
    writer = tensorboard_writer(run.folder, 0)
    for step in (10, 20, 30):
        writer.add_scalar("loss/total", 1.0, step)
    writer.close()
    (written,) = (run.folder / "tensorboard").iterdir()
    written.rename(written.with_name(re.sub(r"\d{10}", "1000000000", written.name, count=1)))  # files are read by age
    writer = tensorboard_writer(run.folder, 20)
    writer.add_scalar("loss/total", 2.0, 30)
    writer.close()
    points = [(point.step, point.value) for point in events_of(run.folder).Scalars("loss/total")]
    assert points == [(10, 1.0), (20, 1.0), (30, 2.0)]


def test_without_tensorboard_there_is_no_writer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    assert tensorboard_writer(tmp_path, 0) is None
    assert list(tmp_path.iterdir()) == []


def test_a_picture_shows_truth_in_green_and_prediction_in_orange() -> None:
    grey = torch.full((2, 3, 64, 64), 128, dtype=torch.uint8)
    snapshot = Snapshot(
        template_images=grey[:, :, :32, :32],
        search_images=grey,
        template_boxes_xyxy=torch.tensor([[8.0, 8, 24, 24]] * 2),
        true_boxes_xyxy=torch.tensor([[20.0, 20, 40, 40]] * 2),
        positive=torch.tensor([True, False]),
        predicted_boxes_xyxy=torch.tensor([[30.0, 30, 50, 50], [torch.nan] * 4]),
        scores=torch.tensor([0.9, 0.1]),
        response=torch.zeros(2, 8, 8),
        sample_ids=torch.tensor([0, 1]),
    )
    picture = draw_snapshot(snapshot)
    assert picture.shape == (128, 32 + 64 + 64, 3)
    search = picture[:64, 32:96]
    assert tuple(search[20, 30]) == TRUE_RGB and tuple(search[49, 40]) == PREDICTED_RGB
    assert tuple(search[39, 22]) == TRUE_RGB, "half-open: the last row of a box that ends at 40"
    negative = picture[64:, 32:96].reshape(-1, 3)
    assert not any(tuple(pixel) == TRUE_RGB for pixel in negative), "there is no target to show"
    assert tuple(picture[16 + 8, 15]) == TRUE_RGB, "the template lies in the middle of its row"
