"""Registries that hold what a test names and nothing else: no entry points are asked."""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace

from trackcli.builtin import plugin as builtin_plugin
from trackcli.errors import PluginError
from trackcli.host.hooks import hookimpl
from trackcli.host.registry import Registry
from trackcli.host.specs import Spec

PLUGIN_UNDER_TEST = "plugin-under-test"
"""The distribution that :func:`registry_of` says its plugins and specs come from."""

_HOOK_OF_KIND = {"loss": "trackcli_losses"}


def registry_of(*plugins: object) -> Registry:
    """The built-in components, and what the given plugins provide; nothing installed is discovered.

    Args:
        plugins: Plugin modules or objects with hook implementations, or bare specs.

    Raises:
        PluginError: if one of them is broken, saying why.

    Example:
        >>> registry_of(my_package.plugin).find(MatcherSpec, "my-matcher")
    """
    registry = Registry()
    registry.add_plugin(builtin_plugin, name="builtin", distribution="trackcli", version="0")
    for number, plugin in enumerate(plugins):
        module = _plugin_with(plugin) if isinstance(plugin, Spec) else plugin
        registry.add_plugin(module, name=f"under-test-{number}", distribution=PLUGIN_UNDER_TEST, version="0")
    if registry.broken:
        raise PluginError("; ".join(f"plugin {broken.name} is broken: {broken.reason}" for broken in registry.broken))
    return registry


def _plugin_with(spec: Spec) -> object:
    """A plugin that provides one spec."""

    @hookimpl
    def provide() -> Iterable[Spec]:
        yield spec

    return SimpleNamespace(**{_HOOK_OF_KIND.get(spec.kind, f"trackcli_{spec.kind}s"): provide})
