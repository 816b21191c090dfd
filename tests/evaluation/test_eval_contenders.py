from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from trackcli.composition.figures import Figures, write_figures
from trackcli.composition.variants import write_variant
from trackcli.errors import TrackcliError, UsageError
from trackcli.evaluation.contenders import load_contender, load_contenders
from trackcli.host.registry import installed


def test_hold_is_a_baseline() -> None:
    (contender,) = load_contenders(["hold"])
    assert (contender.label, contender.source, contender.fingerprint) == ("hold", "hold", "hold")
    assert contender.tracker.name == "hold"


def test_a_label_names_a_tracker() -> None:
    labels = [contender.label for contender in load_contenders(["hold", "still=hold"])]
    assert labels == ["hold", "still"]


def test_two_trackers_of_one_name_are_refused() -> None:
    with pytest.raises(UsageError) as caught:
        load_contenders(["hold", "hold"])
    assert str(caught.value) == (
        "--tracker hold and --tracker hold are both called hold; expected different names; write --tracker OTHER=hold"
    )


def test_an_unknown_tracker_is_named() -> None:
    with pytest.raises(TrackcliError, match="no-such-tracker"):
        load_contenders(["no-such-tracker"])


def test_an_unknown_tracker_is_told_from_a_misspelt_baseline() -> None:
    with pytest.raises(TrackcliError, match=r"^unknown tracker 'hodl'; did you mean 'hold'\?$"):
        load_contender("hodl")


@pytest.mark.parametrize("argument", ["we ird=hold", "=hold", "mine=", "runs/one=hold"])
def test_a_label_that_cannot_be_one_says_what_it_may_hold(argument: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_contender(argument)
    assert str(caught.value) == (
        f"--tracker {argument} is neither a file nor LABEL=TRACKER; expected a label of letters, digits "
        "and . _ + - only, and a tracker behind it"
    )


def test_a_file_is_called_by_its_stem_and_a_run_folder_by_its_name(untrained_tracker: Path, tmp_path: Path) -> None:
    run = tmp_path / "my run [1]"
    run.mkdir()
    shutil.copy(untrained_tracker, run / "tracker.safetensors")
    by_file, by_folder = load_contenders([str(untrained_tracker), str(run)], device="cpu")
    assert (by_file.label, by_folder.label) == ("untrained", "my_run_1_")
    assert by_file.fingerprint == by_folder.fingerprint
    assert by_file.fingerprint.startswith("sha256:")


def test_figures_do_not_make_it_another_tracker_but_settings_do(untrained_tracker: Path, tmp_path: Path) -> None:
    measured, changed = tmp_path / "measured.safetensors", tmp_path / "changed.safetensors"
    shutil.copy(untrained_tracker, measured)
    write_figures(measured, Figures(auc=0.6, fps=30, note="here"))
    write_variant(untrained_tracker, changed, installed(), assignments=["postprocessor.scale-penalty.k=0.5"])
    files = (untrained_tracker, measured, changed)
    same, also_same, other = (each.fingerprint for each in load_contenders([str(file) for file in files], device="cpu"))
    assert same == also_same != other


def test_a_tracker_that_computes_in_bf16_is_another_one(untrained_tracker: Path) -> None:
    exact, rounded = (
        load_contender(str(untrained_tracker), device="cpu", precision=precision) for precision in ("fp32", "bf16")
    )
    assert rounded.fingerprint == f"{exact.fingerprint}@bf16"
    with pytest.raises(UsageError, match="--precision fp64 is unknown; expected fp32 or bf16"):
        load_contenders(["hold"], precision="fp64")


def test_the_tracker_file_in_a_run_folder_is_called_by_the_folder(untrained_tracker: Path, tmp_path: Path) -> None:
    path = tmp_path / "run=7" / "tracker.safetensors"
    path.parent.mkdir()
    shutil.copy(untrained_tracker, path)
    assert load_contenders([str(path)], device="cpu")[0].label == "run_7"


def test_a_label_cannot_lead_out_of_the_results_folder(untrained_tracker: Path) -> None:
    labels = [load_contenders([f"{label}={untrained_tracker}"], device="cpu")[0].label for label in ("..", "...a.")]
    assert labels == ["tracker", "a"]
