"""``trackcli eval``: how well trackers follow the targets of a dataset."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from trackcli.cli.completion import completion_of

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from trackcli.cli.console import Console
    from trackcli.evaluation.contenders import Contender
    from trackcli.evaluation.datasets import SequenceSet
    from trackcli.evaluation.methods import Method
    from trackcli.evaluation.protocols import Protocol
    from trackcli.evaluation.results import ResultStore
    from trackcli.evaluation.runner import SequenceResult, TrackerResult
    from trackcli.evaluation.variants import Variant


def evaluate(
    *,
    tracker: list[str] = typer.Option(
        [],
        "--tracker",
        metavar="[LABEL=]TRACKER",
        autocompletion=completion_of("tracker"),
        help="A tracker's name, its file or a run folder; 'hold', which holds the first box; or a folder of results of "
        "any toolkit. Repeatable; default: the one that comes with trackcli.",
    ),
    dataset: str | None = typer.Option(
        None, "--dataset", metavar="NAME", help="Layout of the dataset: folder (the default), otb100, lasot, got10k, …"
    ),
    root: Path = typer.Option(
        ..., "--root", metavar="DIR", help="The dataset; for folder: DIR/<sequence>/{img/*.jpg, groundtruth.txt}."
    ),
    split: str | None = typer.Option(
        None, "--split", help="One of the dataset's own splits; val or test if it has them."
    ),
    output: Path | None = typer.Option(
        None, "-o", "--output", metavar="DIR", help="Keep the results here, and go on where an earlier run stopped."
    ),
    sequences: list[str] = typer.Option(
        [], "--sequences", metavar="PATTERN", help="Only sequences of this name or pattern, as in 'otb_*'. Repeatable."
    ),
    protocol: str | None = typer.Option(
        None,
        "--protocol",
        help="ope, or got10k (the default for that dataset): what is shown and how results are kept.",
    ),
    variant: str | None = typer.Option(
        None, "--variant", help="Count as another toolkit does: trackcli, pysot, got10k, otb, pytracking."
    ),
    repeat: int | None = typer.Option(
        None, "--repeat", min=1, max=999, help="Track each sequence N times; got10k: 3 if the tracker leaves to chance."
    ),
    jobs: int | None = typer.Option(
        None, "--jobs", min=1, max=256, help="Track in N processes of one thread each; the same results for any N."
    ),
    batch: int | None = typer.Option(
        None, "--batch", min=1, max=1024, help="Track N sequences at once, in one batched step (composed trackers)."
    ),
    submit: str | None = typer.Option(
        None, "--submit", metavar="SERVER", help="got10k or trackingnet: make -o OUT.zip, as its server accepts it."
    ),
    device: str = typer.Option("auto", "--device", help="auto, cpu, cuda, cuda:N or mps."),
    precision: str = typer.Option(
        "fp32", "--precision", help="What the network computes in: fp32, or bf16 (faster where the processor has it)."
    ),
    force: bool = typer.Option(False, "--force", help="Track again what is already in --output, and replace it."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object and nothing else."),
    quiet: bool = typer.Option(False, "-q", "--quiet", help="Only the result."),
    verbose: bool = typer.Option(False, "-v", "--verbose", help="With several trackers, also a table for each."),
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
) -> None:
    """Run trackers once over each sequence, from its first true box, and compare with the ground truth.

    Prints success (area under the curve), precision at 20 pixels, normalised precision, mean overlap and frames per
    second, with 95% intervals over sequences; frame 0 is left out. Example: trackcli eval --tracker hold --tracker
    default --root DIR -o results
    """
    from trackcli.cli.console import Console
    from trackcli.cli.evaluate_output import print_json, print_tables
    from trackcli.evaluation.contenders import load_contenders
    from trackcli.evaluation.datasets import evaluation_split, load_sequences
    from trackcli.evaluation.protocols import find_protocol
    from trackcli.evaluation.submissions import SERVERS, check_request, check_test_set
    from trackcli.evaluation.variants import find_variant
    from trackcli.host.trackers import DEFAULT_TRACKER, default_tracker

    console = Console(quiet=quiet or as_json, verbose=verbose)
    tracker = tracker or [f"{DEFAULT_TRACKER}={default_tracker()}"]
    _refuse_together(jobs, batch, submit, output, tracker)
    name = dataset or submit or "folder"
    rules = find_protocol(protocol, name)
    counted = find_variant(variant or rules.variant, name)
    split = split or evaluation_split(name, hidden=submit is not None)
    if submit is not None:
        check_test_set(SERVERS[submit], name, split)
    chosen = load_sequences(name, root, sequences, split=split)
    if submit is not None and output is not None:
        check_request(SERVERS[submit], chosen, output)
    run = Run(
        sequences=chosen,
        dataset=name,
        root=root.expanduser().resolve(),
        protocol=rules,
        variant=counted,
        output=output if output is None or submit is None else output.with_suffix(""),
        repeat=repeat,
        jobs=jobs,
        batch=batch,
        force=force,
        device=device,
        precision=precision,
    )
    contenders = load_contenders(tracker, device=device, precision=precision)
    run.refuse_mixing(contenders)
    with _noted_for_reports(run, contenders, split):
        results = [
            (contender, run.evaluate(contender, source, console))
            for contender, source in zip(contenders, tracker, strict=True)
        ]
    if submit is not None and output is not None:
        run.write_submission(submit, contenders[0], output)
        console.note(f"{output} is ready for the server of {submit}")
    if as_json:
        print_json(results, run, root=root, split=split)
    else:
        print_tables(results, rules, verbose=verbose)
        if run.output is not None:
            console.note(f"results are in {run.output / name}")


def _noted_for_reports(run: Run, contenders: list[Contender], split: str | None) -> AbstractContextManager[None]:
    """Leave what ``trackcli report`` needs beside the results, from the start: unfinished ones can be shown too."""
    from contextlib import nullcontext

    from trackcli.reporting.manifest import Manifest, noted_evaluation

    if run.output is None:
        return nullcontext()
    manifest = Manifest(
        dataset=run.dataset,
        root=run.root,
        split=split,
        protocol=run.protocol.name,
        variant=run.variant.name,
        sequences=run.sequences.names,
        elsewhere={one.label: one.results.resolve() for one in contenders if one.results is not None},
    )
    tracked = [one.label for one in contenders if one.results is None]
    return noted_evaluation(run.output / run.dataset, manifest, tracked)


@dataclass(frozen=True)
class Run:
    """What was asked for, the same for all trackers."""

    sequences: SequenceSet
    dataset: str
    root: Path
    protocol: Protocol
    variant: Variant
    output: Path | None
    repeat: int | None
    jobs: int | None
    batch: int | None
    force: bool
    device: str
    precision: str

    def refuse_mixing(self, contenders: list[Contender]) -> None:
        """Complain about results of other trackers or on other data before the first is run, which may take hours."""
        for contender in contenders:
            store = self.store_of(contender) if contender.tracker is not None and not self.force else None
            if store is not None:
                store.refuse_another(contender.fingerprint, self.root)

    def evaluate(self, contender: Contender, argument: str, console: Console) -> TrackerResult:
        """Evaluate one tracker, or read its results; progress goes to stderr."""
        from contextlib import nullcontext

        from trackcli.evaluation.runner import evaluate as run
        from trackcli.evaluation.runner import read_results

        store = self.store_of(contender, console)
        claimed = (
            nullcontext()
            if store is None or contender.tracker is None
            else store.claimed(contender.fingerprint, self.root, replace=self.force)
        )
        with claimed, console.progress() as progress:
            task = progress.add_task(contender.label, total=len(self.sequences), rate="")

            def advance(result: SequenceResult) -> None:
                progress.update(task, advance=1, rate="kept" if result.reused else f"{result.fps:.0f} fps")
                overlap = "" if result.score is None else f" overlap {result.score.mean_overlap:.3f}"
                console.detail(f"{contender.label}: {result.name}{overlap}")

            if contender.tracker is None and store is not None:
                read = read_results(store, self.sequences, variant=self.variant, on_sequence=advance)
                _say_what_was_shifted(contender, read, console)
                return read
            evaluated = run(
                self._method(contender, argument, console),
                self.sequences,
                store=store,
                force=self.force,
                on_sequence=advance,
                variant=self.variant,
                repetitions=self._repetitions(contender),
                read_more=self.repeat is None,
            )
        reused = sum(result.reused for result in evaluated.sequences)
        if store is not None and reused:
            console.note(
                f"{contender.label}: reused {reused} of {len(self.sequences)} results found in {store.folder}; "
                "--force tracks them again"
            )
        return evaluated

    def store_of(self, contender: Contender, console: Console | None = None) -> ResultStore | None:
        """Where a tracker's results are read or kept."""
        from trackcli.evaluation.contenders import find_results
        from trackcli.evaluation.results import ResultStore

        if contender.results is not None:
            found = find_results(contender.results, self.sequences.names, self.dataset, self.protocol.layout)
            if console is not None:
                console.note(
                    f"{contender.label}: reading results in the {found.layout.value} layout from {found.folder}"
                )
            return found
        if self.output is None:
            return None
        return ResultStore(self.output / self.dataset / contender.label, self.protocol.layout)

    def write_submission(self, server: str, contender: Contender, path: Path) -> None:
        """Pack a tracker's results for a server."""
        from trackcli.evaluation.submissions import SERVERS, write_submission

        store = self.store_of(contender)
        assert store is not None  # --submit needs --output
        write_submission(SERVERS[server], store, self.sequences, path)

    def _repetitions(self, contender: Contender) -> int:
        return self.repeat or (1 if contender.deterministic else self.protocol.repetitions)

    def _method(self, contender: Contender, argument: str, console: Console) -> Method:
        from functools import partial

        from trackcli.evaluation.contenders import make_tracker
        from trackcli.evaluation.methods import OneByOne, Processes, use_one_thread

        assert contender.tracker is not None
        if self.jobs is not None and self.jobs > 1:
            return Processes(partial(make_tracker, argument, self.device, self.precision), self.jobs)
        if self.jobs is not None:
            use_one_thread()
        if self.batch is not None and self.batch > 1:
            from trackcli.evaluation.batched import Batched
            from trackcli.tracking.tracker import Tracker

            if isinstance(contender.tracker, Tracker):
                return Batched(contender.tracker, self.batch)
            console.note(f"{contender.label}: has no batched step; tracking one sequence at a time")
        return OneByOne(contender.tracker)


def _say_what_was_shifted(contender: Contender, result: TrackerResult, console: Console) -> None:
    shifted = sum(one.shifted for one in result.sequences)
    if shifted:
        console.note(
            f"{contender.label}: {shifted} of {len(result.sequences)} result files begin one pixel right of and below "
            "the true box: they count pixels from 1, and were shifted by one"
        )


def _refuse_together(
    jobs: int | None, batch: int | None, submit: str | None, output: Path | None, trackers: list[str]
) -> None:
    from trackcli.config.suggestions import did_you_mean
    from trackcli.errors import UsageError
    from trackcli.evaluation.submissions import SERVERS

    if jobs is not None and batch is not None:
        raise UsageError("--jobs and --batch are two ways to do the same; expected one of them")
    if submit is None:
        return
    if submit not in SERVERS:
        raise UsageError(f"--submit {submit} is unknown; {did_you_mean(submit, SERVERS)}")
    if output is None:
        raise UsageError(f"--submit {submit} needs the archive to write; add -o OUT.zip")
    if len(trackers) != 1:
        raise UsageError(f"--submit {submit} takes one tracker, but {len(trackers)} were given; run it once for each")
