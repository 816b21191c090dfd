"""Where results go: the sink is found by the file's suffix, and a plugin's is used like a built-in one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import cv2
import numpy as np
import pytest

from trackcli import SinkSpec, hookimpl
from trackcli.builtin import plugin as builtin_plugin
from trackcli.errors import PluginError, TrackcliError, UsageError
from trackcli.host.registry import Registry
from trackcli.tracking.run import TrackedFrame
from trackcli.video.outputs import SinkContext, find_sink, known_suffixes, open_output

CONTEXT = SinkContext(names=("1",), size_wh=(320, 240), fps=25.0)


class Log:
    """Writes the number of each frame, and how the run ended."""

    fails_at = -1

    def __init__(self, path: Path, context: SinkContext) -> None:
        self.path = path
        self.lines = [f"{context.names} {context.size_wh} {context.fps}"]

    def write(self, frame: TrackedFrame) -> None:
        if frame.index == self.fails_at:
            raise ZeroDivisionError("no such frame")
        self.lines.append(str(frame.index))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.lines.append("whole" if error is None else "torn")
        self.path.write_text("\n".join(self.lines))


class FailingLog(Log):
    fails_at = 1


class FullDisk(Log):
    def write(self, frame: TrackedFrame) -> None:
        raise OSError(28, "No space left on device")


class NoSink:
    def __init__(self, path: Path, context: SinkContext) -> None:
        pass


def registry_with(factory: str = "Log", **more: Any) -> Registry:
    class Plugin:
        @hookimpl
        def trackcli_sinks(self) -> Iterator[SinkSpec]:
            facts: dict[str, Any] = {"suffixes": (".log",), **more}
            yield SinkSpec(name="log", summary="A log", factory=f"{__name__}:{factory}", **facts)

    registry = Registry()
    registry.add_plugin(builtin_plugin, name="builtin", distribution="trackcli", version="0.1.0")
    registry.add_plugin(Plugin(), name="acme", distribution="acme-sinks", version="2.0")
    assert registry.broken == []
    return registry


def frame(index: int) -> TrackedFrame:
    image = np.full((240, 320, 3), 100, np.uint8)
    return TrackedFrame(index, index / 25, image, np.array([[100.0, 100, 220, 200]]), np.array([1.0]))


def test_a_plugins_sink_takes_every_frame_and_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "run.LOG"
    with open_output(path, CONTEXT, registry_with()) as sink:
        sink.write(frame(0))
        sink.write(frame(1))
    assert path.read_text().splitlines() == ["('1',) (320, 240) 25.0", "0", "1", "whole"]


def test_a_plugins_sink_is_closed_when_the_run_is_interrupted(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    with pytest.raises(KeyboardInterrupt), open_output(path, CONTEXT, registry_with()) as sink:
        sink.write(frame(0))
        raise KeyboardInterrupt
    assert path.read_text().splitlines()[1:] == ["0", "torn"]


def test_a_sink_that_raises_is_explained_and_closed(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    message = r"^sink 'log' of acme-sinks 2.0 failed on '.*run.log' \(ZeroDivisionError: no such frame\); update the"
    with (
        pytest.raises(PluginError, match=message),
        open_output(path, CONTEXT, registry_with("FailingLog")) as sink,
    ):
        sink.write(frame(0))
        sink.write(frame(1))
    assert path.read_text().splitlines()[1:] == ["0", "torn"]


def test_a_full_disk_is_no_fault_of_the_plugin(tmp_path: Path) -> None:
    with (
        pytest.raises(TrackcliError, match="failed: No space left on device; make room") as caught,
        open_output(tmp_path / "run.log", CONTEXT, registry_with("FullDisk")) as sink,
    ):
        sink.write(frame(0))
    assert not isinstance(caught.value, PluginError)


def test_what_is_no_sink_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(PluginError, match="it gave a NoSink without write, __enter__, __exit__"),
        open_output(tmp_path / "run.log", CONTEXT, registry_with("NoSink")),
    ):
        pass


def test_the_suffix_chooses_the_sink() -> None:
    registry = registry_with()
    names = {suffix: find_sink(Path(f"a{suffix}"), 1, registry).spec.name for suffix in known_suffixes(registry)}
    assert names[".csv"] == "boxes-csv"
    assert names[".mp4"] == "video"
    assert names[".log"] == "log"


@pytest.mark.parametrize(
    ("path", "more", "targets", "message"),
    [
        ("a.gif", {}, 1, r"output 'a.gif' has an unknown suffix; expected one of .txt, .csv, .jsonl, .mp4, .*, .log$"),
        ("a.txt", {}, 2, "output 'a.txt' holds one target, but 2 were given; use .csv or .jsonl"),
        ("a.log", {"most_targets": 2}, 3, "output 'a.log' holds 2 targets, but 3 were given"),
        (
            "a.csv",
            {"suffixes": (".csv",)},
            1,
            ".csv is written by boxes-csv of trackcli 0.1.0 and log of acme-sinks 2.0",
        ),
    ],
)
def test_a_name_that_no_sink_can_write_is_refused_before_anything_is_computed(
    path: str, more: dict[str, Any], targets: int, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        find_sink(Path(path), targets, registry_with(**more))


@pytest.mark.parametrize("suffixes", [(), [".log"], ("log",), (".LOG",), "..log"])
def test_a_spec_with_senseless_suffixes_is_refused(suffixes: object) -> None:
    with pytest.raises(PluginError, match="expected a tuple such as"):
        SinkSpec(name="log", summary="s", factory="a.b:C", suffixes=suffixes)  # type: ignore[arg-type]


def test_the_built_in_video_sink_draws_the_boxes(tmp_path: Path) -> None:
    import av

    path = tmp_path / "out.mp4"
    with open_output(path, CONTEXT, registry_with()) as sink:
        for index in range(3):
            sink.write(frame(index))
    with av.open(str(path)) as video:
        images = [each.to_ndarray(format="rgb24") for each in video.decode(video=0)]
    assert len(images) == 3
    inside, edge = images[0][150, 160], images[0][150, 96:104]
    assert abs(inside.astype(int) - 100).max() < 20
    assert abs(edge.astype(int) - 100).max() > 60  # the outline


COUNTING_PLUGIN = """
from trackcli import SinkSpec, hookimpl

@hookimpl
def trackcli_sinks():
    yield SinkSpec(name="count", summary="Counts frames", factory="count_sink:Count", suffixes=(".count",))

class Count:
    def __init__(self, path, context):
        self.path, self.frames = path, 0
    def write(self, frame):
        print("a sink that talks")
        self.frames += 1
    def __enter__(self):
        return self
    def __exit__(self, *error):
        self.path.write_text(str(self.frames))
"""


def test_track_writes_with_the_sink_of_an_installed_plugin(tmp_path: Path) -> None:
    (tmp_path / "count_sink.py").write_text(COUNTING_PLUGIN)
    metadata = tmp_path / "count_sink-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: count-sink\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[trackcli]\ncount = count_sink\n")
    for index in range(3):
        pixels = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)
        cv2.imwrite(str(tmp_path / f"{index:02}.png"), pixels)
    command = (*(sys.executable, "-m", "trackcli", "track", "*.png", "--init", "60,40,30,30"), "-o", "a.count", "-q")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [*command, "--device", "cpu"], cwd=tmp_path, capture_output=True, text=True, check=False, env=environment
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert (tmp_path / "a.count").read_text() == "3"
