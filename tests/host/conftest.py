"""Fixtures of the host's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from trackcli.host.registry import installed


@pytest.fixture
def install_plugin(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., None]]:
    """Install a distribution as pip would, for the duration of a test: a module and its metadata on the path."""
    monkeypatch.syspath_prepend(tmp_path)
    installed.cache_clear()

    def install(distribution: str, source: str, *, entry_points: str = "", version: str = "1.0") -> None:
        module = f"plugin_{distribution.replace('-', '_')}"
        (tmp_path / f"{module}.py").write_text(source, encoding="utf-8")
        metadata = tmp_path / f"{distribution.replace('-', '_')}-{version}.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (metadata / "entry_points.txt").write_text(
            entry_points or f"[trackcli]\n{distribution.removeprefix('trackcli-')} = {module}\n"
        )

    yield install
    installed.cache_clear()
