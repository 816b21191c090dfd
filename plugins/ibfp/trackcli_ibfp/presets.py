"""IBFP's recipe as plain data, and the numbers that the paper reports. Torch-free."""

from __future__ import annotations

from typing import Any

IBFP: dict[str, Any] = {
    # Pi et al. 2021, section IV.A. What it leaves open is marked: "A" follows ATOM, "c" is a choice of ours.
    "backbone": {"name": "resnet18", "depth": 4, "max_stride": 32},
    "matcher": {"name": "ibu-pyramid", "ratio": 0.5, "template_cells": [7, 5, 3]},  # cells: c
    "head": {"name": "center", "channels": 256, "depth": 5},
    "loss": [{"name": "focal-hinge", "alpha": 0.9, "gamma": 0.1, "tau": 0.05, "positive_ratio": 0.25}],
    "postprocessor": [
        {"name": "online-update", "offline_weight": 0.3, "every": 10},
        {"name": "select"},
        {"name": "hold", "threshold": 0.25},  # A: where the target is not found, position and size stay
        {"name": "clip"},
    ],
    # A: a side of 5 sqrt(w h); for the area that the paper names, context_size = 128.8 and template_cells = [17, 9, 5].
    "crop": {"template_size": 288, "search_size": 288, "context": 0.0, "context_size": 57.6},
    # c, both: ±1.67 sides of the target and ±25 %; ATOM's are ±2.25 sides, which is shift 129.6, and e^(0.5 · normal).
    "sampler": {
        "template": {"shift": 0, "scale": 0.0},
        "search": {"shift": 96, "scale": 0.25, "blur": 0.2, "color": 0.2},
    },
    "train": {
        "epochs": 60,
        "pairs_per_epoch": 128_000,  # 1000 steps of 128
        "batch": 128,
        "optimizer": "adam",
        "learning_rate": 1e-3,  # c
        "backbone_factor": 0.1,  # c
        "warmup": 5 / 60,  # 5 epochs; shares, so that shorter runs have all of it
        "warmup_rate": 1e-4,  # c
        "schedule": "step",
        "milestones": [0.25, 0.5, 0.75],  # every 15 epochs
        "step_factor": 0.2,
        "weight_decay": 0.0,  # c
        "unfreeze": {"stem": 0.0},  # "we train the whole model end-to-end"
    },
}

IBFP_SMALL: dict[str, Any] = {
    # For machines without GPU and weights that end at layer3: one IBU from stride 16 to 8, a narrower head, crops of
    # 224 pixels that show the same, and online updating that costs less.
    **IBFP,
    "backbone": {"name": "resnet18", "depth": 3, "max_stride": 16, "norm": "folded"},
    "matcher": {"name": "ibu-pyramid", "ratio": 0.5, "template_cells": [7, 5]},
    "head": {"name": "center", "channels": 64, "depth": 5},
    "postprocessor": [
        {"name": "online-update", "fast": True, "offline_weight": 0.3, "every": 10},
        {"name": "select"},
        {"name": "hold", "threshold": 0.25},
        {"name": "clip"},
    ],
    "crop": {"template_size": 224, "search_size": 224, "context": 0.0, "context_size": 44.8},
    "sampler": {  # the same sides and shares
        "template": {"shift": 0, "scale": 0.0},
        "search": {"shift": 75, "scale": 0.25, "blur": 0.2, "color": 0.2},
    },
    "train": {
        **IBFP["train"],
        "epochs": 1,
        "pairs_per_epoch": 40_000,
        "batch": 16,
        "learning_rate": 1e-3,
        "warmup": 0.05,
        "milestones": [0.6, 0.85],
        "unfreeze": {"layer3": 0.1},
        "precision": "bf16",
    },
}

TABLE_1: dict[str, tuple[float, float]] = {
    # OTB-2015: AUC, precision at 20 pixels.
    "layer4 only": (0.652, 0.833),
    "plain fusion": (0.659, 0.844),
    "IBU": (0.674, 0.860),
    "IBU and CSCS": (0.681, 0.866),
}

TABLE_2: dict[str, tuple[float, float]] = {
    # OTB-2015: AUC, precision at 20 pixels, by which points learn the box.
    "(a) ratio 0.5": (0.673, 0.862),
    "(b) ratio 0.25": (0.681, 0.866),
    "(c) distance 24": (0.671, 0.863),
    "(d) distance 36": (0.668, 0.859),
}

TABLE_3_TRACKERS = (
    "BACF", "ECO", "GFSDCF", "VITAL", "C-RPN", "D3S",
    "SiamRPN++", "ATOM-18", "DaSiamRPN", "GlobalTrack", "DiMP-18", "IBFP",
)  # fmt: skip

