"""What everything with a spec promises: listing it is quick, and its settings survive files and typing errors."""

from __future__ import annotations

import inspect
import json
from abc import ABC
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any, ClassVar

from pydantic import ValidationError

from trackcli.config.component import ComponentConfig
from trackcli.host.registry import Registry, installed
from trackcli.host.specs import ComponentSpec, Spec
from trackcli.testing.checks import expect, heavy_imports
from trackcli.testing.registries import registry_of


class SpecContract(ABC):
    """Which spec is under test, and that listing it is quick.

    Attributes:
        name: Its name in the registry of what is installed.
        spec: The spec itself, in place of a name.
        plugin: The plugin module that provides it; then nothing installed is looked at.
    """

    kind: ClassVar[type[Spec]]
    name: ClassVar[str] = ""
    spec: ClassVar[Spec | None] = None
    plugin: ClassVar[object | None] = None

    @property
    def registry(self) -> Registry:
        """Where it and its partners are found."""
        if self.plugin is not None:
            return registry_of(self.plugin)
        return installed() if self.spec is None else registry_of(self.spec)

    def find(self, registry: Registry) -> Any:
        """The spec."""
        expect(
            bool(self.name) or self.spec is not None,
            f"{type(self).__name__} names no {self.kind.kind}; write name = 'my-{self.kind.kind}' or spec = …Spec(…)",
        )
        return self.spec if self.spec is not None else registry.find(self.kind, self.name)

    def test_plugin_modules_import_without_torch(self) -> None:
        """Listing and checking must be quick: the configuration's module, and installed plugin modules, stay light."""
        registry = self.registry
        spec = self.find(registry)
        config = {spec.config.partition(":")[0]} if isinstance(spec, ComponentSpec) else set()
        for module in config | _plugin_modules(self.plugin, spec, registry):
            heavy = heavy_imports(module)
            expect(
                not heavy,
                f"importing {module} imports {', '.join(heavy)}; keep the plugin and its configuration in modules "
                "without them, and name factories and readers as text: 'package.module:name'",
            )


class SettingsContract(SpecContract):
    """What everything with settings promises beside.

    Attributes:
        settings: Settings to try it with: choose small ones.
    """

    kind: ClassVar[type[ComponentSpec]]
    config_base: ClassVar[type[ComponentConfig]]
    spec: ClassVar[ComponentSpec | None] = None
    settings: ClassVar[Mapping[str, Any]] = {}

    def config(self) -> ComponentConfig:
        """The checked settings."""
        config: ComponentConfig = self.find(self.registry).load_config_class()(**self.settings)
        return config

    def test_settings_round_trip(self) -> None:
        """Tracker files hold settings as JSON and must give the same configuration back."""
        config = self.config()
        text = json.dumps(config.model_dump(mode="json"))
        again = type(config)(**json.loads(text))
        expect(again == config, f"settings change on their way through a file: {config!r} became {again!r}")

    def test_unknown_settings_are_refused(self) -> None:
        """A misspelt setting must not be dropped in silence."""
        config_class = type(self.config())
        try:
            config_class(**{**self.settings, "no_such_setting": 1})
        except ValidationError:
            return
        raise AssertionError(
            f"{config_class.__name__} takes the unknown setting 'no_such_setting'; leave model_config as "
            f"{self.config_base.__name__} has it (extra='forbid')"
        )


def _plugin_modules(plugin: object | None, spec: Spec, registry: Registry) -> set[str]:
    """Names of the modules that provide a spec, as far as they are modules."""
    if inspect.ismodule(plugin):
        return {plugin.__name__}
    owner = next(entry.distribution for entry in registry.provided if entry.spec is spec)
    points = entry_points(group="trackcli")
    return {point.module for point in points if point.dist is not None and point.dist.name == owner}
