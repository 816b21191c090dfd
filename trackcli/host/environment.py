"""What a bug report should say about the machine: versions, devices, codecs, display. Nothing personal, no paths."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from trackcli.host.guard import ForeignError, foreign_code

DISTRIBUTIONS = (
    "trackcli",
    "trackcli-cache",
    "torch",
    "numpy",
    "opencv-python",
    "av",
    "h5py",
    "simplejpeg",
    "pydantic",
    "pluggy",
    "typer",
    "safetensors",
)
"""What a bug report names the version of."""


@dataclass(frozen=True)
class Finding:
    """What was found out about one subject.

    Attributes:
        subject: One word: ``torch``, ``codecs``.
        facts: What was found, by name; plain text.
        problem: What does not work, on one line; None if all does.
        remedy: What to do about it; empty without a problem.
    """

    subject: str
    facts: Mapping[str, str]
    problem: str | None = None
    remedy: str = ""


def examine_environment() -> list[Finding]:
    """Everything but the plugins; what cannot be imported becomes a finding with a problem."""
    return [
        Finding("versions", _versions()),
        _probe("torch", _torch, "reinstall it: pip install --force-reinstall torch"),
        _probe(
            "opencv",
            _opencv,
            "install the system's libGL (Debian, Ubuntu: apt install libgl1), or replace the "
            "package: pip install --force-reinstall opencv-python-headless",
        ),
        _probe("codecs", _codecs, "reinstall it: pip install --force-reinstall av"),
        Finding("display", _display(os.environ)),
    ]


def _probe(subject: str, look: Callable[[], dict[str, str]], remedy: str) -> Finding:
    try:
        with foreign_code():
            return Finding(subject, look())
    except ForeignError as error:
        return Finding(subject, {}, problem=str(error), remedy=remedy)


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "platform": platform.platform(terse=True)}
    found["machine"] = f"{platform.machine()}, {os.cpu_count()} logical CPUs"
    for name in DISTRIBUTIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def _torch() -> dict[str, str]:
    import torch

    from trackcli.tracking.tracker import resolve_device

    found = {"version": torch.__version__, "device auto": str(resolve_device("auto"))}
    found["threads"] = str(torch.get_num_threads())
    found["built for cuda"] = str(torch.version.cuda or "no")
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        found[f"cuda:{index}"] = f"{properties.name}, {properties.total_memory / 2**30:.1f} GiB"
    found["mps"] = "yes" if torch.backends.mps.is_available() else "no"
    return found


def _opencv() -> dict[str, str]:
    import cv2

    gui = getattr(cv2, "currentUIFramework", str)()
    return {"version": cv2.__version__, "windows": gui or "no", "threads": str(cv2.getNumThreads())}


def _codecs() -> dict[str, str]:
    import av

    from trackcli.video import sinks

    encoder = sinks.h264_encoder()  # the very choice that --save-video makes
    libraries = {name: ".".join(map(str, numbers)) for name, numbers in av.library_versions.items()}
    return {"h264 encoder": encoder, "av": av.__version__, "libavcodec": libraries.get("libavcodec", "unknown")}


def _display(environment: Mapping[str, str]) -> dict[str, str]:
    if sys.platform in {"win32", "darwin"}:
        return {"screen": "the system's"}
    found = [name for name in ("WAYLAND_DISPLAY", "DISPLAY") if environment.get(name)]
    return {"screen": " and ".join(found) or "none: neither WAYLAND_DISPLAY nor DISPLAY is set"}