TABLE_3: dict[str, tuple[float, ...]] = {
    # LaSOT: AUC by situation, in the order of TABLE_3_TRACKERS.
    "illumination variation": (0.312, 0.373, 0.436, 0.403, 0.487, 0.527, 0.530, 0.549, 0.565, 0.562, 0.564, 0.568),
    "partial occlusion": (0.222, 0.290, 0.334, 0.361, 0.432, 0.445, 0.466, 0.474, 0.483, 0.491, 0.500, 0.517),
    "deformation": (0.238, 0.279, 0.357, 0.384, 0.479, 0.525, 0.528, 0.512, 0.538, 0.531, 0.549, 0.561),
    "motion blur": (0.246, 0.305, 0.366, 0.363, 0.413, 0.463, 0.442, 0.494, 0.491, 0.497, 0.529, 0.523),
    "camera motion": (0.286, 0.358, 0.397, 0.397, 0.482, 0.505, 0.513, 0.553, 0.565, 0.543, 0.582, 0.571),
    "rotation": (0.224, 0.285, 0.345, 0.371, 0.438, 0.472, 0.485, 0.483, 0.493, 0.510, 0.522, 0.523),
    "background clutter": (0.265, 0.319, 0.342, 0.365, 0.409, 0.432, 0.449, 0.454, 0.469, 0.434, 0.468, 0.468),
    "viewpoint change": (0.254, 0.317, 0.334, 0.339, 0.405, 0.425, 0.444, 0.455, 0.477, 0.511, 0.506, 0.512),
    "scale variation": (0.255, 0.318, 0.367, 0.385, 0.452, 0.486, 0.494, 0.512, 0.514, 0.516, 0.533, 0.540),
    "full occlusion": (0.188, 0.254, 0.274, 0.301, 0.348, 0.355, 0.366, 0.427, 0.421, 0.438, 0.454, 0.442),
    "fast motion": (0.176, 0.233, 0.246, 0.265, 0.290, 0.341, 0.316, 0.414, 0.375, 0.396, 0.408, 0.398),
    "out-of-view": (0.181, 0.239, 0.295, 0.304, 0.365, 0.404, 0.416, 0.446, 0.469, 0.499, 0.487, 0.490),
    "low resolution": (0.195, 0.267, 0.299, 0.309, 0.355, 0.377, 0.385, 0.450, 0.436, 0.452, 0.470, 0.468),
    "aspect ratio change": (0.228, 0.288, 0.345, 0.358, 0.435, 0.471, 0.472, 0.497, 0.494, 0.507, 0.522, 0.531),
}

TABLE_4: dict[str, tuple[float, float | None]] = {
    # UAV123: AUC, precision at 20 pixels; None: not given.
    "ARCF": (0.47, 0.67),
    "ECO": (0.525, 0.741),
    "SiamRPN": (0.527, 0.748),
    "UPDT": (0.545, None),
    "DaSiamRPN": (0.586, 0.796),
    "SiamRPN++": (0.613, 0.807),
    "ATOM": (0.642, None),
    "DiMP-18": (0.643, None),
    "DiMP-50": (0.653, None),
    "IBFP": (0.644, 0.835),
}

TABLE_5: dict[str, tuple[float, float, float]] = {
    # GOT-10k, test: AO, SR 0.5, SR 0.75.
    "MDNet": (0.299, 0.303, 0.099),
    "ECO": (0.316, 0.309, 0.111),
    "CCOT": (0.325, 0.328, 0.107),
    "SiamFC": (0.348, 0.353, 0.098),
    "SiamFCv2": (0.374, 0.404, 0.144),
    "DaSiamRPN": (0.444, 0.536, 0.220),
    "ATOM": (0.556, 0.634, 0.402),
    "DiMP-18": (0.579, 0.672, 0.446),
    "DiMP-50": (0.611, 0.717, 0.492),
    "IBFP": (0.614, 0.716, 0.499),
}

TABLE_6: dict[str, tuple[float, float, float]] = {
    # VOT2019: EAO, accuracy, robustness (failures: lower is better). The names beside the rows were lost from the text
    # at hand; those of the challenge's own report are put back.
    "TADT": (0.207, 0.516, 0.677),
    "MemDTC": (0.228, 0.485, 0.587),
    "SA-Siam-R": (0.253, 0.559, 0.492),
    "SPM": (0.275, 0.577, 0.507),
    "ROAM++": (0.281, 0.561, 0.431),
    "ATOM": (0.292, 0.603, 0.411),
    "IBFP": (0.287, 0.609, 0.493),
}
