"""The best tracker of a run so far: the file itself says how good it is and from which step."""

from __future__ import annotations

from pathlib import Path

from trackcli.composition.files import read_header
from trackcli.errors import TrackcliError

BEST_TRACKER = "best.safetensors"
VALIDATION = "validation"
DECISIVE = "success_auc"


def best_step(path: Path) -> int | None:
    """The step that the best tracker is from; None if there is none."""
    step = _facts(path).get("steps")
    return step if isinstance(step, int) else None


def best_figure(path: Path) -> float:
    """Its figure at validation; -1 if there is none."""
    figures = _facts(path).get(VALIDATION)
    figure = figures.get(DECISIVE) if isinstance(figures, dict) else None
    return float(figure) if isinstance(figure, int | float) else -1.0


def _facts(path: Path) -> dict[str, object]:
    try:
        return dict(read_header(path).provenance) if path.is_file() else {}
    except TrackcliError:  # damaged: as good as none, the next validation writes it anew
        return {}
