"""The paper's recipe as plain data, and the numbers that it reports. Torch-free."""

from __future__ import annotations

from typing import Any

HARD_NEGATIVE: dict[str, Any] = {
    # Zhang and Zhang 2020, sections 3.4 and 4.1. What they leave open follows SiamRPN++ and its public code: "S".
    "backbone": {"name": "resnet50", "depth": 4, "form": "modified"},  # "by the same strategy as" SiamRPN++
    "matcher": {"name": "dw-xcorr", "channels": 256, "template_cells": 7},  # 256 and 7: S
    "head": {"name": "fcos", "channels": 256, "depth": 4},
    "loss": [
        {"name": "fcos", "score_weight": 1.0, "centerness_weight": 1.0, "box_weight": 1.0},  # λ₁, λ₂, λ₃
        {"name": "hard-negative-emphasis", "weight": 0.1, "rois": 11, "margin": 2.0},  # λ₄, N, m
    ],
    "postprocessor": [
        {"name": "scale-penalty", "k": 0.05},  # S, as the next ones: its values for VOT
        {"name": "cosine-window", "influence": 0.42},
        {"name": "select"},
        {"name": "smooth-size", "rate": 0.38},
        {"name": "clip"},
    ],
    "crop": {"template_size": 127, "search_size": 255, "context": 0.5},
    "sampler": {
        "negative": 0.0,  # "pairs of cropped images that belong to the same sequences"
        "max_gap": 99,  # "less than 100 frames"
        "max_gaps": {"youtube-bb": 2},  # "less than 3 frames"
        "search": {"shift": 64, "scale": 0.18},  # "±64 pixel"; scale: S
    },
    "train": {
        "epochs": 20,
        "pairs_per_epoch": 600_000,  # S
        "batch": 28,
        "optimizer": "sgd",
        "momentum": 0.9,
        "weight_decay": 1e-4,
        "warmup": 0.25,  # 5 of 20 epochs
        "warmup_rate": 1e-3,
        "learning_rate": 5e-3,
        "final_rate": 5e-4,
        "schedule": "exponential",
        "clip": 10.0,  # S
        "backbone_factor": 0.1,  # S
        "unfreeze": {"layer2": 0.5},  # blocks 2 to 4 in the last 10 epochs
    },
}

TABLE_1: dict[str, tuple[float, float, float]] = {
    # GOT-10k: average overlap, success rate at 0.5 and at 0.75.
    "MDNet": (0.299, 0.303, 0.099),
    "ECO": (0.316, 0.309, 0.111),
    "CCOT": (0.325, 0.328, 0.107),
    "GOTURN": (0.347, 0.375, 0.124),
    "SiamFCv2": (0.348, 0.353, 0.098),
    "SPM-Tracker": (0.513, 0.593, 0.359),
    "SiamRPN++": (0.517, 0.615, 0.329),
    "ATOM": (0.556, 0.634, 0.402),
    "hard-negative": (0.569, 0.661, 0.439),
}

TABLE_2: dict[str, tuple[float | None, ...]] = {
    # VOT2016 accuracy, robustness (failures: lower is better), expected average overlap; VOT2018 likewise; frames per
    # second. None: not given.
    "ECO": (0.54, 0.20, 0.374, 0.484, 0.276, 0.280, 8),
    "SiamVGG": (0.564, None, 0.351, 0.531, 0.318, 0.286, 33),
    "SA_Siam_R": (0.54, None, 0.291, 0.566, 0.258, 0.337, 50),
    "TADT": (0.55, None, 0.299, None, None, None, 33.7),
    "C-RPN": (0.594, None, 0.363, None, None, 0.289, 36),
    "SiamDW-rpn": (None, None, 0.376, None, None, 0.294, None),
    "SiamRPN": (0.56, 0.26, 0.344, 0.49, 0.46, 0.244, 200),
    "SPM-Tracker": (0.62, 0.21, 0.434, 0.58, 0.30, 0.338, 120),
    "UPDT": (None, None, None, 0.536, 0.184, 0.378, 86),
    "DaSiamRPN": (0.61, 0.22, 0.411, 0.586, 0.276, 0.383, 160),
    "LADCF": (None, None, None, 0.503, 0.159, 0.389, None),
    "ATOM": (None, None, None, 0.590, 0.204, 0.401, 30),
    "SiamRPN++": (0.637, 0.177, 0.478, 0.600, 0.234, 0.414, 35),
    "hard-negative": (0.635, 0.158, 0.487, 0.596, 0.183, 0.433, 37),
}

TABLE_3: dict[str, tuple[float, float, float]] = {
    # VOT2019: expected average overlap, accuracy, robustness (failures: lower is better).
    "SA_Siam_R": (0.253, 0.559, 0.492),
    "SPM": (0.275, 0.577, 0.507),
    "SiamRPN++": (0.285, 0.599, 0.482),
    "SiamMask": (0.287, 0.594, 0.461),
    "hard-negative": (0.303, 0.600, 0.391),
}

TABLE_4: dict[str, tuple[float, float, float]] = {
    # GOT-10k, ablation: average overlap, success rate at 0.5 and at 0.75.
    "baseline (SiamRPN++)": (0.517, 0.615, 0.329),
    "without emphasis": (0.545, 0.638, 0.388),
    "hard-negative": (0.569, 0.661, 0.439),
}

TABLE_5: dict[int, tuple[float, float, float]] = {
    # GOT-10k, by the number of regions (``rois``): average overlap, success rate at 0.5 and at 0.75.
    5: (0.548, 0.642, 0.401),
    11: (0.569, 0.661, 0.439),
    21: (0.556, 0.648, 0.432),
    31: (0.538, 0.631, 0.385),
}

UAV123 = {"precision": 0.805, "success": 0.615}
"""Section 4.4, figure 6."""
