"""Where settings come from: layers that know their origin, laid over one another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from trackcli.config.layers import LISTS, merge
from trackcli.config.sampling import DEFAULT_SAMPLER, SamplerConfig

COMPLETE = "complete"
"""``complete = true`` in a configuration file: it is a whole recipe, nothing below it counts."""

COMPONENTS = "components"
"""Section of a whole recipe: ``kind:name`` → ``distribution version`` of those that wrote it."""

DEFAULT_ORIGIN = "default"
SINGLE_PARTS = ("backbone", "matcher", "head", "sampler")

Key = tuple[str, ...]
"""Where a setting is: ``("matcher", "channels")``, ``("loss", "rpn", "weight")``; items of lists go by name."""


@dataclass(frozen=True)
class Layer:
    """Part of a recipe and who said so.

    Attributes:
        origin: For a person: ``preset siamrpn-pp``, ``--config mine.toml``, ``--matcher dw-xcorr``.
        data: Nested plain data in the form of a configuration file.
    """

    origin: str
    data: Mapping[str, Any]

    def has(self, key: Key) -> bool:
        """Whether this layer says anything about a setting."""
        return _has(self.data, key)


def stacked(layers: Iterable[Layer]) -> list[Layer]:
    """The layers, lowest first, without what a higher one replaces.

    Naming another component drops what lower layers set for the one they named; another head also drops the losses and
    postprocessors that were listed beside the old one, another sampler leaves the augmentation as it was. A complete
    layer drops everything below it.
    """
    stack: list[Layer] = []
    for upper in layers:
        lower = [] if upper.data.get(COMPLETE) is True else [_without_replaced(each, upper.data) for each in stack]
        stack = [*lower, Layer(upper.origin, {key: value for key, value in upper.data.items() if key != COMPLETE})]
    return stack


def merged(stack: Sequence[Layer]) -> dict[str, Any]:
    """What a stack of layers says in the end."""
    return reduce(merge, (layer.data for layer in stack), {})


def origin_in(stack: Sequence[Layer], key: Key) -> str:
    """The origin of the highest layer that sets ``key``; ``default`` if none does."""
    return next((layer.origin for layer in reversed(stack) if layer.has(key)), DEFAULT_ORIGIN)


def leaves(data: Mapping[str, Any], above: Key = ()) -> Iterator[Key]:
    """The keys of all settings; items of the lists of components go by name, other lists are one setting."""
    for name, value in data.items():
        key = (*above, str(name))
        if isinstance(value, Mapping):
            yield from leaves(value, key)
        elif key in {(kind,) for kind in LISTS} and isinstance(value, list | tuple):
            for item in value:
                yield from leaves(item, (*key, str(item["name"])))
        else:
            yield key


def _without_replaced(layer: Layer, upper: Mapping[str, Any]) -> Layer:
    dropped = {kind for kind in LISTS if kind in upper}
    kept: dict[str, Any] = {}
    for kind in SINGLE_PARTS:
        usual = DEFAULT_SAMPLER if kind == "sampler" and kind in layer.data else None
        own, other = layer.data.get(kind, {}).get("name", usual), upper.get(kind, {}).get("name")
        if own is not None and other is not None and own != other:
            dropped |= {kind, *LISTS} if kind == "head" else {kind}
            kept |= _common_to_samplers(layer.data[kind]) if kind == "sampler" else {}
    return Layer(layer.origin, {key: value for key, value in layer.data.items() if key not in dropped} | kept)


def _common_to_samplers(section: Mapping[str, Any]) -> dict[str, Any]:
    """How crops are changed stays when only who draws them is another."""
    return {"sampler": {key: value for key, value in section.items() if key in SamplerConfig.model_fields}}


def _has(data: Any, key: Key) -> bool:
    if not key:
        return True
    if isinstance(data, Mapping):
        return key[0] in data and _has(data[key[0]], key[1:])
    if isinstance(data, list | tuple):  # of components: by name
        named = (item for item in data if isinstance(item, Mapping) and item.get("name") == key[0])
        return any(_has(item, key[1:]) for item in named)
    return False
