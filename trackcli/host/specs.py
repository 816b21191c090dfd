"""Component specs: what a plugin says about a component before anything heavy is imported.

``factory`` and ``config`` are lazy references, ``"package.module:name"``. The configuration class lives in a module
that does not import torch; it declares levels, channels, strides and kinds of predictions
(``trackcli.config.component``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, ClassVar

from trackcli.errors import PluginError
from trackcli.host.guard import ForeignError, foreign_code

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_REFERENCE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


@dataclass(frozen=True)
class Spec:
    """What all specs share.

    Attributes:
        name: Kebab-case name that users type.
        summary: One line for listings.
    """

    kind: ClassVar[str]
    name: str
    summary: str

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise PluginError(f"{self.kind} name {self.name!r} is not kebab-case; expected letters like 'dw-xcorr'")
        if not isinstance(self.summary, str) or len(self.summary.splitlines()) != 1:
            raise PluginError(f"{self.kind} {self.name!r} has summary {self.summary!r}; expected one line of text")


@dataclass(frozen=True)
class ComponentSpec(Spec):
    """A component that is built from a configuration.

    Attributes:
        config_base: The class that its configuration derives from.
        config_module: The module that has this class.
        factory: Lazy reference to the class.
        config: Lazy reference to the pydantic configuration class (torch-free module).
        paper: Where it comes from, if from a paper.
        home_preset: The preset that supplies what the user does not name.
    """

    config_base: ClassVar[str] = "ComponentConfig"
    config_module: ClassVar[str] = "trackcli.config.component"
    factory: str
    config: str
    paper: str | None = None
    home_preset: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for reference in (self.factory, self.config):
            if not is_reference(reference):
                raise PluginError(f"{self.kind} {self.name!r} refers to {reference!r}; expected 'package.module:name'")

    def load_config_class(self) -> Any:
        """Import and return the configuration class.

        Raises:
            PluginError: if it cannot be imported, or is no configuration of this kind.
        """
        expected = getattr(import_module(self.config_module), self.config_base)
        found = load_reference(self.config)
        if not (isinstance(found, type) and issubclass(found, expected)):
            raise PluginError(
                f"{self.kind} {self.name!r} has the configuration {self.config}, which is no {self.config_base}; "
                "the plugin that provides it is broken"
            )
        return found

    def load_factory(self) -> Any:
        """Import and return the component class.

        Raises:
            PluginError: if it cannot be imported.
        """
        return load_reference(self.factory)


@dataclass(frozen=True)
class BackboneSpec(ComponentSpec):
    """A backbone; its configuration derives from ``BackboneConfig``."""

    kind: ClassVar[str] = "backbone"
    config_base: ClassVar[str] = "BackboneConfig"


@dataclass(frozen=True)
class MatcherSpec(ComponentSpec):
    """A matcher; its configuration derives from ``MatcherConfig``."""

    kind: ClassVar[str] = "matcher"
    config_base: ClassVar[str] = "MatcherConfig"


@dataclass(frozen=True)
class HeadSpec(ComponentSpec):
    """A head; its configuration derives from ``HeadConfig``.

    Attributes:
        default_losses: Loss names that train this head when the user names none.
        default_postprocessors: Postprocessor names in order, when the user names none.
    """

    kind: ClassVar[str] = "head"
    config_base: ClassVar[str] = "HeadConfig"
    default_losses: tuple[str, ...] = ()
    default_postprocessors: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        for field_name in ("default_losses", "default_postprocessors"):
            given = getattr(self, field_name)
            if not isinstance(given, tuple) or not all(isinstance(name, str) for name in given):
                raise PluginError(
                    f"head {self.name!r} has {field_name}={given!r}; expected a tuple of names such as ('rpn',)"
                )


@dataclass(frozen=True)
class LossSpec(ComponentSpec):
    """A loss; its configuration derives from ``LossConfig``."""

    kind: ClassVar[str] = "loss"
    config_base: ClassVar[str] = "LossConfig"


@dataclass(frozen=True)
class PostprocessorSpec(ComponentSpec):
    """A candidate link, a selection or a track link; its configuration derives from ``PostprocessorConfig``.

    Attributes:
        stage: ``candidates``, ``select`` or ``track``: where in the chain it acts.
    """

    kind: ClassVar[str] = "postprocessor"
    config_base: ClassVar[str] = "PostprocessorConfig"
    stage: str = "candidates"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.stage not in {"candidates", "select", "track"}:
            raise PluginError(
                f"postprocessor {self.name!r} has stage {self.stage!r}; expected candidates, select or track"
            )


@dataclass(frozen=True)
class SamplerSpec(ComponentSpec):
    """A sampler, which draws the pairs of a training; its configuration derives from ``SamplerConfig``."""

    kind: ClassVar[str] = "sampler"
    config_base: ClassVar[str] = "SamplerConfig"
    config_module: ClassVar[str] = "trackcli.config.sampling"


@dataclass(frozen=True)
class PresetSpec(Spec):
    """A recipe without weights.

    Attributes:
        recipe: The recipe as nested plain data, in the form of a configuration file.
        paper: Where it comes from, if from a paper.
    """

    kind: ClassVar[str] = "preset"
    recipe: Mapping[str, Any] = field(default_factory=dict)
    paper: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.recipe, Mapping):
            raise PluginError(
                f"preset {self.name!r} has a {type(self.recipe).__name__} for its recipe; "
                "expected a mapping in the form of a configuration file"
            )


@dataclass(frozen=True)
class TrackerSpec(Spec):
    """A tracker with weights that ships in a package, or a foreign tracker: anything that follows targets.

    Attributes:
        package: The package that holds the file.
        file: File name of the tracker, ``*.safetensors``.
        card: File name of its model card.
        factory: Instead of a file: lazy reference to what makes a foreign tracker, with ``name``, ``start`` and
            ``update`` as in :class:`trackcli.evaluation.runner.Tracker`. Gets the values of ``options`` as keywords.
        options: Names of what the user must give to the factory: ``--tracker NAME@OPTION=VALUE,OPTION=VALUE``.
    """

    kind: ClassVar[str] = "tracker"
    package: str = ""
    file: str = ""
    card: str = ""
    factory: str = ""
    options: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.factory and not (self.package and self.file):
            raise PluginError(f"tracker {self.name!r} has neither a factory nor package and file; expected one of both")
        if self.factory and not is_reference(self.factory):
            raise PluginError(f"tracker {self.name!r} refers to {self.factory!r}; expected 'package.module:name'")
        if not isinstance(self.options, tuple) or not all(isinstance(option, str) for option in self.options):
            raise PluginError(f"tracker {self.name!r} has options={self.options!r}; expected a tuple of names")


def is_reference(value: object) -> bool:
    """Whether a value is written like a lazy reference, ``"package.module:name"``."""
    return isinstance(value, str) and _REFERENCE.fullmatch(value) is not None


def load_reference(reference: str) -> Any:
    """Import what a lazy reference names.

    Raises:
        PluginError: if that fails.
    """
    module, _, name = reference.partition(":")
    try:
        with foreign_code():
            return getattr(import_module(module), name)
    except ForeignError as error:
        raise PluginError(
            f"cannot load {reference} ({error}); the plugin that provides it is broken or incomplete"
        ) from error
