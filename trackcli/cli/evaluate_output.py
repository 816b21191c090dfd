"""What ``trackcli eval`` prints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trackcli.cli.evaluate import Run
    from trackcli.evaluation.contenders import Contender
    from trackcli.evaluation.protocols import Protocol
    from trackcli.evaluation.runner import TrackerResult

Results = list[tuple["Contender", "TrackerResult"]]


def print_tables(results: Results, protocol: Protocol, *, verbose: bool) -> None:
    """One tracker: a row per sequence. Several: a row per tracker. And one per attribute, if there are any."""
    from trackcli.cli.errors import strip_control_characters
    from trackcli.evaluation.tables import attribute_table, sequence_table, tracker_table

    scored = [(contender.label, result) for contender, result in results if result.scored]
    tables = []
    if len(results) == 1 or verbose or not scored:
        tables += [f"tracker {contender.label}\n{sequence_table(result, protocol)}" for contender, result in results]
    if len(scored) > 1:
        tables.append(tracker_table(scored, protocol))
    if scored:
        tables.append(attribute_table(scored, protocol))
    print(strip_control_characters("\n\n".join(table for table in tables if table)))


def print_json(results: Results, run: Run, *, root: Path, split: str | None) -> None:
    """One object with everything."""
    import json

    from trackcli.evaluation.summaries import bootstrap_as_data, differences_as_data, result_as_data

    labelled = [(contender.label, result) for contender, result in results]
    trackers = [
        {"tracker": contender.label, "source": contender.source, **result_as_data(result)}
        for contender, result in results
    ]
    print(
        json.dumps(
            {
                "dataset": run.dataset,
                "root": str(root),
                "split": split,
                "output": None if run.output is None else str(run.output),
                "protocol": run.protocol.name,
                "variant": run.variant.name,
                "precision": run.precision,
                "bootstrap": bootstrap_as_data(),
                "trackers": trackers,
                "differences": differences_as_data(labelled, run.protocol.measures[0]),
            }
        )
    )
