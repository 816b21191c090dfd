"""One tracker whose weights are the mean of several's: of runs that went on from the same weights, say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from trackcli.composition.figures import without_figures
from trackcli.composition.files import load_tracker, save_tracker
from trackcli.errors import UsageError
from trackcli.host.registry import Registry


def write_average(sources: Sequence[Path], target: Path, registry: Registry) -> None:
    """Write a tracker file with the mean of the weights of others; everything else is the first one's.

    The mean of a tracker and of what it became by more training often tracks better than either, at the cost of one.

    Args:
        sources: Two or more tracker files.
        target: The file to write.
        registry: What is installed.

    Raises:
        UsageError: if there are fewer than two, or their weights differ in names or shapes.
        InputDataError, PluginError, UnknownNameError: as loading does.

    Source: Wortsman et al. 2022, Model soups, section 2 (the uniform soup).
    """
    if len(sources) < 2:
        raise UsageError("one tracker has no mean; expected two or more")
    model, planned, described = load_tracker(sources[0], registry)
    states = [model.state_dict(), *(load_tracker(source, registry)[0].state_dict() for source in sources[1:])]
    for source, state in zip(sources[1:], states[1:], strict=True):
        wrong = [name for name in states[0] if name not in state or state[name].shape != states[0][name].shape]
        wrong += [name for name in state if name not in states[0]]
        if wrong:
            raise UsageError(
                f"{source} and {sources[0]} have different parts: {wrong[0]} is not in both in one shape; "
                "expected trackers of one composition"
            )
    mean = {
        name: torch.stack([state[name] for state in states]).mean(dim=0) if tensor.is_floating_point() else tensor
        for name, tensor in states[0].items()
    }
    model.load_state_dict(mean)
    origins = [str(source) for source in sources]
    provenance = without_figures(described.provenance)
    save_tracker(target, model, planned, {**provenance, "averaged": origins})
