"""``trackcli report`` on results that ``trackcli eval`` wrote and on a run that ``trackcli train`` wrote."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest


def trackcli(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "trackcli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("clips")
    for name, step in (("still", 0), ("moves <b>".replace("<b>", "&b"), 4)):
        (root / name / "img").mkdir(parents=True)
        for index in range(4):
            picture = np.random.default_rng(index).integers(0, 255, (64, 80, 3), dtype=np.uint8)
            cv2.imwrite(str(root / name / "img" / f"{index:04d}.jpg"), picture)
        boxes = "".join(f"{20 + index * step},20,16,12\n" for index in range(4))
        (root / name / "groundtruth.txt").write_text(boxes)
    return root


@pytest.fixture(scope="module")
def kept(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("kept") / "results"
    done = trackcli("eval", "--tracker", "hold", "--tracker", "again=hold", "--root", root, "-o", output, "-q")
    assert done.returncode == 0, done.stderr
    return output


@pytest.fixture
def results(kept: Path, tmp_path: Path) -> Path:
    import shutil

    return Path(shutil.copytree(kept, tmp_path / "results"))


def test_results_become_a_page_beside_them(results: Path) -> None:
    done = trackcli("report", results)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert done.stderr == f"report: {results / 'report.html'}\n"
    page = (results / "report.html").read_text()
    assert "moves &amp;b" in page
    assert "data:image/jpeg;base64," in page
    assert trackcli("report", results, "-q").stderr == ""  # a report may be replaced by a newer one


def test_json_is_one_object_with_the_figures_of_eval(results: Path, root: Path) -> None:
    done = trackcli("report", results, "--json")
    assert done.returncode == 0, done.stderr
    content = json.loads(done.stdout)
    assert content["page"] == str(results / "report.html")
    (evaluation,) = content["evaluations"]
    assert (evaluation["dataset"], evaluation["root"], evaluation["variant"]) == ("folder", str(root), "trackcli")
    evaluated = json.loads(trackcli("eval", "--tracker", "hold", "--root", root, "--json").stdout)["trackers"][0]
    reported = next(tracker for tracker in evaluation["trackers"] if tracker["tracker"] == "hold")
    assert reported["success_auc"] == evaluated["success_auc"]
    assert reported["intervals"] == evaluated["intervals"]


def test_tables_go_to_stdout_and_plots_to_a_folder(results: Path, tmp_path: Path) -> None:
    done = trackcli("report", results, "--table", "md", "--plots", tmp_path / "plots", "-o", tmp_path / "page.html")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("| tracker |")
    assert (tmp_path / "plots" / "success.pdf").is_file()
    assert (tmp_path / "page.html").is_file()
    assert not (results / "report.html").exists()


def test_a_variant_counts_as_another_toolkit(results: Path) -> None:
    own, pysot = (
        json.loads(trackcli("report", results, "--json", *more).stdout)["evaluations"][0]["trackers"][0]["success_auc"]
        for more in ((), ("--variant", "pysot"))
    )
    assert pysot > own  # frame 0 counts, and its box was given


def test_other_files_are_not_overwritten(results: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.html"
    mine.write_text("mine")
    done = trackcli("report", results, "-o", mine)
    assert (done.returncode, mine.read_text()) == (2, "mine")
    assert done.stderr == (
        f"error: output '{mine}' exists and is no report; choose another name, or add --force to overwrite it\n"
    )
    assert trackcli("report", results, "-o", mine, "--force", "-q").returncode == 0


def test_a_run_becomes_a_page_and_png_curves(tmp_path: Path) -> None:
    lines = [{"step": step, "rate": 0.1, "loss": 1 / step, "waiting": 0.01} for step in (1, 2, 3)]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = trackcli("report", tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    content = json.loads(done.stdout)
    assert (content["steps"], content["terms"]) == (3, {"loss": 1 / 3})
    plots = tmp_path / "plots"
    assert content["plots"] == [str(plots / f"{name}.png") for name in ("loss", "rate", "waiting")]
    assert all(Path(path).is_file() for path in content["plots"])
    assert (tmp_path / "report.html").is_file()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("nowhere",), 3, "nowhere is not a folder; expected what trackcli eval -o wrote"),
        ((".",), 3, "holds neither results that trackcli eval -o wrote"),
        ((".", "--table", "docx"), 2, "--table docx is unknown; expected one of: md, tex"),
    ],
)
def test_what_cannot_be_reported_is_one_line(
    arguments: tuple[str, ...], code: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = trackcli("report", *arguments)
    assert done.returncode == code
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_options_for_results_are_refused_for_a_run(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "loss": 1.0}\n')
    done = trackcli("report", tmp_path, "--table", "md")
    assert done.returncode == 2
    assert "--table md is for results of trackcli eval, but this is a training run" in done.stderr
