"""The command line inside the test's process: importing torch anew for every command would take most of the time."""

from __future__ import annotations

import signal
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from trackcli_cache.build import build_cache
from trackcli_cache.catalogue import open_dataset

from trackcli.cli.main import main
from trackcli.synth.files import write_sequence
from trackcli.synth.sequences import make_sequence
from trackcli.synth.settings import SceneSettings


@dataclass(frozen=True)
class Done:
    """What a command printed."""

    stdout: str
    stderr: str


TrainCommand = Callable[..., Done]


@pytest.fixture(scope="session")
def clip_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one annotated clip of six frames."""
    root = tmp_path_factory.mktemp("clips") / "root"
    scene = SceneSettings(frames=6, size_wh=(160, 120), seed=3, look_alikes=0, occluders=0)
    write_sequence(make_sequence(scene), root / "a", video=False)
    return root


@pytest.fixture(scope="session")
def clip_cache(clip_root: Path) -> Path:
    """Its crops."""
    build_cache(open_dataset("folder", clip_root), clip_root.parent / "cache")
    return clip_root.parent / "cache"


@pytest.fixture
def trackcli_here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> TrainCommand:
    """``trackcli_here("train", …, code=2)``: run in ``tmp_path``, expect an exit code, give what was printed."""

    def run(*words: object, code: int = 0) -> Done:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["trackcli", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = Done(*capsys.readouterr())
        assert ended.value.code == code, printed.stderr
        return printed

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRACKCLI_CACHE_DIR", str(tmp_path / "user-cache"))
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)  # `main` replaces it
    handler = signal.getsignal(signal.SIGTERM)
    yield run
    signal.signal(signal.SIGTERM, handler)


@pytest.fixture
def train(trackcli_here: TrainCommand) -> TrainCommand:
    """``train("--steps", 1, …)``: ``trackcli train --device cpu``, in ``tmp_path``."""
    return lambda *words, code=0: trackcli_here("train", "--device", "cpu", *words, code=code)
