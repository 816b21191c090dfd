"""Protocols: what is shown of an evaluation, how often trackers run, and how their results are kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from trackcli.config.suggestions import did_you_mean
from trackcli.errors import UsageError
from trackcli.evaluation.layouts import Layout
from trackcli.evaluation.metrics import Score


@dataclass(frozen=True)
class Measure:
    """One number of a score.

    Attributes:
        label: Heading of its column.
        key: Its name in JSON.
        read: Takes it from a score.
    """

    label: str
    key: str
    read: Callable[[Score], float]


SUCCESS = Measure("success", "success_auc", lambda score: score.success_auc)
PRECISION = Measure("prec@20", "precision_20px", lambda score: score.precision)
NORMALISED = Measure("norm.prec", "normalised_precision", lambda score: score.normalised_precision)
OVERLAP = Measure("overlap", "mean_overlap", lambda score: score.mean_overlap)
AVERAGE_OVERLAP = Measure("AO", "mean_overlap", lambda score: score.mean_overlap)
SUCCESS_50 = Measure("SR0.50", "success_50", lambda score: score.success_50)
SUCCESS_75 = Measure("SR0.75", "success_75", lambda score: score.success_75)

MEASURES = (SUCCESS, PRECISION, NORMALISED, OVERLAP, SUCCESS_50, SUCCESS_75)
"""All there are."""


@dataclass(frozen=True)
class Protocol:
    """How an evaluation is done.

    Attributes:
        name: As on the command line.
        summary: One line.
        measures: Columns of its tables; the first ranks.
        variant: How frames are counted unless ``--variant`` says otherwise.
        layout: How results are kept.
        repetitions: How often a tracker runs that is not deterministic.
    """

    name: str
    summary: str
    measures: tuple[Measure, ...]
    variant: str
    layout: Layout
    repetitions: int = 1


PROTOCOLS: Mapping[str, Protocol] = MappingProxyType(
    {
        protocol.name: protocol
        for protocol in (
            Protocol(
                "ope",
                "one pass: success, precision, normalised precision",
                (SUCCESS, PRECISION, NORMALISED, OVERLAP),
                "trackcli",
                Layout.FLAT,
            ),
            Protocol(
                "got10k",
                "one pass, three times if chance is in it: average overlap and success rates",
                (AVERAGE_OVERLAP, SUCCESS_50, SUCCESS_75),
                "got10k",
                Layout.GOT10K,
                repetitions=3,
            ),
        )
    }
)
"""By name."""


def find_protocol(name: str | None, dataset: str) -> Protocol:
    """The protocol of a name; without one that of the dataset.

    Raises:
        UsageError: if there is no such protocol.
    """
    chosen = name or ("got10k" if dataset.rpartition(":")[2] == "got10k" else "ope")
    if chosen not in PROTOCOLS:
        raise UsageError(f"--protocol {chosen} is unknown; {did_you_mean(chosen, PROTOCOLS)}")
    return PROTOCOLS[chosen]
