"""Streams have time-outs and bounded reconnects; what was tracked before the end is kept."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from trackcli.errors import InputDataError, UsageError
from trackcli.video.background import Background
from trackcli.video.frames import StreamSettings
from trackcli.video.sources import open_source

BOX = "50,40,40,30"
FRAMES = 40
QUICK = StreamSettings(timeout_s=1, reconnects=1)


def rows(path: Path) -> list[str]:
    return path.read_text().splitlines()[1:]


def test_a_video_on_a_web_server_gives_the_frames_of_the_file(server, clip):
    with open_source(str(clip), warn=pytest.fail) as source:
        expected = list(source)
    with open_source(server.url("whole"), warn=pytest.fail) as source:
        assert (source.frame_count, source.fps, source.size_wh) == (FRAMES, 25, (160, 120))
        found = list(source)
    assert [(frame.index, frame.time_s) for frame in found] == [(frame.index, frame.time_s) for frame in expected]
    assert all(np.array_equal(one.image, other.image) for one, other in zip(found, expected, strict=True))


def test_start_and_end_mean_the_same_as_for_a_file(server):
    with open_source(server.url("whole"), start=7, end=11, warn=pytest.fail) as source:
        assert source.frame_count == 4
        assert [(frame.index, frame.time_s) for frame in source] == [(7, 0.28), (8, 0.32), (9, 0.36), (10, 0.4)]


def test_after_a_lost_connection_no_frame_is_missing_or_seen_twice(server):
    said: list[str] = []
    with open_source(server.url("drop-once"), warn=said.append, stream=QUICK) as source:
        frames = list(source)
    assert [frame.index for frame in frames] == list(range(FRAMES))
    assert all(frame.image is not None for frame in frames)
    (line,) = said
    assert line.endswith(" broke off (Input/output error); connecting again, 1 of 1")


def test_a_connection_that_always_breaks_is_given_up_after_the_reconnects(server):
    said: list[str] = []
    settings = StreamSettings(timeout_s=1, reconnects=2)
    with (
        open_source(server.url("drop"), warn=said.append, stream=settings) as source,
        pytest.raises(InputDataError, match=r"broke off after 2 reconnects \(Input/output error\); check the source"),
    ):
        seen = [frame.index for frame in iter(source)]
        raise AssertionError(f"{len(seen)} frames and no error")
    assert server.asked.count("drop") == 3
    assert len(said) == 2


def with_padding(clip: Path, folder: Path) -> bytes:
    """The clip as Matroska, with twice its length of nothing (an EBML void) behind its last frame."""
    import av

    path = folder / "padded.mkv"
    with av.open(str(clip)) as video, av.open(str(path), "w") as copy:
        stream = copy.add_stream_from_template(video.streams.video[0])
        for packet in video.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                copy.mux(packet)
    content = path.read_bytes()
    nothing = bytes(2 * len(content))
    void = b"\xec\x01" + len(nothing).to_bytes(7) + nothing
    at = content.index(bytes.fromhex("18538067")) + 5  # the segment's identifier, and the length's first byte
    length = int.from_bytes(content[at : at + 7]) + len(void)
    return content[:at] + length.to_bytes(7) + content[at + 7 :] + void


def test_a_connection_lost_behind_the_last_frame_is_no_error(server, clip, tmp_path):
    server.content = with_padding(clip, tmp_path)
    said: list[str] = []
    with open_source(server.url("drop-once"), warn=said.append, stream=QUICK) as source:
        frames = list(source)
    assert [frame.index for frame in frames] == list(range(FRAMES))
    assert [line.partition(" broke off ")[2] for line in said] == ["(Input/output error); connecting again, 1 of 1"]


def test_a_start_beyond_the_end_is_named(server):
    with pytest.raises(InputDataError, match=r"--start 40 is beyond 'http.*', which has 40 frames; choose 0 to 39"):
        open_source(server.url("whole"), start=FRAMES, warn=pytest.fail, stream=QUICK)


def test_what_was_tracked_before_a_stall_is_kept_and_exit_is_3(run, server, tmp_path, untrained_tracker):
    boxes, video = tmp_path / "boxes.csv", tmp_path / "tracked.mp4"
    options = ("--init", BOX, "--tracker", untrained_tracker, "-o", boxes, "--save-video", video)
    done = run("track", server.url("stall"), *options, "--timeout", 1, "--reconnects", 0)
    assert done.returncode == 3
    note, error = done.stderr.splitlines()
    assert note == f"stopped early; what was tracked so far: {boxes}, {video}"
    assert error == (
        f"error: 'http://***@127.0.0.1:{server.server_port}/stall/clip.mp4?token=***&quality=high' broke off "
        "(no data for 1 s); check the source and the network, or be more patient with --timeout and --reconnects"
    )
    tracked = len(rows(boxes))
    assert 10 < tracked < FRAMES
    with open_source(str(video), warn=pytest.fail) as source:
        assert len(list(source)) == tracked


def test_a_page_in_place_of_a_video_is_one_line(run, server):
    done = run("track", server.url("html"), "--init", BOX)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == (
        f"error: 'http://***@127.0.0.1:{server.server_port}/html/clip.mp4?token=***&quality=high' cannot be opened "
        "(Invalid data found when processing input); expected a video stream or a video file behind this address; "
        "check it in a player\n"
    )


def test_a_missing_page_says_what_the_server_said(server):
    with pytest.raises(InputDataError, match=r"cannot be opened \(Server returned 404 Not Found\)"):
        open_source(server.url("nowhere"), warn=pytest.fail)


def test_a_server_that_never_answers_is_left_after_the_time_out(server):
    began = time.monotonic()
    with pytest.raises(InputDataError, match=r"cannot be opened \(no data for 1 s\)"):
        open_source(server.url("silent"), warn=pytest.fail, stream=QUICK)
    assert time.monotonic() - began < 10


def test_nobody_there_is_an_input_error():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(
        InputDataError, match=r"'rtsp://\*\*\*@127.0.0.1:\d+/live' cannot be opened \(Connection refused\)"
    ):
        open_source(f"rtsp://admin:secret@127.0.0.1:{port}/live", warn=pytest.fail, stream=QUICK)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "concat://a|b", "data://text", "gopher://host/x"])
def test_addresses_that_reach_into_this_machine_are_refused(url):
    with pytest.raises(UsageError, match=r"has the scheme [a-z]+; expected one of http, https, "):
        open_source(url, warn=pytest.fail)


def test_a_playlist_from_elsewhere_cannot_read_local_files(server, clip):
    server.content = f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nfile://{clip}\n#EXT-X-ENDLIST\n".encode()
    with pytest.raises(InputDataError, match=r"cannot be opened|broke off|no frames"):
        open_source(server.url("whole").replace(".mp4", ".m3u8"), warn=pytest.fail, stream=QUICK)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no way to send these signals to one process")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stalled_stream_is_left_at_once(server, tmp_path, untrained_tracker, number, code):
    boxes = tmp_path / "boxes.csv"
    arguments = ["track", server.url("stall"), "--init", BOX, "--tracker", str(untrained_tracker), "-o", str(boxes)]
    with subprocess.Popen(
        [sys.executable, "-m", "trackcli", *arguments, "--timeout", "60"], stderr=subprocess.PIPE, text=True
    ) as running:
        latest, since = 0, time.monotonic()
        while time.monotonic() - since < 2:  # until nothing more comes
            assert running.poll() is None, running.stderr.read()
            if not boxes.exists() or len(rows(boxes)) != latest:
                latest, since = len(rows(boxes)) if boxes.exists() else 0, time.monotonic()
            time.sleep(0.05)
        running.send_signal(number)
        sent = time.monotonic()
        _, errors = running.communicate(timeout=30)
        assert time.monotonic() - sent < 20
    assert running.returncode == code
    assert errors.startswith(f"stopped early; what was tracked so far: {boxes}\n")
    assert 10 < len(rows(boxes)) < FRAMES


@pytest.mark.parametrize(("option", "value"), [("timeout", "0"), ("timeout", "nan"), ("reconnects", "-1")])
def test_settings_without_sense_are_refused(run, tmp_path, option, value):
    done = run("track", "http://127.0.0.1:1/x", "--init", BOX, f"--{option}={value}")
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: --{option} {value} makes no sense; expected ")


def test_a_machine_without_cameras_says_so_in_one_line(run):
    done = run("track", "9", "--init", BOX)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith(
        "error: camera 9 cannot be opened; expected the number of a camera that is plugged in"
    )
    assert done.stderr.count("\n") == 1


def test_a_folder_called_like_a_camera_is_a_folder(tmp_path, monkeypatch):
    (tmp_path / "0").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputDataError, match="folder '0' holds no images"):
        open_source("0", warn=pytest.fail)


def serve_live(clip: Path, connections: int) -> int:
    """A live transmitter: it sends from its first frame, hangs up, and after some connections is gone. Its port."""
    import io

    import av

    packed = io.BytesIO()
    with av.open(str(clip)) as video, av.open(packed, "w", format="mpegts") as live:
        stream = live.add_stream_from_template(video.streams.video[0])
        for packet in video.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                live.mux(packet)
    listener = socket.create_server(("127.0.0.1", 0))

    def transmit() -> None:
        with listener:
            for _ in range(connections):
                connection, _ = listener.accept()
                with connection:
                    connection.sendall(packed.getvalue())

    threading.Thread(target=transmit, daemon=True).start()
    return int(listener.getsockname()[1])


def test_a_live_stream_goes_on_after_a_lost_connection_with_growing_numbers_and_times(clip):
    said: list[str] = []
    port = serve_live(clip, 2)
    frames = []
    with (
        pytest.raises(InputDataError, match=rf"'tcp://127.0.0.1:{port}' broke off after 1 reconnects"),
        open_source(f"tcp://127.0.0.1:{port}", warn=said.append, stream=QUICK) as source,
    ):
        assert source.frame_count is None
        for frame in source:
            frames.append(frame)
    numbers, times = [frame.index for frame in frames], [frame.time_s for frame in frames]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] == 2 * FRAMES - 1
    assert times == sorted(times)
    assert times[-1] > 2 * (FRAMES - 1) / 25, "the pause counts"
    assert f"'tcp://127.0.0.1:{port}' broke off (it ended); connecting again, 1 of 1" in said


class Camera:
    """As OpenCV's: blue, green, red; unplugged after a few frames."""

    def __init__(self, number: int) -> None:
        self.left = 3
        self.opened = 1

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return True

    def open(self, number: int) -> bool:
        self.opened += 1
        return False

    def get(self, what: int) -> float:
        return 30.0

    def read(self):
        self.left -= 1
        return (True, np.full((4, 6, 3), (255, 0, 7), np.uint8)) if self.left >= 0 else (False, None)

    def release(self) -> None:
        pass


