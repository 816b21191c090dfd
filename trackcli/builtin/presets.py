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
        "unfreeze": {"layer2": 0.5},
    },
}

SIAMRPN_PP_RESNET50: dict[str, Any] = {
    # The paper's own backbone; all else as above. Some GiB of memory in training: ResNet-18 is for every day.
    **SIAMRPN_PP,
    "backbone": {"name": "resnet50", "depth": 4, "form": "modified"},
}

SIAMRPN: dict[str, Any] = {
    # Li et al. 2018, sections 3.2 and 4.1: AlexNet without padding, a template of 6 cells, 17 x 17 cells of response,
    # the first three convolutions fixed (layer3 is conv4). Rate, window and penalty, which it does not give, are those
    # of public re-implementations with AlexNet; the window reaches 0 at the response's border (16 of 32 cells).
    "backbone": {"name": "alexnet", "outputs": ["conv5"], "padding": False},
    "matcher": {"name": "up-xcorr"},
    "head": {"name": "rpn", "hidden": 0},
    "postprocessor": [
        {"name": "scale-penalty", "k": 0.16},
        {"name": "cosine-window", "influence": 0.4, "span": 0.5},
        {"name": "select"},
        {"name": "smooth-size", "rate": 0.3},
        {"name": "clip"},
    ],
    "crop": {"template_size": 127, "search_size": 255, "context": 0.5},
    "train": {
        "optimizer": "sgd",
        "learning_rate": 1e-2,
        "final_rate": 1e-6,
        "weight_decay": 1e-4,
        "clip": 10.0,
        "batch": 32,
        "unfreeze": {"layer3": 0.0},
    },
}

DEFAULT: dict[str, Any] = {
    # The shipped tracker: small enough to carry, layer2 and layer3 at one stride, template attention and an anchor-free
    # head, trained on stills, pasted objects and a little video. `weights/default.md` says on which data and with what
    # result.
    "backbone": {"name": "resnet18", "depth": 3, "max_stride": 8, "norm": "folded"},
    "matcher": {"name": "template-attention", "channels": 128},
    "head": {"name": "point", "channels": 128},
    "loss": [{"name": "point"}],
    "postprocessor": [
        {"name": "scale-penalty", "k": 0.06},
        {"name": "cosine-window", "influence": 0.2},
        {"name": "select"},
        {"name": "smooth-size", "rate": 1.0},
        {"name": "clip"},
    ],
    "crop": {"template_size": 128, "search_size": 288, "context": 0.5},
    "sampler": {
        "video": 0.22,
        "paste": 0.55,
        "distractors": 3,
        "negative": 0.1,
        "look_alike": 0.3,
        "part": 0.08,
        "min_size": 16,
        "person_cap": 0.15,
        "template": {"shift": 6, "scale": 0.1, "aspect": 0.05, "rotation": 5, "low_resolution": 0.3},
        "search": {
            "shift": 80,
            "scale": 0.35,
            "aspect": 0.25,
            "rotation": 20,
            "blur": 0.3,
            "low_resolution": 0.4,
            "bend": 0.08,
            "color": 0.4,
        },
    },
    "train": {
        "optimizer": "adamw",
        "learning_rate": 1e-3,
        "final_rate": 1e-5,
        "schedule": "cosine",
        "warmup": 0.02,
        "warmup_rate": 1e-4,
        "weight_decay": 1e-2,
        "clip": 5.0,
        "backbone_factor": 0.1,
        "unfreeze": {"layer3": 0.04, "layer2": 0.5},
        "ema": 0.999,
        "precision": "bf16",
        "batch": 16,
        "steps": 5000,
    },
}

FAST: dict[str, Any] = {
    # The shipped small tracker: as above with a lighter backbone, whose layer3 and layer5 are joined at stride 8, and a
    # smaller search region.
    **DEFAULT,
    "backbone": {"name": "mobilenetv2", "depth": 5, "max_stride": 8, "expand_first": True},
    "postprocessor": [
        {"name": "scale-penalty", "k": 0.12},
        {"name": "cosine-window", "influence": 0.2},
        {"name": "select"},
        {"name": "smooth-size", "rate": 0.6},
        {"name": "clip"},
    ],
    "crop": {"template_size": 128, "search_size": 256, "context": 0.5},
    "sampler": {**DEFAULT["sampler"], "search": {**DEFAULT["sampler"]["search"], "shift": 64}},
}
