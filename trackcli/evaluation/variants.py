"""What toolkits count differently, as switches: the same result files, the numbers of each toolkit.

The facts were read in the public code of the toolkits: pysot's ``OPEBenchmark`` and ``statistics``, the ``got10k``
package's ``ExperimentGOT10k`` and ``ExperimentOTB``, pytracking's ``analysis/extract_results``. What they do alike is
no switch: all compare overlaps with ``>``, and the pixel that some add to sides and centres cancels out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from trackcli.config.suggestions import did_you_mean
from trackcli.errors import UsageError

Floats = NDArray[np.float64]


class FirstFrame(Enum):
    """What becomes of frame 0, whose box was given."""

    SKIPPED = "skipped"
    GIVEN = "overwritten with the ground truth and counted"
    KEPT = "counted as the result file says"


class EmptyAnswers(Enum):
    """What becomes of answers without width or height."""

    FAR = "infinitely far from everything"
    MEASURED = "their centre is measured like any other"
    REPEATED = "replaced by the answer before"


class Marks(Enum):
    """Which of a dataset's marks make a frame one without a target, whether it has a box or not."""

    NONE = "none: only the want of a box"
    ABSENT = "absent, for whatever reason"
    FULLY_HIDDEN = "fully hidden"


class Curve(Enum):
    """The curves whose points are shares of frames."""

    SUCCESS = "success"
    PRECISION = "precision"
    NORMALISED_PRECISION = "normalised precision"


@dataclass(frozen=True)
class Variant:
    """How frames are counted.

    Attributes:
        name: As on the command line.
        summary: One line: whose numbers these are.
        first_frame: What becomes of frame 0.
        drop_absent: Frames without a target leave the denominator; otherwise they stay in it, as misses.
        marks: Which marked frames are frames without a target, box or not.
        hits_without_box: Curves in which frames without a true box are hits: a marker of -1 passes every ``<=``.
        hits_off_corner: The same where the true centre, counted by pixels, is not right of and below the image's
            corner.
        empty_answers: What becomes of answers without area.
        overlap_steps: Steps of the success curve from 0 to 1; it has one threshold more.
        toolkit_rounding: Thresholds and intersections as numpy's simplest code has them: 3·0.05, not 0.15.
        move_into_image: Both boxes are moved into the image before they are compared.
        pooled: The mean over a dataset weighs frames equally; otherwise sequences.
    """

    name: str
    summary: str
    first_frame: FirstFrame = FirstFrame.SKIPPED
    drop_absent: bool = True
    marks: Marks = Marks.ABSENT
    hits_without_box: frozenset[Curve] = frozenset()
    hits_off_corner: bool = False
    empty_answers: EmptyAnswers = EmptyAnswers.FAR
    overlap_steps: int = 20
    toolkit_rounding: bool = False
    move_into_image: bool = False
    pooled: bool = False

    @property
    def success_thresholds(self) -> Floats:
        """0, 0.05, … 1 of overlap."""
        steps = np.arange(self.overlap_steps + 1, dtype=np.float64)
        # Divided, each threshold is the float nearest to its decimal, as an overlap of 3/20 is.
        return steps * (1 / self.overlap_steps) if self.toolkit_rounding else steps / self.overlap_steps


_CENTERS = frozenset({Curve.PRECISION, Curve.NORMALISED_PRECISION})

TRACKCLI = Variant("trackcli", "frame 0 and frames without a target do not count; each sequence weighs the same")
PYSOT = Variant(
    "pysot",
    "pysot's OPE: frame 0 counts, frames without a target stay in the denominator",
    first_frame=FirstFrame.KEPT,
    drop_absent=False,
    marks=Marks.NONE,
    hits_without_box=_CENTERS,
    hits_off_corner=True,
    empty_answers=EmptyAnswers.MEASURED,
    toolkit_rounding=True,
)
GOT10K = Variant(
    "got10k",
    "the got10k package on GOT-10k: visible frames after the first, boxes moved into the image, frames weigh the same",
    marks=Marks.FULLY_HIDDEN,
    empty_answers=EmptyAnswers.MEASURED,
    overlap_steps=100,
    toolkit_rounding=True,
    move_into_image=True,
    pooled=True,
)
OTB = Variant(
    "otb",
    "the got10k package on OTB, UAV123 and NfS: frame 0 is overwritten with the ground truth and counts",
    first_frame=FirstFrame.GIVEN,
    marks=Marks.NONE,
    empty_answers=EmptyAnswers.MEASURED,
    toolkit_rounding=True,
)
PYTRACKING = Variant(
    "pytracking",
    "pytracking: frame 0 is overwritten and counts; frames without a target count differently from dataset to dataset",
    first_frame=FirstFrame.GIVEN,
    marks=Marks.NONE,
    hits_without_box=frozenset({Curve.NORMALISED_PRECISION}),
    empty_answers=EmptyAnswers.REPEATED,
    toolkit_rounding=True,
)

VARIANTS: Mapping[str, Variant] = MappingProxyType(
    {variant.name: variant for variant in (TRACKCLI, PYSOT, GOT10K, OTB, PYTRACKING)}
)
"""By name."""

_READ_MARKS = frozenset({"lasot", "pysot-json"})
"""Layouts whose marks pysot and pytracking read: ``absent`` in pysot's list of LaSOT, ``target_visible`` of LaSOT."""

_PYTRACKING_KEEPS: Mapping[str, frozenset[Curve]] = MappingProxyType({"uav123": _CENTERS, "lasot": frozenset()})
"""Datasets in which pytracking keeps frames without a target in the denominator, and where these are hits."""


def find_variant(name: str, dataset: str) -> Variant:
    """The variant of a name, as its toolkit applies it to a dataset (its name, or ``distribution:name``).

    Raises:
        UsageError: if there is no such variant.
    """
    if name not in VARIANTS:
        raise UsageError(f"--variant {name} is unknown; {did_you_mean(name, VARIANTS)}")
    variant = VARIANTS[name]
    layout = dataset.rpartition(":")[2]
    if variant in (PYSOT, PYTRACKING) and layout in _READ_MARKS:
        variant = replace(variant, marks=Marks.ABSENT)
    if name == PYTRACKING.name and layout in _PYTRACKING_KEEPS:
        return replace(variant, drop_absent=False, hits_without_box=_PYTRACKING_KEEPS[layout])
    return variant
