"""What the papers behind the plugins print as their results, to stand beside measured numbers.

Taken from the papers' own tables and text; numbers that are only drawn in a figure are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

PG_NET = "PG-Net"
SPM = "SPM-Tracker"
HARD_NEGATIVE = "Hard negative samples emphasis"
IBFP = "IBFP"


@dataclass(frozen=True)
class Published:
    """One number of a paper.

    Attributes:
        paper: Its short name.
        dataset: As on the command line where ``trackcli eval`` knows it (``otb100``), else the benchmark's name.
        measure: As in ``trackcli eval --json``: ``success_auc``, ``precision_20px``, ``mean_overlap`` (AO),
            ``success_50``, ``success_75``; otherwise the benchmark's abbreviation.
        value: As printed, shares in 0..1.
        place: Table or section.
    """

    paper: str
    dataset: str
    measure: str
    value: float
    place: str


PUBLISHED: tuple[Published, ...] = (
    # Liao et al. 2020, PG-Net: Pixel to Global Matching Network for Visual Tracking
    Published(PG_NET, "lasot", "success_auc", 0.531, "section 4.5"),
    Published(PG_NET, "vot2018", "EAO", 0.447, "table 2"),
    Published(PG_NET, "vot2018", "accuracy", 0.618, "table 2"),
    Published(PG_NET, "vot2018", "robustness", 0.192, "table 2"),
    Published(PG_NET, "vot2018-lt", "F", 0.642, "table 3"),
    # Wang et al. 2019, SPM-Tracker: Series-Parallel Matching for Real-Time Visual Object Tracking
    Published(SPM, "otb2013", "success_auc", 0.693, "table 3"),
    Published(SPM, "otb50", "success_auc", 0.653, "table 3"),
    Published(SPM, "otb100", "success_auc", 0.687, "table 3"),
    Published(SPM, "vot2016", "EAO", 0.434, "table 4"),
    Published(SPM, "vot2017", "EAO", 0.338, "table 4"),
    # Hard Negative Samples Emphasis Tracker without Anchors, 2020
    Published(HARD_NEGATIVE, "got10k", "mean_overlap", 0.569, "table 1"),
    Published(HARD_NEGATIVE, "got10k", "success_50", 0.661, "table 1"),
    Published(HARD_NEGATIVE, "got10k", "success_75", 0.439, "table 1"),
    Published(HARD_NEGATIVE, "uav123", "success_auc", 0.615, "section 4.4"),
    Published(HARD_NEGATIVE, "uav123", "precision_20px", 0.805, "section 4.4"),
    Published(HARD_NEGATIVE, "vot2016", "EAO", 0.487, "table 2"),
    Published(HARD_NEGATIVE, "vot2018", "EAO", 0.433, "table 2"),
    Published(HARD_NEGATIVE, "vot2019", "EAO", 0.303, "table 3"),
    # Pi et al. 2021, Instance-Based Feature Pyramid for Visual Object Tracking
    Published(IBFP, "otb100", "success_auc", 0.681, "table I"),
    Published(IBFP, "otb100", "precision_20px", 0.866, "table I"),
    Published(IBFP, "lasot", "success_auc", 0.543, "section IV-D"),
    Published(IBFP, "lasot", "precision_20px", 0.530, "section IV-D"),
    Published(IBFP, "uav123", "success_auc", 0.644, "table IV"),
    Published(IBFP, "uav123", "precision_20px", 0.835, "table IV"),
    Published(IBFP, "got10k", "mean_overlap", 0.614, "table V"),
    Published(IBFP, "got10k", "success_50", 0.716, "table V"),
    Published(IBFP, "got10k", "success_75", 0.499, "table V"),
    Published(IBFP, "vot2019", "EAO", 0.287, "table VI"),
)
"""By paper, then by dataset."""

PUBLISHED_SPEED = (
    (PG_NET, 42.0, "TITAN X"),
    (SPM, 120.0, "P100"),
    (HARD_NEGATIVE, 37.0, "Titan Xp"),
    (IBFP, 50.0, "TITAN X"),
)
"""Frames per second and the GPU they were measured on."""


def published_on(dataset: str) -> tuple[Published, ...]:
    """The numbers on one dataset, in the order of :data:`PUBLISHED`."""
    return tuple(number for number in PUBLISHED if number.dataset == dataset)
