"""``trackcli synth``: labelled synthetic sequences from a seed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from trackcli.cli.console import Console
    from trackcli.synth.settings import SceneSettings


def synth(
    *,
    output: Path = typer.Option(..., "-o", "--output", metavar="DIR", help="Folder that gets synth_00000, …"),
    sequences: int = typer.Option(1, "--sequences", min=1, help="How many sequences."),
    frames: int = typer.Option(120, "--frames", min=1, help="Frames per sequence."),
    size: str = typer.Option("320x240", "--size", metavar="WxH", help="Image size in pixels."),
    seed: int = typer.Option(0, "--seed", min=0, help="The same seed always gives the same sequences."),
    look_alikes: int = typer.Option(1, "--look-alikes", min=0, help="Objects that resemble the target."),
    occluders: int = typer.Option(1, "--occluders", min=0, help="Objects that pass in front of the target."),
    leave: bool = typer.Option(False, "--leave/--no-leave", help="The target leaves the image and returns."),
    video: bool = typer.Option(False, "--video/--images", help="Write video.mp4, or numbered images."),
    force: bool = typer.Option(False, "--force", help="Replace the sequences already in the output folder."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object and nothing else."),
    quiet: bool = typer.Option(False, "-q", "--quiet", help="No progress."),
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
) -> None:
    """Make labelled sequences: textured objects that move, deform, are hidden, leave and return.

    Each sequence is a folder with img/00000.jpg, … (or video.mp4), groundtruth.txt (x,y,w,h per frame; nan while the
    target is away), absent.txt and scene.json. Example: trackcli synth -o synth --sequences 10 --leave
    """
    from trackcli.cli.console import Console
    from trackcli.synth.settings import SceneSettings

    size_wh = _parse_size(size)
    scene = SceneSettings(
        frames=frames,
        size_wh=size_wh,
        seed=seed,
        look_alikes=look_alikes,
        occluders=occluders,
        leave_and_return=leave,
    )
    if video:
        _check_video_size(size_wh)
    _prepare(output, force=force)
    _write_all(scene, sequences, output, video=video, console=Console(quiet=quiet or as_json))
    _report(output, sequences=sequences, frames=frames, as_json=as_json)


def _parse_size(text: str) -> tuple[int, int]:
    from trackcli.errors import UsageError

    match = re.fullmatch(r"([0-9]{1,6})x([0-9]{1,6})", text)
    if match is None:
        raise UsageError(f"--size {text} is not a size; expected width x height in pixels, such as 320x240")
    return int(match[1]), int(match[2])


def _check_video_size(size_wh: tuple[int, int]) -> None:
    from trackcli.errors import UsageError

    width, height = size_wh
    if width % 2 or height % 2:
        raise UsageError(
            f"--size {width}x{height} cannot become a video that every player shows; expected even numbers; "
            f"use --size {width + width % 2}x{height + height % 2} or --images"
        )


def _prepare(output: Path, *, force: bool) -> None:
    from trackcli.errors import InputDataError, UsageError
    from trackcli.synth.files import remove_sequences

    try:
        if output.exists() and not output.is_dir():
            raise UsageError(f"--output {output} is a file; expected a folder; choose another --output")
        if output.is_dir() and any(output.iterdir()):
            if not force:
                raise UsageError(
                    f"--output {output} is not empty; expected a new or empty folder; choose another or add --force"
                )
            remove_sequences(output)
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputDataError(
            f"cannot use --output {output}: {error.strerror or error}; choose a folder you may write to"
        ) from error


def _write_all(scene: SceneSettings, sequences: int, output: Path, *, video: bool, console: Console) -> None:
    from dataclasses import replace

    from trackcli.synth.files import write_sequence
    from trackcli.synth.sequences import make_sequence
    from trackcli.synth.settings import derive_seed

    with console.progress() as progress:
        task = progress.add_task("making sequences", total=sequences, rate="")
        for index in range(sequences):
            sequence = make_sequence(replace(scene, seed=derive_seed(scene.seed, index)))
            write_sequence(sequence, output / f"synth_{index:05d}", video=video)
            progress.advance(task)


def _report(output: Path, *, sequences: int, frames: int, as_json: bool) -> None:
    if as_json:
        import json

        print(json.dumps({"sequences": sequences, "frames": frames, "output": str(output)}))
        return
    from trackcli.cli.errors import strip_control_characters

    noun = "sequence" if sequences == 1 else "sequences"
    print(f"{sequences} {noun} of {frames} frames in {strip_control_characters(str(output))}")
