"""Contract tests and material for plugin authors; needs pytest.

A test file of a plugin is three lines per component::

    from trackcli.testing import MatcherContract

    class TestMyMatcher(MatcherContract):
        name = "my-matcher"

A failing test says what the component does, what was promised, and what to change. Beside the contracts there are
a registry without discovery (:func:`registry_of`), a clip (:func:`synthetic_clip`), targets in it with the contexts of
tracking (:class:`Scene`), labelled pairs (:func:`training_batch`) and tiny compositions (:func:`tiny_plan`,
:func:`build_seeded`).
"""

from __future__ import annotations

from trackcli.testing.compositions import build_losses_seeded, build_seeded, tiny_plan
from trackcli.testing.datasets import DatasetContract
from trackcli.testing.heads import HeadContract
from trackcli.testing.links import LinkContract
from trackcli.testing.losses import LossContract
from trackcli.testing.networks import BackboneContract, MatcherContract
from trackcli.testing.registries import registry_of
from trackcli.testing.samplers import SamplerContract
from trackcli.testing.scenes import Clip, Scene, synthetic_clip, training_batch

__all__ = [
    "BackboneContract",
    "Clip",
    "DatasetContract",
    "HeadContract",
    "LinkContract",
    "LossContract",
    "MatcherContract",
    "SamplerContract",
    "Scene",
    "build_losses_seeded",
    "build_seeded",
    "registry_of",
    "synthetic_clip",
    "tiny_plan",
    "training_batch",
]
