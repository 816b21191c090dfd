"""``trackcli report``: an evaluation or a training run as a page, as plots and as a table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trackcli.cli.console import Console
    from trackcli.reporting.charts import Chart
    from trackcli.reporting.gather import Evaluation

PAGE = "report.html"
PLOTS = "plots"


def report(
    *,
    source: Path = typer.Argument(
        ..., metavar="DIR", help="Results of `trackcli eval -o DIR`, one dataset's part of them, or a run folder."
    ),
    output: Path | None = typer.Option(
        None, "-o", "--output", metavar="FILE", help="The page to write; DIR/report.html by default."
    ),
    plots: Path | None = typer.Option(
        None, "--plots", metavar="DIR", help="Also write each plot as PNG and PDF here; a run's go to DIR/plots anyway."
    ),
    table: str | None = typer.Option(
        None, "--table", metavar="md|tex", help="Also print the ranking as Markdown or LaTeX."
    ),
    root: Path | None = typer.Option(
        None, "--root", metavar="DIR", help="Where the dataset is now, if not where it was evaluated."
    ),
    dataset: str | None = typer.Option(
        None, "--dataset", metavar="NAME", help="Layout of the dataset, for results that trackcli eval did not write."
    ),
    split: str | None = typer.Option(
        None, "--split", help="Split of the dataset, for such results; val or test if it has them."
    ),
    variant: str | None = typer.Option(
        None, "--variant", help="Count frames as another toolkit does: trackcli, pysot, got10k, otb, pytracking."
    ),
    pictures: int = typer.Option(12, "--pictures", min=0, max=1000, help="How many worst frames to show; 0: none."),
    force: bool = typer.Option(False, "--force", help="Overwrite the output even if it is no report."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object and nothing else."),
    quiet: bool = typer.Option(False, "-q", "--quiet", help="Only the result."),
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
) -> None:
    """Write one self-contained HTML page about an evaluation or a training run.

    Example: trackcli eval --tracker default --tracker mil --root DIR -o results; trackcli report results
    """
    from trackcli.cli.console import Console
    from trackcli.reporting.files import check_page_path

    console = Console(quiet=quiet or as_json)
    _check(source, table, plots)
    page_path = output or source / PAGE
    check_page_path(page_path, force=force)
    if _is_run(source):
        _refuse_for_run(table=table, root=root, dataset=dataset, split=split, variant=variant)
        summary = _report_run(source, page_path, plots, console)
    else:
        evaluations = _gather(source, console, root=root, dataset=dataset, split=split, variant=variant)
        summary = _report_evaluations(evaluations, page_path, plots, pictures, console)
        if table is not None and not as_json:
            _print_tables(evaluations, table)
    if as_json:
        from trackcli.cli.listing import print_json

        print_json({"page": str(page_path), **summary})
    else:
        console.note(f"report: {page_path}")


def _check(source: Path, table: str | None, plots: Path | None) -> None:
    from trackcli.errors import InputDataError, UsageError
    from trackcli.reporting.figures import check_matplotlib
    from trackcli.reporting.tables import TABLES

    if not source.is_dir():
        raise InputDataError(
            f"{source} is not a folder; expected what trackcli eval -o wrote, or the run folder of trackcli train"
        )
    if table is not None and table not in TABLES:
        raise UsageError(f"--table {table} is unknown; expected one of: {', '.join(TABLES)}")
    if plots is not None:
        check_matplotlib()


def _is_run(source: Path) -> bool:
    from trackcli.reporting.manifest import MANIFEST_FILE
    from trackcli.reporting.run_record import is_run

    return is_run(source) and not (source / MANIFEST_FILE).is_file()


def _refuse_for_run(**given: object) -> None:
    from trackcli.errors import UsageError

    for name, value in given.items():
        if value is not None:
            raise UsageError(
                f"--{name} {value} is for results of trackcli eval, but this is a training run; leave it out"
            )


def _gather(source: Path, console: Console, *, root: Path | None, **asked: str | None) -> list[Evaluation]:
    from trackcli.errors import InputDataError
    from trackcli.reporting.gather import find_evaluations, gather

    folders = find_evaluations(source) or ([source] if root is not None else [])
    if not folders:
        raise InputDataError(
            f"{source} holds neither results that trackcli eval -o wrote (no evaluation.json) nor a training run (no "
            "metrics.jsonl); for results of another toolkit, a folder per tracker, say where the dataset is: --root DIR"
        )
    evaluations = [gather(folder, root=root, **asked) for folder in folders]
    for evaluation in evaluations:
        for note in evaluation.notes:
            console.warn(note)
    return evaluations


def _report_evaluations(
    evaluations: Sequence[Evaluation], page_path: Path, plots: Path | None, pictures: int, console: Console
) -> dict[str, Any]:
    from trackcli.evaluation.summaries import differences_as_data, result_as_data
    from trackcli.reporting.evaluation_charts import evaluation_charts
    from trackcli.reporting.evaluation_page import evaluation_page
    from trackcli.reporting.files import write_page

    write_page(page_path, evaluation_page(evaluations, pictures=pictures))
    summaries = []
    for evaluation in evaluations:
        folder = plots if plots is None or len(evaluations) == 1 else plots / evaluation.manifest.dataset
        labelled = [(entrant.label, entrant.result) for entrant in evaluation.entrants]
        summaries.append(
            {
                "dataset": evaluation.manifest.dataset,
                "root": str(evaluation.manifest.root),
                "split": evaluation.manifest.split,
                "protocol": evaluation.protocol.name,
                "variant": evaluation.variant.name,
                "notes": list(evaluation.notes),
                "plots": [] if folder is None else _save(evaluation_charts(evaluation), folder, console),
                "trackers": [{"tracker": label, **result_as_data(result)} for label, result in labelled],
                "differences": differences_as_data(labelled, evaluation.first),
            }
        )
    return {"evaluations": summaries}


def _report_run(source: Path, page_path: Path, plots: Path | None, console: Console) -> dict[str, Any]:
    from trackcli.errors import PluginError
    from trackcli.reporting.files import write_page
    from trackcli.reporting.run_page import run_charts, run_page, run_summary
    from trackcli.reporting.run_record import read_run

    run = read_run(source)
    write_page(page_path, run_page(run))
    try:
        written = _save(run_charts(run), plots or source / PLOTS, console, formats=("png",) if plots is None else None)
    except PluginError as error:  # nobody asked for the plots: the page has the same curves
        if plots is not None:
            raise
        console.warn(str(error))
        written = []
    return {"run": str(source), **run_summary(run), "plots": written}


def _save(charts: Sequence[Chart], folder: Path, console: Console, formats: Sequence[str] | None = None) -> list[str]:
    from trackcli.reporting.figures import FORMATS, save_figures

    written = save_figures(charts, folder, formats or FORMATS)
    console.note(f"plots: {len(written)} files in {folder}")
    return [str(path) for path in written]


def _print_tables(evaluations: Sequence[Evaluation], name: str) -> None:
    from trackcli.cli.errors import strip_control_characters
    from trackcli.reporting.tables import TABLES

    print("\n".join(strip_control_characters(TABLES[name](evaluation)) for evaluation in evaluations), end="")
