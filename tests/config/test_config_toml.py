"""Configurations as TOML: what is written is read again, value for value."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackcli.config.layers import read_config_file
from trackcli.config.toml import to_toml

SCALARS = st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)
CONFIGS = st.dictionaries(st.text(), VALUES | st.lists(st.dictionaries(st.text(), VALUES, min_size=1), max_size=3))


@given(CONFIGS)
def test_any_data_is_read_as_it_was_written(data: dict[str, Any]) -> None:
    assert tomllib.loads(to_toml(data)) == data


@given(st.text(), st.text())
def test_no_comment_can_become_a_setting(name: str, comment: str) -> None:
    assert tomllib.loads(to_toml({name: 1}, {(name,): comment})) == {name: 1}


def test_settings_come_before_sections_and_items_carry_their_own_comments(tmp_path: Path) -> None:
    data = {"matcher": {"name": "a", "inner": {"x": [1, 2.5]}, "late": True}, "loss": [{"name": "b"}], "preset": "p"}
    text = to_toml(data, {("loss", "b", "name"): "head rpn", ("preset",): "two\nlines"})
    assert text == (
        'preset = "p"  # two?lines\n\n[matcher]\nname = "a"\nlate = true\n\n[matcher.inner]\nx = [1, 2.5]\n'
        '\n[[loss]]\nname = "b"  # head rpn\n'
    )
    path = tmp_path / "a.toml"
    path.write_text(text, encoding="utf-8")
    assert read_config_file(path) == data


def test_what_is_unset_is_left_out_and_foreign_objects_are_refused() -> None:
    assert to_toml({"steps": None, "a": [{"b": None, "c": 1}, 2]}) == "a = [{c = 1}, 2]\n"
    with pytest.raises(TypeError, match=r"^object cannot be written as TOML"):
        to_toml({"a": object()})
