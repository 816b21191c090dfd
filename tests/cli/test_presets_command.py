"""``trackcli presets``: real subprocesses."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib


def trackcli(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "trackcli", *arguments], capture_output=True, text=True, check=False)


def test_all_presets_are_listed_with_their_components() -> None:
    listed = trackcli("presets", "list")
    assert listed.returncode == 0, listed.stderr
    heading, *rows = listed.stdout.splitlines()
    assert heading.split() == ["name", "distribution", "version", "backbone", "matcher", "head", "summary"]
    assert any(row.split()[0] == "siamrpn-pp" and row.split()[3:6] == ["resnet18", "dw-xcorr", "rpn"] for row in rows)
    content = json.loads(trackcli("presets", "list", "--json").stdout)
    assert {row["name"] for row in content["presets"]} >= {"default", "siamrpn-pp"}


def test_a_preset_is_shown_as_a_config_file() -> None:
    shown = trackcli("presets", "show", "default")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith("# default: The recipe of the shipped tracker")
    assert "# trackcli train --preset default [--data CACHE] [-o RUN]\n" in shown.stdout
    recipe = tomllib.loads(shown.stdout)
    assert (recipe["complete"], recipe["matcher"]["channels"], recipe["train"]["steps"]) == (True, 128, 5000)
    content = json.loads(trackcli("presets", "show", "default", "--json").stdout)
    assert content["recipe"]["matcher"] == recipe["matcher"]
    assert content["origins"]["matcher.channels"] == "preset default"


def test_a_mistyped_preset_suggests_the_nearest_one() -> None:
    shown = trackcli("presets", "show", "defualt")
    assert (shown.returncode, shown.stderr) == (2, "error: unknown preset 'defualt'; did you mean 'default'?\n")
