"""``trackcli trackers figures``, ``variant`` and ``average``: what a tracker file says, other links, mean weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trackcli.cli.completion import completion_of


def figures(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A tracker file (.safetensors).")],
    *,
    auc: Annotated[float | None, typer.Option(metavar="A", help="Success AUC, 0..1.", min=0, max=1)] = None,
    fps: Annotated[float | None, typer.Option(metavar="F", help="Frames per second.", min=0)] = None,
    note: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Measured on which sequences and which machine.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Write measured figures into a tracker file, for `trackcli trackers list`; its weights stay as they are.

    Example: trackcli trackers figures mine.safetensors --auc 0.61 --fps 40 --note "OTB100; 2 threads, Zen 5"
    """
    from dataclasses import asdict

    from trackcli.cli.listing import print_json, print_lines
    from trackcli.composition.figures import Figures, read_figures, write_figures
    from trackcli.errors import UsageError

    given = Figures(auc, fps, note)
    if given == Figures():
        raise UsageError("no figure was given; expected --auc, --fps or --note")
    write_figures(file, given)
    written = asdict(read_figures(file))
    if as_json:
        print_json({"file": str(file), "figures": written})
    else:
        print_lines([f"{file}: " + ", ".join(f"{key} {value}" for key, value in written.items() if value is not None)])


def variant(
    tracker: Annotated[
        str, typer.Argument(metavar="TRACKER", autocompletion=completion_of("tracker"), help="A name, file or run.")
    ],
    *,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The tracker file to write.")],
    postprocessor: Annotated[
        list[str], typer.Option(metavar="NAME", help="These postprocessors instead of the tracker's; repeatable.")
    ] = [],  # noqa: B006
    add_postprocessor: Annotated[
        list[str], typer.Option(metavar="NAME", help="One more, at the end; repeatable.")
    ] = [],  # noqa: B006
    settings: Annotated[
        list[str],
        typer.Option(
            "--set", metavar="KEY=VALUE", help="One setting, e.g. postprocessor.hold.threshold=0.4; repeatable."
        ),
    ] = [],  # noqa: B006
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that exists.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Write a tracker with the same weights and other postprocessors, or other settings of them or of the crops.

    Example: trackcli trackers variant default -o holding.safetensors --add-postprocessor hold
    """
    from trackcli.cli.listing import print_json, print_lines
    from trackcli.composition.variants import write_variant
    from trackcli.host.registry import installed
    from trackcli.tracking.tracker import find_tracker_file

    _check_output(output, force=force)
    registry = installed()
    links = write_variant(
        find_tracker_file(tracker, registry),
        output,
        registry,
        assignments=settings,
        added=add_postprocessor,
        replaced=postprocessor,
    )
    if as_json:
        print_json({"file": str(output), "postprocessors": list(links)})
    else:
        print_lines([f"{output}: {', '.join(links)}"])


def average(
    trackers: Annotated[
        list[str], typer.Argument(metavar="TRACKER...", help="Two or more of one composition: names, files or runs.")
    ],
    *,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The tracker file to write.")],
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that exists.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Write a tracker whose weights are the mean of several's; its recipe is the first one's.

    The mean of a tracker and of what it became by more training often tracks better than either.
    Example: trackcli trackers average runs/second runs/first -o mean.safetensors
    """
    from trackcli.cli.listing import print_json, print_lines
    from trackcli.composition.averages import write_average
    from trackcli.host.registry import installed
    from trackcli.tracking.tracker import find_tracker_file

    _check_output(output, force=force)
    registry = installed()
    write_average([find_tracker_file(each, registry) for each in trackers], output, registry)
    if as_json:
        print_json({"file": str(output), "averaged": trackers})
    else:
        print_lines([f"{output}: mean of {', '.join(trackers)}"])


def _check_output(output: Path, *, force: bool) -> None:
    from trackcli.errors import UsageError

    if output.suffix != ".safetensors":
        raise UsageError(f"--output {output} is no tracker file; expected a name that ends in .safetensors")
    if output.exists() and not force:
        raise UsageError(f"--output {output} exists; choose another name or overwrite it with --force")
