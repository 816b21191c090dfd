"""OpenCV's trackers with networks, on networks small enough to be written here.

The files are written field by field as ONNX's protobuf description has them: no further package is needed. Inputs and
outputs are those of the published networks (NanoTrack: a backbone, and a head with two outputs; ViTTrack: one network
with three), so that OpenCV's own code around them is what is tested.
"""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from trackcli.errors import InputDataError
from trackcli.foreign.opencv import OpenCvTracker, nano, vit

Floats = NDArray[np.float32]
Image = NDArray[np.uint8]
START_XYWH = np.array([[140.0, 100.0, 32.0, 32.0]])
NOTHING = {"kernel_shape": (1, 1)}

_VARINT, _BYTES, _FLOAT = 0, 2, 5
_FLOAT_TENSOR = 1  # TensorProto.DataType.FLOAT
_AS_FLOAT, _AS_INT, _AS_INTS = 1, 2, 7  # AttributeProto.AttributeType


@dataclass(frozen=True)
class Node:
    """One operation: its type, the tensors it reads and makes, and its attributes."""

    kind: str
    reads: Sequence[str]
    makes: str
    attributes: Mapping[str, int | float | Sequence[int]] = field(default_factory=dict)


def write_onnx(
    path: Path,
    nodes: Sequence[Node],
    *,
    inputs: Mapping[str, Sequence[int]],
    outputs: Mapping[str, Sequence[int]],
    weights: Mapping[str, Floats],
) -> Path:
    """Write a network: ModelProto 1 ir_version, 7 graph, 8 opset; GraphProto 1 node, 5 weights, 11 in, 12 out."""
    graph = b"".join(_message(1, _node(node)) for node in nodes)
    graph += _message(2, b"small")
    graph += b"".join(_message(5, _tensor(name, array)) for name, array in weights.items())
    graph += b"".join(_message(11, _value(name, shape)) for name, shape in inputs.items())
    graph += b"".join(_message(12, _value(name, shape)) for name, shape in outputs.items())
    opset = _message(1, b"") + _number(2, 13)
    path.write_bytes(_number(1, 7) + _message(7, graph) + _message(8, opset))
    return path


def _node(node: Node) -> bytes:
    reads = b"".join(_message(1, name.encode()) for name in node.reads)
    attributes = b"".join(_message(5, _attribute(name, value)) for name, value in node.attributes.items())
    return reads + _message(2, node.makes.encode()) + _message(4, node.kind.encode()) + attributes


def _attribute(name: str, value: int | float | Sequence[int]) -> bytes:
    if isinstance(value, int):
        content, kind = _number(3, value), _AS_INT
    elif isinstance(value, float):
        content, kind = _key(2, _FLOAT) + struct.pack("<f", value), _AS_FLOAT
    else:
        content, kind = b"".join(_number(8, each) for each in value), _AS_INTS
    return _message(1, name.encode()) + content + _number(20, kind)


def _tensor(name: str, array: Floats) -> bytes:
    dims = b"".join(_number(1, size) for size in array.shape)
    return dims + _number(2, _FLOAT_TENSOR) + _message(8, name.encode()) + _message(9, array.astype("<f4").tobytes())


def _value(name: str, shape: Sequence[int]) -> bytes:
    dims = b"".join(_message(1, _number(1, size)) for size in shape)
    tensor = _number(1, _FLOAT_TENSOR) + _message(2, dims)
    return _message(1, name.encode()) + _message(2, _message(1, tensor))


def _message(number: int, content: bytes) -> bytes:
    return _key(number, _BYTES) + _varint(len(content)) + content


def _number(number: int, value: int) -> bytes:
    return _key(number, _VARINT) + _varint(value)


def _key(number: int, kind: int) -> bytes:
    return _varint(number << 3 | kind)


def _varint(value: int) -> bytes:
    digits = []
    while value > 127:
        digits.append(value & 127 | 128)
        value >>= 7
    return bytes([*digits, value])


