"""Presets of the built-in components, as plain data in the form of a configuration file."""

from __future__ import annotations

from typing import Any

SIAMRPN_PP: dict[str, Any] = {
    # Li et al. 2019, sections 4.1 and 4.2, on ResNet-18; the template's cells and the sizes are the paper's.
    "backbone": {"name": "resnet18", "depth": 4, "max_stride": 8},
    "matcher": {"name": "dw-xcorr"},
    "head": {"name": "rpn"},
    "crop": {"template_size": 127, "search_size": 255, "context": 0.5},
    "train": {
        "optimizer": "sgd",
        "learning_rate": 5e-3,
        "final_rate": 5e-4,
        "warmup_rate": 1e-3,
        "warmup": 0.25,
        "weight_decay": 1e-4,
        "batch": 28,
        "unfreeze": {"layer2": 0.5, "layer3": 0.5, "layer4": 0.5},
    },
}
