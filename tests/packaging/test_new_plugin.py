"""What ``trackcli plugins new`` writes, as its author uses it: written, built, installed, tested, trained, tracked."""

from __future__ import annotations

import json

import pytest

from trackcli.scaffold.package import NEW_KINDS

TINY = ("--set", "crop.template_size=64", "--set", "crop.search_size=128", "--steps", "2", "--batch", "2")
SMALL_MATCHER = ("--set", "matcher.channels=16")
SMALL_HEAD = ("--set", "head.hidden=16")
SMALL_BACKBONE = ("--set", "backbone.depth=2")
QUIET = ("--device", "cpu", "-q")

USED = {
    "matcher": ("--matcher", "my-matcher", *SMALL_MATCHER, *SMALL_HEAD, *SMALL_BACKBONE),
    "backbone": ("--backbone", "my-backbone", "--set", "backbone.width=8", *SMALL_MATCHER, *SMALL_HEAD),
    "head": ("--head", "my-head", *SMALL_HEAD, *SMALL_MATCHER, *SMALL_BACKBONE),
    "loss": ("--loss", "rpn", "--loss", "my-loss", *SMALL_HEAD, *SMALL_MATCHER, *SMALL_BACKBONE),
    "postprocessor": ("--add-postprocessor", "my-postprocessor", *SMALL_HEAD, *SMALL_MATCHER, *SMALL_BACKBONE),
    "sampler": ("--set", "sampler.name=my-sampler", *SMALL_HEAD, *SMALL_MATCHER, *SMALL_BACKBONE),
}
"""How each kind that takes part in training is asked for."""

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


@pytest.mark.parametrize("kind", NEW_KINDS)
def test_its_own_tests_pass(kind, written, user_environment, run):
    """From the package's own folder, against what is installed."""
    command = (user_environment.python, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests")
    assert " passed" in run(*command, cwd=written[kind])


def test_nothing_is_wrong_with_any_of_them(written, user_environment, run, tmp_path):
    """The doctor would exit with 4."""
    report = json.loads(run(user_environment.trackcli, "plugins", "doctor", "--json", cwd=tmp_path))
    assert report["ok"] is True
    assert {f"trackcli-my-{kind}" for kind in written} <= {each["distribution"] for each in report["plugins"]}


@pytest.mark.parametrize("kind", USED)
def test_it_trains_and_tracks(kind, written, data, user_environment, run, tmp_path):
    """From the command line, as its README says."""
    program = user_environment.trackcli
    run(program, "train", *USED[kind], *TINY, "--data", data / "cache", "-o", "run", *QUIET, cwd=tmp_path)
    assert f'"my-{kind}"' in (tmp_path / "run" / "recipe.json").read_text()
    frames = data / "clips" / "synth_00000" / "img"
    tracked = ("track", frames, "--tracker", "run", "--init", "60,40,30,30", "-o", "boxes.csv", *QUIET)
    run(program, *tracked, cwd=tmp_path)
    assert len((tmp_path / "boxes.csv").read_text().splitlines()) == 1 + 8


def test_a_cache_is_built_from_its_dataset(written, data, user_environment, run, tmp_path):
    """The synthetic clips in the layout that the new reader reads."""
    for clip in sorted((data / "clips").glob("synth_*")):
        (tmp_path / "my-data" / clip.name).mkdir(parents=True)
        for image in (clip / "img").iterdir():
            (tmp_path / "my-data" / clip.name / image.name).symlink_to(image)
        lines = (clip / "groundtruth.txt").read_text().splitlines()
        (tmp_path / "my-data" / f"{clip.name}.csv").write_text("\n".join("" if "nan" in line else line for line in lines))
    build = ("cache", "build", "--dataset", "my-dataset", "--root", "my-data", "-o", "cache", "--json")
    report = json.loads(run(user_environment.trackcli, *build, cwd=tmp_path))
    assert report["records"] == 16
