"""Another tracker with the same weights: links added, replaced or set differently."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from trackcli.composition.build import build_model
from trackcli.composition.defaults import complete_layers
from trackcli.composition.figures import without_figures
from trackcli.composition.files import load_tracker, save_tracker
from trackcli.composition.plan import plan
from trackcli.composition.record import recipe_data
from trackcli.composition.versions import VersionWarning
from trackcli.config.origins import COMPLETE, Layer
from trackcli.errors import UsageError
from trackcli.host.registry import Registry

_LINKS = ("candidate_links.", "track_links.")


def write_variant(
    source: Path,
    target: Path,
    registry: Registry,
    *,
    assignments: Sequence[str] = (),
    added: Sequence[str] = (),
    replaced: Sequence[str] = (),
    provenance: Mapping[str, Any] = MappingProxyType({}),
) -> tuple[str, ...]:
    """Write a tracker file with the weights of another and other links or settings of links and crops.

    Args:
        source: The tracker file to start from.
        target: The file to write; may be the same.
        registry: What is installed.
        assignments: ``postprocessor.hold.threshold=0.4``, ``crop.larger_search_sizes=[544]``, …
        added: Postprocessors to put at the end.
        replaced: The whole list of postprocessors instead; those of the source keep their settings.
        provenance: Facts to add to those of the source; its figures are not kept, for they are another tracker's.

    Returns:
        The names of the postprocessors, in order.

    Raises:
        UsageError: if other settings would need other weights.
        InputDataError, PluginError, UnknownNameError, ConfigError, FitError: as loading and composing do.
    """
    model, planned, described = load_tracker(source, registry)
    data = recipe_data(planned)
    if replaced:
        known = {part["name"]: part for part in data["postprocessor"]}
        data["postprocessor"] = [known.get(name, {"name": name}) for name in replaced]
    layer = Layer(str(source), {COMPLETE: True, **data})
    completed = complete_layers([layer], registry, assignments, added={"postprocessor": tuple(added)})
    changed = plan(completed.recipe, registry)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VersionWarning)  # said while loading
        variant = build_model(changed)
    weights = model.state_dict()
    for name, tensor in variant.state_dict().items():
        if name not in weights and name.startswith(_LINKS):
            weights[name] = tensor  # a new link's own constants
        elif name not in weights or weights[name].shape != tensor.shape:
            raise UsageError(
                f"with these settings {name} would have shape {tuple(tensor.shape)}, which the weights in {source} do "
                "not; expected settings of postprocessors or of crop; for others use trackcli train --init-from"
            )
    variant.load_state_dict({name: weights[name] for name in variant.state_dict()})
    save_tracker(target, variant, changed, {**without_figures(described.provenance), **provenance})
    return tuple(part.name for part in completed.recipe.postprocessor)
