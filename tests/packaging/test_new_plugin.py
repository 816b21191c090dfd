"""What ``trackcli plugins new`` writes, as its author uses it: written, built, installed, tested, trained, tracked."""

from __future__ import annotations

import json

import pytest

from trackcli.scaffold.package import NEW_KINDS

COMPOSED = (
    *("--backbone", "my-backbone", "--matcher", "my-matcher", "--head", "my-head"),
    *("--loss", "rpn", "--loss", "my-loss", "--add-postprocessor", "my-postprocessor"),
    *("--set", "sampler.name=my-sampler"),
)
"""All that take part in training, in one tracker."""

TINY = (
    *("--set", "crop.template_size=64", "--set", "crop.search_size=128", "--set", "backbone.width=8"),
    *("--set", "matcher.channels=16", "--set", "head.hidden=16", "--steps", "2", "--batch", "2"),
)
QUIET = ("--device", "cpu", "-q")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def written(user_environment, run, build_wheel, tmp_path_factory):
    """The packages of all kinds, by kind, installed."""
    folder = tmp_path_factory.mktemp("new-plugins")
    packages = {}
    for kind in NEW_KINDS:
        run(user_environment.trackcli, "plugins", "new", f"my-{kind}", "--kind", kind, cwd=folder)
        packages[kind] = folder / f"trackcli-my-{kind}"
        user_environment.install(build_wheel(packages[kind], f"trackcli_my_{kind}", folder))
    return packages


@pytest.fixture(scope="module")
def data(user_environment, run, tmp_path_factory):
    """A folder with a clip and a cache of it."""
    folder = tmp_path_factory.mktemp("data")
    clip = ("synth", "-o", "clips", "--sequences", 2, "--frames", 8, "--size", "160x120", "-q")
    run(user_environment.trackcli, *clip, cwd=folder)
    run(user_environment.trackcli, "cache", "build", "--root", "clips", "-o", "cache", "-q", cwd=folder)
    return folder


def test_their_own_tests_pass(written, user_environment, run, tmp_path):
    """Against what is installed, not against the folders."""
    tests = [folder / "tests" for folder in written.values()]
    pytest_quietly = (user_environment.python, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert " passed" in run(*pytest_quietly, "--import-mode=importlib", *tests, cwd=tmp_path)


def test_nothing_is_wrong_with_any_of_them(written, user_environment, run, tmp_path):
    """The doctor would exit with 4."""
    report = json.loads(run(user_environment.trackcli, "plugins", "doctor", "--json", cwd=tmp_path))
    assert report["ok"] is True
    assert {f"trackcli-my-{kind}" for kind in written} <= {each["distribution"] for each in report["plugins"]}


@pytest.mark.usefixtures("written")
def test_they_train_and_track_together(data, user_environment, run, tmp_path):
    """From the command line, as their READMEs say."""
    program = user_environment.trackcli
    run(program, "train", *COMPOSED, *TINY, "--data", data / "cache", "-o", "run", *QUIET, cwd=tmp_path)
    recipe = (tmp_path / "run" / "recipe.json").read_text()
    assert [kind for kind in NEW_KINDS if f'"my-{kind}"' not in recipe] == ["dataset"]
    frames = data / "clips" / "synth_00000" / "img"
    tracked = ("track", frames, "--tracker", "run", "--init", "60,40,30,30", "-o", "boxes.csv", *QUIET)
    run(program, *tracked, cwd=tmp_path)
    assert len((tmp_path / "boxes.csv").read_text().splitlines()) == 1 + 8


@pytest.mark.usefixtures("written")
def test_a_cache_is_built_from_its_dataset(data, user_environment, run, tmp_path):
    """The synthetic clips in the layout that the new reader reads."""
    for clip in sorted((data / "clips").glob("synth_*")):
        (tmp_path / "my-data" / clip.name).mkdir(parents=True)
        for image in (clip / "img").iterdir():
            (tmp_path / "my-data" / clip.name / image.name).symlink_to(image)
        lines = (clip / "groundtruth.txt").read_text().splitlines()
        (tmp_path / "my-data" / f"{clip.name}.csv").write_text(
            "\n".join("" if "nan" in line else line for line in lines)
        )
    build = ("cache", "build", "--dataset", "my-dataset", "--root", "my-data", "-o", "cache", "-q")
    run(user_environment.trackcli, *build, cwd=tmp_path)
    shown = json.loads(run(user_environment.trackcli, "cache", "info", "cache", "--json", cwd=tmp_path))
    assert (shown["dataset"], shown["sequences"], shown["objects"]) == ("my-dataset", 2, 2 * 8)
