"""Small videos written with PyAV, and their bytes damaged or patched as the wild does it."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

WriteVideo = Callable[..., Path]


def numbered_image(number: int, size_wh: tuple[int, int] = (96, 64)) -> NDArray[np.uint8]:
    """A picture that tells its number: all is 5 x number + 20 (up to 40), the top-left quarter red."""
    image = np.full((size_wh[1], size_wh[0], 3), 5 * (number % 40) + 20, np.uint8)
    image[: size_wh[1] // 2, : size_wh[0] // 2] = (255, 0, 0)
    return image


def number_of(image: NDArray[np.uint8]) -> int:
    """Read the number back: three of the four corners tell it, wherever the red one was turned to."""
    values = [int(image[y, x, 1]) for y, x in ((3, 3), (3, -4), (-4, 3), (-4, -4))]
    return round((float(np.median(values)) - 20) / 5)


@pytest.fixture
def write_video(tmp_path: Path) -> WriteVideo:
    def write(
        name: str = "clip.mp4",
        *,
        count: int = 12,
        codec: str = "libx264",
        pix_fmt: str = "yuv420p",
        ticks: Sequence[int] | None = None,
        gop: int = 12,
        size_wh: tuple[int, int] = (96, 64),
        container_options: dict[str, str] | None = None,
    ) -> Path:
        """Frames at 25 a second, or at ``ticks`` milliseconds."""
        path = tmp_path / name
        with av.open(str(path), "w", options=container_options or {}) as container:
            stream = container.add_stream(codec, rate=25)
            stream.width, stream.height = size_wh
            stream.pix_fmt = pix_fmt
            stream.gop_size = gop
            if ticks is not None:
                stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
            for number in range(count):
                frame = av.VideoFrame.from_ndarray(numbered_image(number, size_wh), format="rgb24")
                frame.pts = number if ticks is None else ticks[number]
                frame.time_base = Fraction(1, 25) if ticks is None else Fraction(1, 1000)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return path

    return write


@pytest.fixture
def damage_packet() -> Callable[[Path, int], None]:
    """Overwrite a packet, counted in decoding order, with noise."""

    def damage(path: Path, number: int) -> None:
        offset, length = packet_places(path)[number]
        noise = np.random.default_rng(7).integers(0, 256, length, dtype=np.uint8).tobytes()
        data = bytearray(path.read_bytes())
        data[offset : offset + length] = noise
        path.write_bytes(data)

    return damage


@pytest.fixture
def set_display_matrix() -> Callable[..., None]:
    """Patch the track header of an MP4, as a phone that was held sideways writes it."""

    def patch(path: Path, a: int, b: int, c: int, d: int) -> None:
        data = bytearray(path.read_bytes())
        # Version 0 of the box: 40 bytes of flags, times and numbers come between its name and the matrix.
        offset = data.index(b"tkhd") + 4 + 40
        data[offset : offset + 36] = struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
        path.write_bytes(data)

    return patch


@pytest.fixture(name="number_of")
def fixture_number_of() -> Callable[[NDArray[np.uint8]], int]:
    return number_of


def packet_places(path: Path) -> list[tuple[int, int]]:
    """Offset and length in the file of each packet, in decoding order."""
    with av.open(str(path)) as container:
        return [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
