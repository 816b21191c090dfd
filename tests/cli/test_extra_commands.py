"""Commands that plugins add: listed without importing, run like built-in ones, and never in the others' way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TRACKCLI = (sys.executable, "-m", "trackcli")

GREET = '''
import sys
import typer
from trackcli.errors import InputDataError
print("imported", file=sys.stderr)

def greet(name: str = typer.Argument("you"), loud: bool = typer.Option(False, "--loud", help="In capitals.")) -> None:
    """Greet somebody."""
    print(f"HELLO {name}" if loud else f"hello {name}")

def buggy() -> None:
    raise ZeroDivisionError("a bug of its author's")

def careful() -> None:
    raise InputDataError("file 'x' is empty; expected frames")

def refuses() -> None:
    raise typer.Exit(7)

def untypable(anything: "no such type") -> None: ...

number = 3
app = typer.Typer(help="Several things.")

@app.command()
def first() -> None:
    print("the first")

@app.command()
def second() -> None:
    print("the second")

alone = typer.Typer()

@alone.command()
def only() -> None:
    print("the only one")
'''

POINTS = """
greet = greet_commands:greet
several = greet_commands:app
alone = greet_commands:alone
buggy = greet_commands:buggy
careful = greet_commands:careful
refuses = greet_commands:refuses
untypable = greet_commands:untypable
number = greet_commands:number
missing = no_such_module_anywhere:command
nothing = greet_commands:nothing
track = greet_commands:greet
twice = greet_commands:greet
Odd_Name = greet_commands:greet
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two distributions that add commands."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "greet_commands.py").write_text(GREET)
    for name, points in (("greet-commands", POINTS), ("more-commands", "twice = greet_commands:greet")):
        metadata = folder / f"{name.replace('-', '_')}-2.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 2.0\n")
        (metadata / "entry_points.txt").write_text(f"[trackcli.commands]\n{points}")
    return folder


