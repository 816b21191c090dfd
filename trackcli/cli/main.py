"""The entry point: registers one function per command and turns every error into one line.

Commands import torch, OpenCV, h5py and numpy inside their functions: ``trackcli --help`` needs none of them.
"""

from __future__ import annotations

import errno
import signal
import sys
from types import FrameType

import typer

from trackcli.cli import cache, demo, doctor, evaluate, plugins, presets, synth, track, trackers, train
from trackcli.cli.errors import EXIT_INTERRUPTED, Terminated, report
from trackcli.cli.extra import GroupWithExtraCommands
from trackcli.cli.notices import show_version_warnings_as_lines
from trackcli.cli.report import report as report_command
from trackcli.cli.streams import reader_is_gone, silence
from trackcli.signals import ENDING

app = typer.Typer(
    name="trackcli",
    cls=GroupWithExtraCommands,
    help="Follow an object through a video; train, evaluate and compose single-object trackers from plugins.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command("track")(track.track)
app.command("train")(train.train)
app.command("eval")(evaluate.evaluate)
app.command("report")(report_command)
app.add_typer(cache.app, name="cache")
app.command("synth")(synth.synth)
app.command("demo")(demo.demo)
app.add_typer(plugins.app, name="plugins")
app.add_typer(presets.app, name="presets")
app.add_typer(trackers.app, name="trackers")
app.command("doctor")(doctor.doctor)


def _version(value: bool) -> None:
    if value:
        from trackcli import __version__

        typer.echo(f"trackcli {__version__}")
        raise typer.Exit


def _no_plugins(value: bool) -> None:
    """Through the environment, so that worker processes leave them out too."""
    if value:
        import os

        from trackcli.host.selection import ALL, DISABLE

        os.environ[DISABLE] = ALL


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Show the version and exit."
    ),
    no_plugins: bool = typer.Option(
        False, "--no-plugins", callback=_no_plugins, is_eager=True, help="Only the built-in components."
    ),
) -> None:
    """Follow an object through a video; train, evaluate and compose single-object trackers from plugins."""


def _terminate(signum: int, frame: FrameType | None) -> None:
    raise Terminated(signum)


def _catch_signals() -> None:
    """SIGTERM and SIGHUP end a command as Ctrl-C does; what is ignored stays so, as nohup wants it."""
    for number in ENDING:  # Ctrl-C is Python's own
        if number != signal.SIGINT and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _terminate)


def main() -> None:
    """Run the command line; exit codes are documented in ``docs/architecture.md``."""
    _catch_signals()
    show_version_warnings_as_lines()
    try:
        code = app(standalone_mode=False) or 0
        if code == EXIT_INTERRUPTED:  # typer turns Ctrl-C into this code and says nothing
            raise KeyboardInterrupt
        if sys.stdout is not None:
            sys.stdout.flush()
    except BaseException as caught:  # the one place where every error becomes a line and an exit code
        error = _ending_behind(caught) or caught
        broken = _broken_pipe(error)
        if isinstance(error, SystemExit) and broken is None:
            raise
        if broken is not None and reader_is_gone(sys.stdout):  # has seen enough: no fault
            silence(sys.stdout)
            code = 0
        else:
            code = report(broken or error, as_json="--json" in sys.argv, debug="--debug" in sys.argv)
    sys.exit(code)


def _ending_behind(error: BaseException) -> BaseException | None:
    """Ctrl-C or a signal in whose wake something else failed: a progress display on a terminal that is closed, say."""
    seen: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in seen:
        if isinstance(cause, KeyboardInterrupt | Terminated):
            return cause
        seen.append(cause)
        cause = cause.__context__
    return None


def _broken_pipe(error: BaseException) -> OSError | None:
    """The broken pipe that an error is, or for which typer ends the program without a word: stdout's, or a worker's."""
    cause = error.__context__ if isinstance(error, SystemExit) else error
    return cause if isinstance(cause, OSError) and cause.errno == errno.EPIPE else None


if __name__ == "__main__":
    main()
