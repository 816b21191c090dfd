"""PG-Net's recipe as plain data, and the numbers that the paper reports. Torch-free."""

from __future__ import annotations

from typing import Any

STEPS = 430_000
BATCH = 28
EPOCHS = 20

PG_NET: dict[str, Any] = {
    # Liao et al. 2020, sections 3 and 4.1. What it leaves open follows SiamRPN++ and its public code: marked "S".
    "backbone": {"name": "resnet50", "depth": 4, "form": "modified"},  # "according to SiamRPN++"
    "matcher": {"name": "pg-corr", "channels": 256, "template_cells": 7, "shared": True},  # 256: S
    "head": {"name": "rpn", "ratios": [0.33, 0.5, 1.0, 2.0, 3.0], "scale": 8.0, "hidden": 256},  # S
    "loss": [{"name": "multi-loss", "each": {"name": "rpn", "box_weight": 1.2}}],
    "postprocessor": [
        {"name": "scale-penalty", "k": 0.05},  # S, as the next ones: its values for VOT
        {"name": "cosine-window", "influence": 0.42, "span": 0.94},  # S; from border to border of 31 cells
        {"name": "select"},
        {"name": "smooth-size", "rate": 0.38},
        {"name": "clip"},
    ],
    "crop": {"template_size": 127, "search_size": 255, "context": 0.5},
    "sampler": {"negative": 0.1},
    "train": {
        "epochs": EPOCHS,  # 20 epochs of 602 000 pairs are the paper's 430 000 steps of 28
        "pairs_per_epoch": STEPS * BATCH // EPOCHS,
        "batch": BATCH,
        "optimizer": "sgd",  # S, with its momentum 0.9
        "warmup": 110 / 430,
        "warmup_rate": 1e-3,
        "learning_rate": 5e-3,
        "final_rate": 5e-4,
        "schedule": "exponential",  # S; the paper says "decay"
        "weight_decay": 1e-4,  # S
        "clip": 10.0,  # S
        "backbone_factor": 0.1,  # S
        "unfreeze": {"stem": 0.5},  # "for the last 215 000 iterations, the whole network is trained end-to-end"
    },
}

PG_NET_LONG_TERM: dict[str, Any] = {
    # The paper reports VOT2018-LT without saying how; rule and values are SiamRPN++'s for long-term tracking.
    **PG_NET,
    "postprocessor": [
        {"name": "scale-penalty", "k": 0.05},
        {"name": "cosine-window", "influence": 0.28, "span": 0.94, "largest_search": 255},
        {"name": "select"},
        {"name": "smooth-size", "rate": 0.22},
        {"name": "clip"},
        {"name": "long-term", "lost_below": 0.8, "found_above": 0.998},
    ],
    "crop": {**PG_NET["crop"], "larger_search_sizes": [831]},
}

TABLE_1: dict[str, dict[str, float | None]] = {
    # Expected average overlap on VOT2018, by what was trained and which stage tracks; None: not given.
    "DW-Corr": {"stage 2": None, "stage 3": None, "stage 4": None, "output": 0.408},
    "PG-Net": {"stage 2": 0.146, "stage 3": 0.264, "stage 4": 0.029, "output": 0.427},
    "PG-Net-mult-loss": {"stage 2": 0.299, "stage 3": 0.344, "stage 4": 0.313, "output": 0.447},
}

TABLE_2: dict[str, tuple[float, float, float]] = {
    # VOT2018: expected average overlap, accuracy, robustness (failures: lower is better).
    "DaSiam": (0.326, 0.569, 0.337),
    "UPDT": (0.378, 0.536, 0.184),
    "SiamRPN": (0.383, 0.586, 0.276),
    "MFT": (0.385, 0.505, 0.140),
    "LADCF": (0.389, 0.503, 0.159),
    "CFS-DCF": (0.397, 0.511, 0.143),
    "ATOM": (0.401, 0.590, 0.204),
    "SiamRPN++": (0.414, 0.600, 0.234),
    "PG-Net": (0.447, 0.618, 0.192),
}

TABLE_3: dict[str, tuple[float, float, float]] = {
    # VOT2018-LT: F-score, precision, recall.
    "SiamVGG": (0.459, 0.552, 0.393),
    "FuCoLoT": (0.480, 0.538, 0.432),
    "PTAVplus": (0.481, 0.595, 0.404),
    "LTSINT": (0.536, 0.566, 0.510),
    "MMLT": (0.546, 0.574, 0.521),
    "DaSiam": (0.607, 0.627, 0.588),
    "MBMD": (0.610, 0.634, 0.588),
    "SPLT": (0.616, 0.633, 0.600),
    "SiamRPN++": (0.629, 0.649, 0.610),
    "PG-Net": (0.642, 0.679, 0.610),
}
