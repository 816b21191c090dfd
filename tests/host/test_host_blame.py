"""Unforeseen errors are attributed to the plugin whose code raised them; the command line then exits with 4."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

from trackcli import TrackerSpec
from trackcli.cli.errors import exit_code_of, report
from trackcli.errors import ShapeError, TrackcliError
from trackcli.geometry import boxes
from trackcli.host import blame
from trackcli.host.blame import plugin_behind
from trackcli.host.registry import Provided, Registry

SOURCE = """
import json

def own():
    return {}["layer9"]

def through_a_library():
    json.loads("no json")

def calls(function):
    return function()

def from_another():
    try:
        own()
    except KeyError as error:
        raise TrackcliError("the tracker failed on sequence a: KeyError: 'layer9'") from error

def out_of_memory():
    class OutOfMemoryError(RuntimeError):
        pass
    raise OutOfMemoryError("no room")
"""


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A module that a plugin's spec refers to."""
    module = ModuleType("acme_parts")
    module.__dict__["TrackcliError"] = TrackcliError
    exec(SOURCE, module.__dict__)
    spec = TrackerSpec(name="acme", summary="Acme", factory="acme_parts:make")
    registry = Registry([Provided(spec, "acme-trackers", "2.0")])

    def installed() -> Registry:
        return registry

    monkeypatch.setattr(installed, "cache_info", lambda: type("Info", (), {"currsize": 1}), raising=False)
    monkeypatch.setattr(blame, "installed", installed)
    monkeypatch.setitem(sys.modules, "acme_parts", module)
    return module


def raised_by(function: Callable[..., object], *arguments: object) -> BaseException:
    with pytest.raises(Exception) as caught:  # whatever it raises
        function(*arguments)
    return caught.value


@pytest.mark.parametrize("name", ["own", "through_a_library", "from_another"])
def test_what_a_plugins_code_raises_is_its_own(plugin: Any, name: str) -> None:
    error = raised_by(getattr(plugin, name))
    assert plugin_behind(error) == "acme-trackers 2.0"
    assert exit_code_of(error) == 4


def test_what_our_code_raises_is_ours_whoever_called_it(plugin: Any) -> None:
    error = raised_by(plugin.calls, lambda: boxes.box_iou(None, None))  # type: ignore[arg-type]
    assert plugin_behind(error) is None
    assert exit_code_of(error) == 1
    assert exit_code_of(ShapeError("x")) == 1


def test_who_runs_out_of_memory_is_not_broken(plugin: Any) -> None:
    assert plugin_behind(raised_by(plugin.out_of_memory)) is None


def test_the_line_names_the_plugin_and_what_to_do(plugin: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert report(raised_by(plugin.own), as_json=False, debug=False) == 4
    assert capsys.readouterr().err == (
        "error: acme-trackers 2.0 failed (KeyError: 'layer9'); update the plugin, or tell its authors what "
        "--debug shows\n"
    )


def test_without_plugins_nobody_is_blamed() -> None:
    assert plugin_behind(raised_by(lambda: {}["x"])) is None
