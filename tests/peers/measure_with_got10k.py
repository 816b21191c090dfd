"""Runs in the peers' environment: scores result files with the real ``got10k`` package and prints its numbers as JSON.

    python measure_with_got10k.py FOLDER

``FOLDER/got10k`` holds a validation set in GOT-10k's layout, ``FOLDER/otb`` ground truths as ``<sequence>.txt``;
``FOLDER/results/GOT-10k/<tracker>`` and ``FOLDER/results/<ope>/<tracker>`` the results.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import numpy as np
from got10k.experiments import ExperimentGOT10k, ExperimentOTB, ExperimentUAV123
from got10k.utils.metrics import center_error, rect_iou


class Truths:
    """What the package's experiments need of a dataset: names, and pairs of images and boxes."""

    def __init__(self, folder: Path) -> None:
        self.paths = sorted(folder.glob("*.txt"))
        self.seq_names = [path.stem for path in self.paths]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[list[str], np.ndarray]:
        if index >= len(self.paths):
            raise IndexError(index)
        return [], np.loadtxt(self.paths[index], delimiter=",")


def measure_one_pass(kind: type, name: str, folder: Path, trackers: list[str], reports: str) -> dict:
    """The package's own report, without its constructor, which would download the dataset."""
    experiment = kind.__new__(kind)
    experiment.dataset = Truths(folder / name)
    experiment.result_dir = str(folder / "results" / name)
    experiment.report_dir = reports
    experiment.nbins_iou, experiment.nbins_ce = 21, 51
    experiment.plot_curves = lambda names: None
    return experiment.report(trackers)


def main() -> None:
    folder = Path(sys.argv[1])
    trackers = sorted(path.name for path in (folder / "results" / "GOT-10k").iterdir())
    with tempfile.TemporaryDirectory() as reports:
        got10k = ExperimentGOT10k(str(folder / "got10k"), "val", str(folder / "results"), reports)
        got10k.plot_curves = lambda files, names: None
        numbers = {
            "got10k": got10k.report(trackers),
            "otb": measure_one_pass(ExperimentOTB, "otb", folder, trackers, reports),
            "uav123": measure_one_pass(ExperimentUAV123, "uav123", folder, trackers, reports),
        }
    pairs = np.load(folder / "pairs.npz")
    numbers["pairs"] = {
        "overlaps": rect_iou(pairs["a"].copy(), pairs["b"].copy()).tolist(),
        "overlaps_in_image": rect_iou(pairs["a"].copy(), pairs["b"].copy(), bound=(320, 240)).tolist(),
        "center_errors": center_error(pairs["a"], pairs["b"]).tolist(),
    }
    (folder / "numbers.json").write_text(json.dumps(numbers))


if __name__ == "__main__":
    main()
