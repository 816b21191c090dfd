"""A web server that misbehaves as the real ones do, and the command line as a real process."""

from __future__ import annotations

import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

FRAMES = 40
SIZE_WH = (160, 120)
BOX = "50,40,40,30"


def trackcli(*arguments: object, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "trackcli", *map(os.fsencode, map(str, arguments))],
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        cwd=cwd,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="session")
def run() -> Callable[..., subprocess.CompletedProcess[str]]:
    return trackcli


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video large enough to be cut in half on its way: noise does not compress."""
    path = tmp_path_factory.mktemp("clip") / "noise.mp4"
    noise = np.random.default_rng(0)
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.width, stream.height = SIZE_WH
        stream.pix_fmt = "yuv420p"
        stream.gop_size = 10
        for number in range(FRAMES):
            image = noise.integers(0, 256, (SIZE_WH[1], SIZE_WH[0], 3), dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


class Server(http.server.ThreadingHTTPServer):
    """Serves one video; the first word of the path says how.

    ``whole``; ``drop``: every connection ends at two thirds; ``drop-once``: only the first does; ``stall``: nothing
    more comes after two thirds; ``silent``: not even a first byte; ``html``; anything else is not found.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = content
        self.released = threading.Event()
        self.asked: list[str] = []

    def url(self, how: str) -> str:
        return f"http://user:pa55word@127.0.0.1:{self.server_port}/{how}/clip.mp4?token=t0ps3cret&quality=high"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def log_message(self, format: str, *arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        how = self.path.split("/")[1]
        self.server.asked.append(how)
        if how == "silent":
            self.server.released.wait(60)
            return
        if how == "html":
            self._send(b"<html><body>Please sign in</body></html>" * 50)
        elif how in {"whole", "drop", "drop-once", "stall"}:
            self._send_video(how)
        else:
            self.send_error(404)

    def _send_video(self, how: str) -> None:
        content = self.server.content
        is_cut = how in {"drop", "stall"} or (how == "drop-once" and self.server.asked.count(how) == 1)
        self._send(content[: len(content) * 2 // 3] if is_cut else content, len(content))
        if how == "stall":
            self.server.released.wait(60)

    def _send(self, content: bytes, promised: int | None = None) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(promised or len(content)))
        self.end_headers()
        try:
            self.wfile.write(content)
            self.wfile.flush()
        except OSError:  # the client has seen enough
            pass


@pytest.fixture
def server(clip: Path) -> Iterator[Server]:
    server = Server(clip.read_bytes())
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield server
    server.released.set()
    server.shutdown()
    server.server_close()
    thread.join()
