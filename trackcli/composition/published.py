"""ImageNet weights from torchvision's official address, fetched once and checked."""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from trackcli.composition.plan import Plan
from trackcli.errors import InputDataError, UsageError

IMAGENET = "imagenet"
"""What ``--init-backbone`` calls these weights."""

ADDRESS = "https://download.pytorch.org/models/"

FILES = {
    "resnet18": "resnet18-f37072fd.pth",
    "resnet50": "resnet50-0676ba61.pth",
    "mobilenetv2": "mobilenet_v2-b0353104.pth",
}
"""Backbone → file: ``IMAGENET1K_V1`` of each. The digits are the beginning of the file's SHA-256."""

TIMEOUT_S = 30
LARGEST_BYTES = 1 << 30
_CHUNK = 1 << 20


def published_weights(
    planned: Plan, folder: Path, *, address: str = ADDRESS, note: Callable[[str], None] = lambda text: None
) -> Path:
    """The file of ImageNet weights for a plan's backbone; fetched if it is not in the folder yet.

    Args:
        planned: Whose backbone.
        folder: Where files are kept.
        address: Where they come from.
        note: Told before something is fetched.

    Raises:
        UsageError: if there are none for this backbone.
        InputDataError: if they cannot be fetched, or are not what the name promises.
    """
    name = planned.backbone.spec.name
    if name not in FILES:
        raise UsageError(
            f"--init-backbone {IMAGENET}: no published weights are known for backbone {name!r}, only for "
            f"{', '.join(FILES)}; give a file instead"
        )
    if getattr(planned.backbone.config, "layout", "torchvision") != "torchvision":
        raise UsageError(
            f"--init-backbone {IMAGENET}: these weights have torchvision's layout, but backbone.layout is "
            f"{planned.backbone.config.layout!r}; use --set backbone.layout=torchvision, or give a file"  # type: ignore[attr-defined]
        )
    return fetch(FILES[name], folder, address=address, note=note)


def fetch(file_name: str, folder: Path, *, address: str = ADDRESS, note: Callable[[str], None]) -> Path:
    """A file whose name ends in the first digits of its SHA-256, from the folder or else from the address.

    Raises:
        InputDataError: if it cannot be fetched, or its digest is another.
    """
    path = folder / file_name
    expected = _digits(file_name)
    if path.is_file() and _digest(path).startswith(expected):
        return path
    note(f"fetching {address}{file_name}")
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".{file_name}.{os.getpid()}.part"
    try:
        found = _download(f"{address}{file_name}", partial)
        if not found.startswith(expected):
            raise InputDataError(
                f"{address}{file_name} has SHA-256 {found[:16]}…, expected {expected}…; the download is damaged or "
                "not the official file: try again, or give a file you trust"
            )
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def _download(url: str, target: Path) -> str:
    """Write what the address gives; its SHA-256."""
    digest, size = hashlib.sha256(), 0
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as response, target.open("wb") as file:
            while chunk := response.read(_CHUNK):
                size += len(chunk)
                if size > LARGEST_BYTES:
                    raise InputDataError(f"{url} gives more than {LARGEST_BYTES >> 20} MiB; expected weights")
                digest.update(chunk)
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", None) or str(error) or type(error).__name__
        raise InputDataError(
            f"{url} cannot be reached ({reason}); fetch it on another machine and give the file: "
            f"--init-backbone {target.name.removeprefix('.').rpartition('.')[0].rpartition('.')[0]}"
        ) from error
    return digest.hexdigest()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digits(file_name: str) -> str:
    found = re.search(r"-([0-9a-f]{8,64})\.", file_name)
    assert found is not None, file_name
    return found[1]
