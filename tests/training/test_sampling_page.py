"""What docs/sampling.md shows works as it is written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from trackcli_cache.reader import CropCache

from trackcli.config.sampling import PairsConfig

PAGE = Path(__file__).resolve().parents[2] / "docs" / "sampling.md"


def test_reading_without_torch_works_as_the_page_says(
    tiny_cache: CropCache, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (example,) = re.findall(r"```python\n(from pathlib.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    monkeypatch.chdir(tiny_cache.path.parent)
    short = example.replace('"my-cache"', repr(tiny_cache.path.name)).replace("batches(0, 1000)", "batches(0, 2)")
    assert "my-cache" not in short and "batches(0, 2)" in short
    names: dict[str, object] = {}
    exec(compile(short, str(PAGE), "exec"), names)
    assert names["batch"].search_images.shape == (32, 255, 255, 3)  # type: ignore[attr-defined]
    assert capsys.readouterr().out == ""  # the data lacks nothing that the sampler asks for


def test_the_page_tells_the_defaults_of_every_setting_of_the_sampler() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    own = set(PairsConfig.model_fields) - {"flip", "grey", "template", "search"}
    assert own <= set(rows)
    for name in own - {"max_gaps"}:
        assert float(rows[name]) == PairsConfig.model_fields[name].default, name
