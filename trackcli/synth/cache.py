"""The seeded synthetic crop cache: what training reads when nobody gives it data. Built once per user."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from trackcli_cache.build import BuildProgress, BuildReport, build_cache
from trackcli_cache.catalogue import open_dataset
from trackcli_cache.crops import Codec
from trackcli_cache.files import only_writer
from trackcli_cache.shard import FORMAT_VERSION

from trackcli.synth.files import remove_sequences, write_sequence
from trackcli.synth.sequences import make_sequence
from trackcli.synth.settings import SceneSettings, derive_seed

SEQUENCES = 12
SCENE = SceneSettings(frames=24, size_wh=(240, 180), seed=0)

SOURCE_NAME = "synth-v1-sequences"
CACHE_NAME = f"synth-v2-format{FORMAT_VERSION}"
"""Another number whenever ``SCENE``, what is painted or how crops are stored changes: caches of two kinds never mix."""


def synth_cache_path(folder: Path, codec: Codec = "jpeg") -> Path:
    """Where the cache is, or would be, inside the user's cache folder."""
    return folder / (CACHE_NAME if codec == "jpeg" else f"{CACHE_NAME}-{codec}")


def build_synth_cache(
    folder: Path,
    *,
    output: Path | None = None,
    codec: Codec = "jpeg",
    force: bool = False,
    on_sequence: Callable[[int, int], None] = lambda done, total: None,
    on_progress: Callable[[BuildProgress], None] | None = None,
) -> BuildReport:
    """Make the sequences and cut their crops; whatever is finished already is kept.

    Args:
        folder: The user's cache folder; keeps the sequences.
        output: The cache; inside ``folder`` by default.
        codec: How crops are kept.
        force: Make sequences and cache anew.
        on_sequence: Called after every sequence with how many are done, and of how many.
        on_progress: Called after every image that was cut.

    Raises:
        CacheError: if the folder cannot be written, or another process builds there.
    """
    source = folder / SOURCE_NAME
    with only_writer(source):
        if force:
            remove_sequences(source)
        for index in range(SEQUENCES):
            target = source / f"synth_{index:05d}"
            if not target.exists():
                write_sequence(make_sequence(_scene(index)), target, video=False)
            on_sequence(index + 1, SEQUENCES)
    return build_cache(
        open_dataset("folder", source),
        output or synth_cache_path(folder, codec),
        codec=codec,
        force=force,
        on_progress=on_progress,
    )


def _scene(index: int) -> SceneSettings:
    """Every third target leaves the image and returns."""
    return replace(SCENE, seed=derive_seed(SCENE.seed, index), leave_and_return=index % 3 == 2)
