"""User strings are never terminal markup, lose control characters, and never make one line two."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackcli.cli.errors import one_line

BOX = "50,40,40,30"
pytestmark = pytest.mark.skipif(os.name != "posix", reason="other systems refuse such names")

HOSTILE = [
    "[red]x",
    "clip [take].mp4",
    "new\nline",
    "\x1b[31mred\x1b[0m",
    "bell\a\rback",
    "\u202egpj",
    "\udcff",
    "error: x\n",
]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize(
    "arguments",
    [
        ("track", "{}", "--init", BOX),
        ("track", "x.mp4", "--init", "{}"),
        ("eval", "--tracker", "hold", "--root", ".", "--dataset", "{}"),
        ("report", "{}"),
        ("cache", "info", "{}"),
        ("train", "--config", "{}"),
    ],
)
def test_an_error_about_a_hostile_name_is_one_plain_line(run, tmp_path: Path, name: str, arguments) -> None:
    done = run(*(each.format(name) for each in arguments), cwd=tmp_path)
    assert done.returncode in {2, 3}
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert done.stderr.endswith("\n")
    assert done.stderr[:-1].isprintable()


@pytest.mark.parametrize("name", ["[red]x.mp4", "new\nline.mp4", "\x1b[31mred.mp4", "\udcff.mp4"])
def test_a_video_with_a_hostile_name_is_tracked_and_its_outputs_named_on_one_line(
    run, clip: Path, tmp_path: Path, name: str, untrained_tracker: Path
) -> None:
    folder = tmp_path / "clip [" / "take]"
    folder.mkdir(parents=True)
    source = folder / name
    shutil.copy(clip, source)
    boxes = folder / f"{name}.csv"
    done = run("track", source, "--init", BOX, "--tracker", untrained_tracker, "--end", 2, "-v", "-o", boxes)
    assert done.returncode == 0, done.stderr
    assert len(boxes.read_text().splitlines()) == 3
    lines = done.stderr.split("\n")
    assert all(line.isprintable() for line in lines)
    assert [line.split()[0] for line in lines if line] == [lines[0].split()[0], "tracker", "tracked"]
    assert "clip [/take]/" in lines[-2], "brackets are letters, no markup"


@given(st.text(max_size=60))
def test_text_for_the_terminal_is_one_printable_line(text: str) -> None:
    assert one_line(text).isprintable()


def test_only_the_tree_of_a_dataset_stays_on_lines_of_its_own() -> None:
    tree = "  ROOT/<sequence>/img/*.jpg\nor\n  ROOT/x.json"
    assert one_line(f"--root a\nb is no folder; expected\n{tree}") == f"--root a b is no folder; expected\n{tree}"


def test_a_name_of_thousands_of_letters_is_cut() -> None:
    assert one_line("x" * 5000 + " is long") == "x" * 200 + "…" + "x" * 40 + " is long"
