"""SPM-Tracker's recipe as plain data, and the numbers that the paper reports. Torch-free."""

from __future__ import annotations

from typing import Any

SPM_TRACKER: dict[str, Any] = {
    # Wang et al. 2019, sections 3 and 4. What it leaves open is marked: "C", its public code; "S", SiamRPN and its kin.
    "backbone": {"name": "alexnet", "outputs": ["conv3", "conv5"], "padding": True},
    # "the CM stage still uses the central features without padding": 6 of 16 and 24 of 34 cells, as SiamFC has
    # without padding; 5 x 19 x 19 anchors.
    "matcher": {
        "name": "up-xcorr",
        "levels": [],  # the deepest
        "channels": 256,
        "template_cells": 6,
        "search_margin": 5,
        "scale": 1e-3,  # C
    },
    "head": {
        "name": "series-parallel",
        "coarse": {"name": "rpn", "ratios": [0.33, 0.5, 1.0, 2.0, 3.0], "scale": 8.0, "hidden": 0},  # scale: S
        "levels": [],  # the shallowest and the deepest: conv3 and conv5, "conv2" and "conv4" counted from 0
        "roi_size": 6,
        "hidden": 256,
        "proposals": 9,
        "lowest_share": 0.1,  # C
        "nms_iou": 0.5,
        "score_weight": 0.5,
        "box_weight": 3.0,  # "2 or 3"; C
        "train_rois": 48,
        "train_nms_iou": 0.75,  # C
    },
    "loss": [
        {
            "name": "series-parallel",
            "positive_iou": 0.6,
            "negative_iou": 0.3,
            "coarse_score_weight": 1.0,
            "coarse_box_weight": 2.0,
            "fine_score_weight": 1.0,
            "fine_box_weight": 1.0,
        }
    ],
    "postprocessor": [  # influence, span, rate and threshold: C; no penalty of scale
        {"name": "cosine-window", "influence": 0.5, "span": 1.0},
        {"name": "select"},
        {"name": "smooth-size", "rate": 0.5},
        {"name": "hold", "threshold": 0.2},
        {"name": "clip"},
    ],
    "crop": {"template_size": 127, "search_size": 271, "context": 0.5},
    # Same instance, same category and different category as 2 : 1 : 1; videos and stills as 4 : 1.
    "sampler": {"negative": 0.5, "same_category": 0.5, "video": 0.8},
    "train": {
        "epochs": 50,
        "pairs_per_epoch": 160_000,
        "batch": 32,  # S
        "optimizer": "sgd",
        "learning_rate": 1e-2,
        "final_rate": 1e-4,
        "schedule": "exponential",  # S; "decreased"
        "warmup": 0.0,
        "weight_decay": 1e-4,  # S
        "clip": 10.0,  # S
        "backbone_factor": 1.0,
        "unfreeze": {"stem": 0.0},  # "the entire network can be trained end-to-end"
    },
}

TABLE_1: dict[str, tuple[float, float, float]] = {
    # Without generalised training: area under the curve on OTB-100, expected average overlap on VOT-17 and VOT-16.
    "coarse": (0.643, 0.279, 0.359),
    "series": (0.632, 0.296, 0.343),
    "series-parallel": (0.670, 0.323, 0.391),
}

TABLE_2: dict[str, tuple[float, float, float]] = {
    # As table 1: without and with generalised training.
    "series-parallel": (0.670, 0.323, 0.391),
    "series-parallel, generalised": (0.687, 0.338, 0.434),
}

TABLE_3: dict[str, tuple[float | None, float | None, float | None, float]] = {
    # Area under the curve on OTB-2013, OTB-50 and OTB-100, frames per second. None: not given.
    "LCT": (0.628, 0.492, 0.568, 27),
    "Staple": (0.593, 0.516, 0.582, 80),
    "LMCF": (0.628, 0.533, 0.580, 85),
    "CFNet": (0.611, 0.530, 0.568, 75),
    "BACF": (0.656, 0.570, 0.621, 35),
    "ECO-hc": (0.652, 0.592, 0.643, 60),
    "MKCFup": (0.641, None, None, 150),
    "MCCT-H": (0.664, None, 0.642, 45),
    "SiamFC": (0.607, 0.516, 0.582, 86),
    "DSiamM": (0.656, None, None, 25),
    "RASNet": (0.670, None, 0.642, 83),
    "SiamRPN": (0.658, 0.592, 0.637, 200),
    "SA-Siam": (0.677, 0.610, 0.657, 50),
    "StructSiam": (0.637, None, 0.621, 45),
    "MemTrack": (0.642, None, 0.626, 50),
    "DaSiamRPN": (0.656, 0.602, 0.658, 160),
    "Siam-BM": (0.684, 0.617, 0.662, 48),
    "EAST": (0.638, None, 0.629, 159),
    "PTAV": (0.663, 0.581, 0.635, 25),
    "ACT": (0.657, None, 0.625, 30),
    "RT-MDNet": (None, None, 0.650, 46),
    "SPM-Tracker": (0.693, 0.653, 0.687, 120),
}

TABLE_4: dict[str, tuple[float | None, ...]] = {
    # VOT-16 accuracy, robustness (failures: lower is better), expected average overlap; VOT-17 likewise; frames per
    # second. None: not given.
    "CREST": (0.51, 0.25, 0.283, None, None, None, 1),
    "MDNet": (0.54, 0.34, 0.257, None, None, None, 1),
    "C-COT": (0.54, 0.24, 0.331, None, None, None, 0.3),
    "LSART": (None, None, None, 0.49, 0.22, 0.323, 1),
    "ECO": (0.55, 0.20, 0.375, 0.48, 0.27, 0.280, 8),
    "UPDT": (None, None, None, 0.53, 0.18, 0.378, None),
    "SiamFC": (0.53, 0.46, 0.235, 0.50, 0.59, 0.188, 86),
    "Staple": (0.54, 0.38, 0.295, 0.52, 0.69, 0.169, 80),
    "ECO-hc": (0.54, 0.30, 0.322, 0.49, 0.44, 0.238, 60),
    "SA-Siam": (0.54, None, 0.291, 0.50, 0.46, 0.236, 50),
    "Siam-BM": (None, None, None, 0.56, 0.26, 0.335, 32),
    "SiamRPN": (0.56, 0.26, 0.344, 0.49, 0.46, 0.244, 200),
    "DaSiamRPN": (0.61, 0.22, 0.411, 0.56, 0.34, 0.326, 160),
    "SPM-Tracker": (0.62, 0.21, 0.434, 0.58, 0.30, 0.338, 120),
}

FINE_LEVELS: dict[str, float] = {
    # Section 5.3, area under the curve on OTB-100, with this project's names of the convolutions.
    "conv3": 0.666,
    "conv4": 0.675,
    "conv5": 0.676,
    "conv3 + conv5": 0.687,
}

FINE_COMPARISON: dict[str, tuple[float, float]] = {
    # Section 5.3, area under the curve on OTB-100, without and with generalised training.
    "cross-correlation": (0.647, 0.655),
    "relation": (0.670, 0.687),
}

WITHOUT_EXTRA_DATA = {"OTB-100": 0.671, "VOT-16": 0.432, "VOT-17": 0.347}
"""Section 5.4: without CityPersons and WiderFace; area under the curve, and expected average overlap."""
