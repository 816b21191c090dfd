"""What must start at once imports nothing heavy."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "cv2", "h5py", "numpy", "av", "safetensors")


@pytest.mark.parametrize(
    "modules",
    [
        "trackcli",
        "trackcli.builtin.plugin",
        "trackcli.builtin.config, trackcli.builtin.presets",
        "trackcli.config.component, trackcli.config.layers, trackcli.config.recipe, trackcli.config.suggestions, "
        "trackcli.config.training",
        "trackcli.host.hooks, trackcli.host.specs, trackcli.host.registry, trackcli.errors",
        "trackcli.composition.plan, trackcli.composition.defaults, trackcli.contracts.shapes",
    ],
)
def test_light_modules_import_nothing_heavy(modules: str) -> None:
    program = f"import sys, {modules}; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_asking_all_plugins_for_their_components_imports_nothing_heavy() -> None:
    program = (
        "import sys; from trackcli.host.registry import installed; from trackcli.composition.defaults import complete; "
        "from trackcli.composition.plan import plan; plan(complete({}, installed()).recipe, installed()); "
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_unknown_attribute_of_the_package_is_an_attribute_error() -> None:
    import trackcli

    with pytest.raises(AttributeError, match="module 'trackcli' has no attribute 'nothing'"):
        _ = trackcli.nothing
