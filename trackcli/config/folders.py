"""Where trackcli keeps what it can make again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

CACHE_FOLDER = "TRACKCLI_CACHE_DIR"
"""Environment variable that names the user's cache folder."""


def user_cache_folder(environment: Mapping[str, str]) -> Path:
    """``$TRACKCLI_CACHE_DIR``, else ``$XDG_CACHE_HOME/trackcli``, else ``~/.cache/trackcli``.

    Like the XDG specification has it, a relative ``$XDG_CACHE_HOME`` does not count.
    """
    if given := environment.get(CACHE_FOLDER):
        return Path(given).expanduser()
    shared = Path(environment.get("XDG_CACHE_HOME", ""))
    return (shared if shared.is_absolute() else Path.home() / ".cache") / "trackcli"