def test_a_camera_gives_rgb_frames_until_it_is_unplugged(monkeypatch):
    monkeypatch.setattr("cv2.VideoCapture", Camera)
    said: list[str] = []
    frames = []
    with (
        pytest.raises(InputDataError, match="camera 0 gives no frames any more; check that it is still plugged in"),
        open_source("0", warn=said.append, stream=QUICK) as source,
    ):
        assert (source.fps, source.size_wh, source.frame_count) == (30, (6, 4), None)
        for frame in source:
            frames.append(frame)
    assert [frame.index for frame in frames] == [0, 1, 2]
    assert frames[0].image[0, 0].tolist() == [7, 0, 255]
    assert said == ["camera 0 gave no frame; opening it again, 1 of 1"]


def test_a_live_source_drops_its_oldest_items_and_another_waits():
    for drops in (True, False):
        background = Background(iter(range(1, 101)), patience_s=10, silence="", drop_oldest=drops)
        if drops:
            time.sleep(0.3)
        items = list(background)
        assert items[-1] == 100
        assert (background.dropped > 0) is drops
        assert len(items) + background.dropped == 100
        assert items == sorted(items)
        background.close()


def test_silence_is_an_error_and_errors_of_the_thread_arrive():
    def silent():
        time.sleep(5)
        yield 1

    with pytest.raises(InputDataError, match="nothing came"):
        list(Background(silent(), patience_s=0.2, silence="nothing came"))

    def failing():
        yield 1
        raise ValueError("broken")

    background = iter(Background(failing(), patience_s=5, silence=""))
    assert next(background) == 1
    with pytest.raises(ValueError, match="broken"):
        next(background)
