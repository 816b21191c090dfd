"""``trackcli plugins``, through real processes, with plugins installed beside the built-in components."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import trackcli
from trackcli.host.registry import installed

TRACKCLI = (sys.executable, "-m", "trackcli")

GOOD = """
from trackcli import MatcherSpec, hookimpl
print("a plugin that talks")

@hookimpl
def trackcli_matchers():
    for name in ("dw-xcorr", "acme-corr"):
        yield MatcherSpec(
            name=name,
            summary="Correlation [bold]by[/bold] \\x1b[31mAcme|Co",
            factory="trackcli.builtin.matchers.correlation:CrossCorrelation",
            config="trackcli.builtin.config:CrossConfig",
        )
"""


@pytest.fixture(scope="module")
def plugins(tmp_path_factory):
    """A folder with a good and a broken plugin, as pip would install them."""
    folder = tmp_path_factory.mktemp("site")
    for name, source in (("acme", GOOD), ("torn", "import no_such_package_anywhere")):
        (folder / f"{name}_trackers.py").write_text(source)
        metadata = folder / f"{name}_trackers-2.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-trackers\nVersion: 2.0\n")
        (metadata / "entry_points.txt").write_text(f"[trackcli]\n{name} = {name}_trackers\n")
    return folder


def run(*arguments, path: Path | None = None, **environment):
    """Run the program as if no other plugins were installed."""
    variables = os.environ | {"TRACKCLI_LOAD_PLUGINS": "acme,torn", "TRACKCLI_DISABLE_PLUGINS": ""} | environment
    if path is not None:
        variables["PYTHONPATH"] = str(path)
    return subprocess.run(
        [*TRACKCLI, *arguments], capture_output=True, text=True, check=False, env=variables, timeout=60
    )


def answer(*arguments, path: Path | None = None, **environment):
    return json.loads(run(*arguments, "--json", path=path, **environment).stdout)


def test_list_names_every_component_and_the_broken_plugin(plugins):
    listed = answer("plugins", "list", path=plugins)
    rows = {(row["kind"], row["name"], row["distribution"]): row for row in listed["components"]}
    assert rows["matcher", "xcorr", "trackcli"]["status"] == "ok"
    assert rows["matcher", "dw-xcorr", "acme-trackers"] == {
        "name": "dw-xcorr",
        "kind": "matcher",
        "distribution": "acme-trackers",
        "version": "2.0",
        "status": "ambiguous",
        "summary": "Correlation [bold]by[/bold] \x1b[31mAcme|Co",
    }
    assert [plugin["name"] for plugin in listed["plugins"] if plugin["status"] == "broken"] == ["torn"]


def test_list_for_a_person_is_a_table_without_control_characters(plugins):
    done = run("plugins", "list", "--kind", "matcher", path=plugins)
    assert done.returncode == 0
    assert done.stderr == "a plugin that talks\n"
    header, *rows = done.stdout.splitlines()
    assert header.split() == ["name", "kind", "distribution", "version", "status", "summary"]
    assert [row.split()[:5] for row in rows[:3]] == [
        ["acme-corr", "matcher", "acme-trackers", "2.0", "ok"],
        ["dw-xcorr", "matcher", "acme-trackers", "2.0", "ambiguous"],
        ["dw-xcorr", "matcher", "trackcli", trackcli.__version__, "ambiguous"],
    ]
    assert {row.split()[1] for row in rows} == {"matcher"}
    assert rows[0].endswith("Correlation [bold]by[/bold] [31mAcme|Co")


def test_an_unknown_kind_is_one_line_and_exit_code_2():
    done = run("plugins", "list", "--kind", "matchers")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: unknown --kind 'matchers'; did you mean 'matcher'?\n"


def test_show_explains_all_components_of_a_name():
    done = run("plugins", "show", "rpn")
    assert done.returncode == 0
    assert "head rpn: Anchor-based scores and boxes" in done.stdout
    assert "loss rpn: Cross-entropy over sampled anchors" in done.stdout
    (fits,) = {line for line in done.stdout.splitlines() if line.startswith("  fits matcher ")}
    assert {"dw-xcorr", "xcorr"} <= set(fits.replace(",", "").split())
    for line in (
        "  paper          Li et al. 2018, High Performance Visual Tracking with Siamese Region Proposal Network",
        "  predicts       anchors",
        "  settings       with --set loss.rpn.NAME=VALUE",
        "    scale (number > 0; default 8.0): Side of the square anchor in strides",
    ):
        assert line in done.stdout.splitlines()


def test_show_gives_levels_and_strides():
    (shown,) = answer("plugins", "show", "resnet18")["components"]
    assert shown["declares"]["levels"]["layer3"] == {"channels": 256, "stride": 8, "offset": 0.5}


def test_show_takes_a_distribution_before_the_name(plugins):
    shown = answer("plugins", "show", "acme-trackers:dw-xcorr", path=plugins)["components"]
    assert [about["label"] for about in shown] == ["acme-trackers:dw-xcorr"]
    both = answer("plugins", "show", "dw-xcorr", path=plugins)["components"]
    assert {about["label"] for about in both} == {"acme-trackers:dw-xcorr", "trackcli:dw-xcorr"}


def test_show_of_an_unknown_name_suggests_one_and_mentions_the_broken_plugin(plugins):
    done = run("plugins", "show", "dw-xcor", path=plugins)
    assert done.returncode == 2
    line = done.stderr.splitlines()[-1]  # plugins that happen to be installed here are mentioned after that
    assert line.startswith(
        "error: unknown component 'dw-xcor'; did you mean 'dw-xcorr'?; a plugin that may provide it failed to load: "
        "torn-trackers (ModuleNotFoundError: No module named 'no_such_package_anywhere')"
    )


def test_the_doctor_says_reason_and_remedy_and_exits_with_4(plugins):
    done = run("plugins", "doctor", path=plugins)
    assert done.returncode == 4
    clash = (
        f"matcher 'dw-xcorr' is provided by acme-trackers 2.0 and trackcli {trackcli.__version__}; "
        "write acme-trackers:dw-xcorr or trackcli:dw-xcorr"
    )
    own = sum(entry.distribution == "trackcli" for entry in installed().provided)
    assert [line for line in done.stdout.splitlines() if not line.startswith("disabled")] == [
        "found     acme-trackers 2.0: 2 components",
        f"found     trackcli {trackcli.__version__}: {own} components",
        f"warning   {clash}",
        "broken    torn-trackers 2.0: plugin 'torn': ModuleNotFoundError: No module named 'no_such_package_anywhere'",
        "          reinstall it with what it needs: pip install --force-reinstall torn-trackers; "
        "or leave it out with TRACKCLI_DISABLE_PLUGINS=torn-trackers",
    ]
    assert "Traceback" not in done.stderr
    assert "Traceback" in run("plugins", "doctor", "--debug", path=plugins).stderr


def test_the_doctors_remedy_helps(plugins):
    done = run("plugins", "doctor", "--json", path=plugins, TRACKCLI_DISABLE_PLUGINS="torn-trackers,acme")
    assert done.returncode == 0
    report = json.loads(done.stdout)
    assert report["ok"] is True
    assert report["warnings"] == []
    assert {"acme-trackers", "torn-trackers"} <= {plugin["distribution"] for plugin in report["disabled"]}


def test_a_misspelt_plugin_name_in_the_environment_is_a_warning(plugins):
    report = answer("plugins", "doctor", path=plugins, TRACKCLI_LOAD_PLUGINS="acme-tracker")
    assert report["warnings"] == ["TRACKCLI_LOAD_PLUGINS names 'acme-tracker', which is no installed plugin"]


def test_no_plugins_leaves_the_built_in_components(plugins):
    done = run("--no-plugins", "plugins", "list", "--json", path=plugins)
    assert done.stderr == ""
    listed = json.loads(done.stdout)
    assert {row["distribution"] for row in listed["components"]} == {"trackcli"}
    assert {row["status"] for row in listed["plugins"]} == {"disabled"}


def test_the_matrix_is_a_table_markdown_or_json(plugins):
    rows = run("plugins", "matrix", path=plugins).stdout.splitlines()
    names = {"acme-corr", "acme-trackers:dw-xcorr", "trackcli:dw-xcorr", "xcorr"}
    assert {row.split()[1] for row in rows[1:]} >= names
    markdown = run("plugins", "matrix", "--markdown").stdout.splitlines()
    assert markdown[1] == "|---|---|---|---|---|"
    assert "| resnet18 | dw-xcorr | rpn | yes | rpn |" in markdown
    tried = answer("plugins", "matrix")["compositions"]
    wanted = ("resnet18", "dw-xcorr", "rpn")
    (first,) = [each for each in tried if (each["backbone"], each["matcher"], each["head"]) == wanted]
    assert (first["fits"], first["reason"], first["losses"]) == (True, None, ["rpn"])
    both = run("plugins", "matrix", "--markdown", "--json")
    assert both.returncode == json.loads(both.stdout)["exit_code"] == 2


@pytest.mark.parametrize("arguments", [["list"], ["show", "dw-xcorr"], ["doctor"], ["matrix"]], ids=" ".join)
def test_plugins_imports_nothing_heavy(arguments):
    code = (
        "import sys; from trackcli.cli.main import app; sys.argv = ['trackcli']\n"
        f"app({['plugins', *arguments]!r}, standalone_mode=False)\n"
        "print(sorted({'torch', 'cv2', 'h5py'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.stderr == "[]\n"


def test_completion_offers_names_with_summaries(plugins):
    asked = {"_TRACKCLI_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": "trackcli train --matcher "}
    console_script = [sys.executable, "-c", "from trackcli.cli.main import app; app(prog_name='trackcli')"]
    variables = os.environ | asked | {"PYTHONPATH": str(plugins), "TRACKCLI_LOAD_PLUGINS": "acme"}
    done = subprocess.run(console_script, capture_output=True, text=True, check=False, env=variables, timeout=60)
    assert '"xcorr":"Plain cross-correlation' in done.stdout
    assert '"acme-corr":"Correlation [bold]by[/bold]' in done.stdout
    assert "talks" not in done.stdout


def test_completion_names_only_what_begins_like_what_was_typed():
    from trackcli.cli.completion import complete_any, complete_kind, completion_of

    assert completion_of("matcher")("dw") == [("dw-xcorr", "Depth-wise cross-correlation per level")]
    assert complete_kind("ba") == ["backbone"]
    assert {name for name, _ in complete_any("smooth")} == {"smooth-size"}
