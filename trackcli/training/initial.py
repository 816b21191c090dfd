"""What a run starts from: weights of another tracker, weights of a backbone, or chance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trackcli.composition.foreign import LoadReport, load_foreign, read_state_dict
from trackcli.composition.model import TrackerModel
from trackcli.composition.plan import Plan
from trackcli.composition.transfer import Transfer, transfer_weights


@dataclass(frozen=True)
class InitialWeights:
    """Where weights come from.

    Attributes:
        tracker: A tracker file; what fits is taken, by component.
        tracker_name: As the user called it.
        backbone: Weights for the backbone; they win over the tracker's.
    """

    tracker: Path | None = None
    tracker_name: str = ""
    backbone: Path | None = None


@dataclass(frozen=True)
class Loaded:
    """What was loaded.

    Attributes:
        fresh: Names of the model's parameters that got no weights.
        transfer: What was taken from a tracker.
        backbone: What was taken from a backbone's file.
        provenance: For the tracker file.
    """

    fresh: frozenset[str]
    transfer: Transfer | None = None
    backbone: LoadReport | None = None
    provenance: tuple[tuple[str, str], ...] = ()

    def as_data(self) -> dict[str, Any]:
        """Every name that was loaded, adapted or missing, as plain data."""
        found: dict[str, Any] = {}
        if self.transfer is not None:
            found["tracker"] = self.transfer.as_data()
        if self.backbone is not None:
            found["backbone"] = self.backbone.as_data()
        return found


def load_initial(model: TrackerModel, planned: Plan, initial: InitialWeights, note: Callable[[str], None]) -> Loaded:
    """Fill a model with what there is, and say what fitted.

    Args:
        model: Filled in place.
        planned: What it was built from.
        initial: Where weights come from.
        note: Told what was loaded and what starts without weights.

    Raises:
        InputDataError: for a file that cannot be used.
    """
    filled: set[str] = set()
    provenance: list[tuple[str, str]] = []
    transfer = report = None
    if initial.tracker is not None:
        transfer = transfer_weights(model, planned, initial.tracker)
        filled |= transfer.loaded
        provenance.append(("init_from", initial.tracker_name or initial.tracker.name))
        for line in transfer.lines():
            note(f"from {initial.tracker_name or initial.tracker.name}: {line}")
    if initial.backbone is not None:
        report = load_foreign(model.backbone, read_state_dict(initial.backbone))
        filled |= {f"backbone.{name}" for name in report.loaded}
        provenance.append(("backbone", initial.backbone.name))
        note(f"backbone from {initial.backbone.name}: {report.summary()}")
    fresh = frozenset(name for name, _ in model.named_parameters() if name not in filled)
    if line := _about_fresh(model, fresh):
        note(line)
    return Loaded(fresh, transfer, report, tuple(provenance))


def _about_fresh(model: TrackerModel, fresh: frozenset[str]) -> str:
    """What learns though the backbone is frozen."""
    names = [name for name, _ in model.named_parameters() if name.startswith("backbone.")]
    without = sum(name in fresh for name in names)
    if not without:
        return ""
    which = (
        "the backbone starts without weights and trains"
        if without == len(names)
        else f"{without} of the backbone's parameters start without weights and train"
    )
    return f"{which} from the first step, whatever is frozen (--init-backbone gives some)"