def run(site: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    only_these = {"TRACKCLI_LOAD_PLUGINS": "greet-commands,more-commands", "TRACKCLI_DISABLE_PLUGINS": ""}
    variables = os.environ | only_these | {"PYTHONPATH": str(site), "COLUMNS": "100"} | environment
    return subprocess.run([*TRACKCLI, *arguments], capture_output=True, text=True, check=False, env=variables)


def test_help_names_them_without_importing(site: Path) -> None:
    done = run(site, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.strip() for line in done.stdout.splitlines()]
    for name in ("greet", "several", "missing", "greet-commands:twice"):
        assert any(line.startswith(f"{name} ") and "(from greet-commands 2.0)" in line for line in lines)
    assert any(line.startswith("more-commands:twice ") for line in lines)


@pytest.mark.parametrize(
    ("arguments", "stdout"),
    [
        (("greet",), "hello you\n"),
        (("greet", "Ada", "--loud"), "HELLO Ada\n"),
        (("greet", "Ada", "--debug"), "hello Ada\n"),
        (("several", "second"), "the second\n"),
        (("several", "second", "--debug"), "the second\n"),
        (("alone",), "the only one\n"),
        (("more-commands:twice", "both"), "hello both\n"),
    ],
)
def test_a_function_and_an_application_run_like_built_in_commands(
    site: Path, arguments: tuple[str, ...], stdout: str
) -> None:
    done = run(site, *arguments)
    assert (done.returncode, done.stdout) == (0, stdout)


def test_it_may_take_empty_values(site: Path) -> None:
    done = run(site, "greet", "")
    assert (done.returncode, done.stdout) == (0, "hello \n")


def test_its_help_and_its_errors_are_its_own(site: Path) -> None:
    shown = run(site, "greet", "--help").stdout
    assert "Greet somebody." in shown
    assert "--loud" in shown
    assert "--install-completion" not in shown
    refused = run(site, "greet", "--laud")
    assert refused.returncode == 2
    assert refused.stderr.splitlines()[-1].startswith("error: No such option: --laud")


@pytest.mark.parametrize(
    ("command", "code", "line"),
    [
        ("missing", 4, "'missing' of greet-commands 2.0 cannot be loaded (ModuleNotFoundError: No module named "),
        ("nothing", 4, "'nothing' of greet-commands 2.0 cannot be loaded (AttributeError: "),
        ("number", 4, "'number' of greet-commands 2.0 leads to a int; expected a typer application or a function"),
        ("untypable", 4, "'untypable' of greet-commands 2.0 is no command that typer can run ("),
        ("buggy", 4, "'buggy' of greet-commands 2.0 failed (ZeroDivisionError: a bug of its author's); update it: "),
        ("careful", 3, "file 'x' is empty; expected frames"),
    ],
)
def test_a_broken_one_is_one_line(site: Path, command: str, code: int, line: str) -> None:
    done = run(site, command)
    assert (done.returncode, done.stdout) == (code, "")
    assert next(each for each in done.stderr.splitlines() if each != "imported").startswith("error: ")
    assert line in done.stderr
    assert "Traceback" not in done.stderr
    assert "Traceback" in run(site, command, "--debug").stderr or command == "careful"


def test_its_exit_code_is_kept(site: Path) -> None:
    assert run(site, "refuses").returncode == 7


def test_a_broken_one_does_not_break_others(site: Path) -> None:
    assert run(site, "greet").returncode == 0
    assert run(site, "presets", "list").returncode == 0


def test_a_built_in_command_cannot_be_replaced_and_the_doctor_says_so(site: Path) -> None:
    assert "Follow one or several targets" in run(site, "track", "--help").stdout
    done = run(site, "plugins", "doctor", "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 4
    assert [(each["subject"], each["reason"]) for each in report["problems"]] == [
        ("command 'missing'", "there is no module no_such_module_anywhere")
    ]
    assert report["warnings"] == [
        "command 'Odd_Name' of greet-commands 2.0 is left out: its name is not kebab-case, like 'make-report'",
        "command 'track' of greet-commands 2.0 is never run: trackcli has a command of that name; its author should "
        "rename it",
        "command 'twice' is provided by greet-commands 2.0 and more-commands 2.0; write greet-commands:twice or "
        "more-commands:twice",
    ]


def test_they_are_listed_as_a_kind_of_their_own(site: Path) -> None:
    listed = json.loads(run(site, "plugins", "list", "--kind", "command", "--json").stdout)
    assert listed["components"] == []
    rows = {row["name"]: row for row in listed["commands"]}
    assert rows["greet"] == {
        "name": "greet",
        "kind": "command",
        "distribution": "greet-commands",
        "version": "2.0",
        "status": "ok",
        "summary": "trackcli greet",
    }
    assert rows["twice"]["status"] == "ambiguous"
    assert "trackcli greet" in run(site, "plugins", "list").stdout


@pytest.mark.parametrize("leave_out", [("--no-plugins",), {"TRACKCLI_DISABLE_PLUGINS": "greet-commands,more-commands"}])
def test_plugins_that_are_left_out_add_no_commands(site: Path, leave_out: tuple[str, ...] | dict[str, str]) -> None:
    options, environment = (leave_out, {}) if isinstance(leave_out, tuple) else ((), leave_out)
    assert "greet" not in run(site, *options, "--help", **environment).stdout
    done = run(site, *options, "greet", **environment)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: No such command 'greet'.")


def test_a_misspelt_one_is_suggested(site: Path) -> None:
    assert run(site, "gret").stderr.startswith("error: No such command 'gret'. Did you mean 'greet'")


def test_the_shell_completes_their_names_without_importing(site: Path) -> None:
    asked = {"_TRACKCLI_COMPLETE": "complete_bash", "COMP_WORDS": "trackcli gre", "COMP_CWORD": "1"}
    program = Path(sys.executable).with_name("trackcli")
    variables = os.environ | {"PYTHONPATH": str(site), "TRACKCLI_LOAD_PLUGINS": "greet-commands"} | asked
    done = subprocess.run([program], capture_output=True, text=True, check=False, env=variables)
    assert (done.stdout.split(), done.stderr) == (["greet"], "")