def zeros(*shape: int) -> Floats:
    return np.zeros(shape, np.float32)


# Both inputs of a published network are read; adding nothing of the template keeps it from being left out.
TEMPLATE_ADDS_NOTHING = (
    Node("GlobalAveragePool", ("template",), "mean"),
    Node("Mul", ("mean", "zero"), "none"),
    Node("Add", ("search", "none"), "seen"),
)


@pytest.fixture
def nano_files(tmp_path: Path) -> tuple[Path, Path]:
    """NanoTrack: features are the mean colours of cells, the score is brightness, boxes are 64 of the crop's pixels."""
    cells = {"kernel_shape": (15, 15), "strides": (16, 16), "pads": (7, 7, 0, 0)}  # cell j is centred at 16·j
    backbone = write_onnx(
        tmp_path / "backbone.onnx",
        [Node("AveragePool", ("input",), "output", cells)],
        inputs={"input": (1, 3, 255, 255)},
        outputs={"output": (1, 3, 16, 16)},
        weights={},
    )
    brightness = zeros(2, 3, 1, 1)
    brightness[1] = 0.02
    renamed = {"template": "input1", "search": "input2"}
    nodes = [
        Node(node.kind, tuple(renamed.get(name, name) for name in node.reads), node.makes)
        for node in TEMPLATE_ADDS_NOTHING
    ]
    head = write_onnx(
        tmp_path / "head.onnx",
        [
            *nodes,
            Node("Conv", ("seen", "brightness", "darkness"), "output1", NOTHING),
            Node("Conv", ("seen", "ignored", "sides"), "output2", NOTHING),
        ],
        inputs={"input1": (1, 3, 8, 8), "input2": (1, 3, 16, 16)},
        outputs={"output1": (1, 2, 16, 16), "output2": (1, 4, 16, 16)},
        weights={
            "zero": zeros(1, 3, 1, 1),
            "brightness": brightness,
            "darkness": np.array([0, -4], np.float32),
            "ignored": zeros(4, 3, 1, 1),
            "sides": np.full(4, 32, np.float32),
        },
    )
    return backbone, head


def vit_file(path: Path, cell_xy: tuple[int, int]) -> Path:
    """ViTTrack: whatever it sees, the target is in the middle of one cell and a quarter of the search region large."""
    confidence = zeros(1, 1, 16, 16)
    confidence[0, 0, cell_xy[1], cell_xy[0]] = 0.9
    shrink = {"kernel_shape": (16, 16), "strides": (16, 16)}
    pooled = [Node(node.kind, node.reads, node.makes) for node in TEMPLATE_ADDS_NOTHING[:2]]
    return write_onnx(
        path,
        [
            *pooled,
            Node("AveragePool", ("search",), "cells", shrink),
            Node("Add", ("cells", "none"), "seen"),
            Node("Conv", ("seen", "ignored1"), "blank", NOTHING),
            Node("Add", ("blank", "confidence"), "output1"),
            Node("Conv", ("seen", "ignored2", "quarter"), "output2", NOTHING),
            Node("Conv", ("seen", "ignored2", "half"), "output3", NOTHING),
        ],
        inputs={"template": (1, 3, 128, 128), "search": (1, 3, 256, 256)},
        outputs={"output1": (1, 1, 16, 16), "output2": (1, 2, 16, 16), "output3": (1, 2, 16, 16)},
        weights={
            "zero": zeros(1, 3, 1, 1),
            "ignored1": zeros(1, 3, 1, 1),
            "ignored2": zeros(2, 3, 1, 1),
            "confidence": confidence,
            "quarter": np.full(2, 0.25, np.float32),
            "half": np.full(2, 0.5, np.float32),
        },
    )


def glow(frames: int) -> list[Image]:
    """A light with soft edges in the middle of the start box that moves 3 pixels to the right per frame."""
    y, x = np.mgrid[:240, :320]
    light = [20 + 230 * np.exp(-((x - 156 - 3 * index) ** 2 + (y - 116) ** 2) / 200) for index in range(frames)]
    return [np.repeat(image.astype(np.uint8)[..., None], 3, axis=2) for image in light]


