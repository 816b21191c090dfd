"""Whose results a folder holds, and on which data: ``tracker.json``, so that nothing is mixed."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from trackcli_cache.files import write_whole

from trackcli.errors import InputDataError

OWNER_FILE = "tracker.json"
FORMAT = 1


@dataclass(frozen=True)
class Owner:
    """Whose results, on which data.

    Attributes:
        fingerprint: Equal for equal trackers.
        root: The dataset, absolute; ``None`` if it was not said, as earlier builds did not.
    """

    fingerprint: str
    root: Path | None = None

    def objection_to(self, other: Owner) -> str | None:
        """Why another's results may not be added to these, and what to do; ``None`` if they may."""
        if self.fingerprint != other.fingerprint:
            return (
                "of another tracker of this name; expected the same weights and precision as before; choose another "
                "--output, name this one with --tracker NAME=FILE"
            )
        if self.root is not None and other.root is not None and is_other_data(self.root, other.root):
            return f"on {self.root}; expected results on {other.root}; choose another --output"
        return None


def is_other_data(earlier: Path, now: Path) -> bool:
    """Whether results on data in one place are not on that in another: unless it was moved, and the first is gone."""
    return earlier != now and os.path.exists(earlier)  # noqa: PTH110  # no error where it is not to be seen


def read_owner(folder: Path) -> Owner | None:
    """The owner of a folder of results; ``None`` if there is no note, as with those of other toolkits.

    Raises:
        InputDataError: if the note cannot be read.
    """
    path = folder / OWNER_FILE
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        root = content.get("root")
        return Owner(str(content["fingerprint"]), None if root is None else Path(root))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputDataError(
            f"{path} does not say whose results are beside it; expected what an earlier trackcli eval wrote there; "
            "remove it to take them as they are"
        ) from error


def write_owner(folder: Path, owner: Owner) -> None:
    """Leave the note."""
    root = {} if owner.root is None else {"root": str(owner.root)}
    content = {"format": FORMAT, "fingerprint": owner.fingerprint, **root}
    write_whole(folder / OWNER_FILE, (json.dumps(content) + "\n").encode())
