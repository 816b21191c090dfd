"""``trackcli eval``: how well trackers follow the targets of a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from trackcli.cli.console import Console
    from trackcli.evaluation.contenders import Contender
    from trackcli.evaluation.datasets import EvaluationSequence
    from trackcli.evaluation.results import ResultStore
    from trackcli.evaluation.runner import SequenceResult, TrackerResult


def evaluate(
    *,
    tracker: list[str] = typer.Option(
        ["default"],
        "--tracker",
        metavar="[LABEL=]TRACKER",
        help="A tracker's name, its file or a run folder, or 'hold', which holds the first box. Repeatable.",
    ),
    dataset: str = typer.Option("folder", "--dataset", help="Layout of the dataset: folder."),
    root: Path = typer.Option(
        ..., "--root", metavar="DIR", help="The dataset: DIR/<sequence>/{img/*.jpg, groundtruth.txt}."
    ),
    output: Path | None = typer.Option(
        None, "-o", "--output", metavar="DIR", help="Keep the results here, and go on where an earlier run stopped."
    ),
    sequences: list[str] = typer.Option(
        [], "--sequences", metavar="PATTERN", help="Only sequences of this name or pattern, as in 'otb_*'. Repeatable."
    ),
    device: str = typer.Option("auto", "--device", help="auto, cpu, cuda, cuda:N or mps."),
    force: bool = typer.Option(False, "--force", help="Track again what is already in --output, and replace it."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object and nothing else."),
    quiet: bool = typer.Option(False, "-q", "--quiet", help="Only the result."),
    verbose: bool = typer.Option(False, "-v", "--verbose", help="With several trackers, also a table for each."),
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
) -> None:
    """Run trackers once over each sequence, from its first true box, and compare with the ground truth.

    Prints success (area under the curve), precision at 20 pixels, normalised precision, mean overlap and frames per
    second; frame 0 is left out. Example: trackcli eval --tracker hold --tracker default --root DIR -o results
    """
    from trackcli.cli.console import Console
    from trackcli.evaluation.contenders import load_contenders
    from trackcli.evaluation.datasets import load_sequences

    console = Console(quiet=quiet or as_json, verbose=verbose)
    chosen = load_sequences(dataset, root, sequences)
    contenders = load_contenders(tracker, device=device)
    results = [
        (contender, _evaluate_one(contender, chosen, _store(output, dataset, contender), force=force, console=console))
        for contender in contenders
    ]
    if as_json:
        _print_json(results, dataset=dataset, root=root, output=output)
    else:
        _print_tables(results, verbose=verbose)
        if output is not None:
            console.note(f"results are in {output / dataset}")


def _store(output: Path | None, dataset: str, contender: Contender) -> ResultStore | None:
    from trackcli.evaluation.results import ResultStore

    return None if output is None else ResultStore(output / dataset / contender.label)


def _evaluate_one(
    contender: Contender,
    sequences: list[EvaluationSequence],
    store: ResultStore | None,
    *,
    force: bool,
    console: Console,
) -> TrackerResult:
    from contextlib import nullcontext

    from trackcli.evaluation.runner import evaluate as run

    claimed = nullcontext() if store is None else store.claimed(contender.fingerprint, replace=force)
    with claimed, console.progress() as progress:
        task = progress.add_task(contender.label, total=len(sequences), rate="")

        def advance(result: SequenceResult) -> None:
            progress.update(task, advance=1, rate="kept" if result.reused else f"{result.fps:.0f} fps")
            console.detail(f"{contender.label}: {result.name} overlap {result.score.mean_overlap:.3f}")

        evaluated = run(contender.tracker, sequences, store=store, force=force, on_sequence=advance)
    reused = sum(result.reused for result in evaluated.sequences)
    if store is not None and reused:
        console.note(
            f"{contender.label}: reused {reused} of {len(sequences)} results found in {store.folder}; "
            "--force tracks them again"
        )
    return evaluated


def _print_tables(results: list[tuple[Contender, TrackerResult]], *, verbose: bool) -> None:
    from trackcli.cli.errors import strip_control_characters
    from trackcli.evaluation.tables import sequence_table, tracker_table

    tables = []
    if len(results) == 1 or verbose:
        tables += [f"tracker {contender.label}\n{sequence_table(result)}" for contender, result in results]
    if len(results) > 1:
        tables.append(tracker_table([(contender.label, result) for contender, result in results]))
    print(strip_control_characters("\n\n".join(tables)))


def _print_json(
    results: list[tuple[Contender, TrackerResult]], *, dataset: str, root: Path, output: Path | None
) -> None:
    import json

    from trackcli.evaluation.tables import result_as_data

    trackers = [
        {"tracker": contender.label, "source": contender.source, **result_as_data(result)}
        for contender, result in results
    ]
    print(
        json.dumps(
            {
                "dataset": dataset,
                "root": str(root),
                "output": None if output is None else str(output),
                "trackers": trackers,
            }
        )
    )