def boxes_xywh(tracker: OpenCvTracker, images: Sequence[Image]) -> Floats:
    tracker.start(images[0], START_XYWH)
    boxes_xyxy = np.concatenate([tracker.update(image).boxes_xyxy for image in images[1:]])
    return np.concatenate((boxes_xyxy[:, :2], boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]), axis=1)


def test_nano_follows_what_its_networks_find(nano_files: tuple[Path, Path]) -> None:
    tracker = nano(backbone=str(nano_files[0]), head=str(nano_files[1]))
    boxes = boxes_xywh(tracker, glow(16))
    expected_x = START_XYWH[0, 0] + 3 * np.arange(1, 16)
    assert np.abs(boxes[:, 0] - expected_x).max() <= 14, "a cell is 8 pixels, and it lags behind"
    assert boxes[-1, 0] > START_XYWH[0, 0] + 24
    np.testing.assert_allclose(boxes[:, 1:], np.tile(START_XYWH[0, 1:], (15, 1)), atol=2)


def test_vit_puts_the_box_where_its_network_says(tmp_path: Path) -> None:
    """The search region is 4 × 32 = 128 pixels, a cell 8: cell 9, 7 is centred 12 right of its middle and 4 above."""
    tracker = vit(model=str(vit_file(tmp_path / "vit.onnx", (9, 7))))
    found = boxes_xywh(tracker, glow(4))
    np.testing.assert_array_equal(found, START_XYWH + np.outer([1, 2, 3], [12, -4, 0, 0]))


def test_scores_are_the_networks_own(tmp_path: Path, nano_files: tuple[Path, Path]) -> None:
    first, second = glow(2)
    for tracker in (
        nano(backbone=str(nano_files[0]), head=str(nano_files[1])),
        vit(model=str(vit_file(tmp_path / "vit.onnx", (8, 8)))),
    ):
        tracker.start(first, START_XYWH)
        (score,) = tracker.update(second).scores
        assert 0.5 < score < 1


def test_starting_again_forgets_the_sequence_before(nano_files: tuple[Path, Path]) -> None:
    tracker = nano(backbone=str(nano_files[0]), head=str(nano_files[1]))
    once = boxes_xywh(tracker, glow(6))
    np.testing.assert_array_equal(boxes_xywh(tracker, glow(6)), once)


def test_networks_of_another_tracker_are_refused(tmp_path: Path, nano_files: tuple[Path, Path]) -> None:
    """They load, since OpenCV asks for inputs and outputs by name only when it tracks."""
    tracker = vit(model=str(nano_files[0]))
    with pytest.raises(InputDataError, match=r"OpenCV's vit .* the ONNX files made for it"):
        boxes_xywh(tracker, glow(2))


def test_eval_takes_the_users_files_from_the_command_line(tmp_path: Path, nano_files: tuple[Path, Path]) -> None:
    clip = tmp_path / "clips" / "glow"
    (clip / "img").mkdir(parents=True)
    for index, image in enumerate(glow(4)):
        cv2.imwrite(str(clip / "img" / f"{index}.png"), image)
    (clip / "groundtruth.txt").write_text("".join(f"{140 + 3 * index},100,32,32\n" for index in range(4)))
    networks = [
        f"nano@backbone={nano_files[0]},head={nano_files[1]}",
        f"vit@model={vit_file(tmp_path / 'vit.onnx', (8, 8))}",
    ]
    options = [part for source in networks for part in ("--tracker", source)]
    command = [sys.executable, "-m", "trackcli", "eval", *options, "--root", str(clip), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr or done.stdout
    trackers = json.loads(done.stdout)["trackers"]
    assert [tracker["tracker"] for tracker in trackers] == ["nano", "vit"]
    assert all(tracker["mean_overlap"] > 0.5 for tracker in trackers)
