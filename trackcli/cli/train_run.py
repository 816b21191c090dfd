"""What ``trackcli train`` does once the recipe is known: data, run folder, the run itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from trackcli.cli.console import Console
    from trackcli.composition.defaults import Completed
    from trackcli.composition.plan import Plan
    from trackcli.training.distributed import World
    from trackcli.training.initial import InitialWeights, Loaded
    from trackcli.training.observe import Driven, RunObserver
    from trackcli.training.run import TrainingRun
    from trackcli.training.sources import DataSource

T = TypeVar("T")


LOG_SUFFIXES = (".log", ".out", ".err", ".txt")
"""What a job's script lets its output go to, often in the run folder itself, before the run begins."""


@dataclass(frozen=True)
class TrainOptions:
    """What the command line says beside the recipe; names are the options'."""

    data: tuple[str, ...]
    output: Path | None
    device: str
    init_from: str
    init_backbone: str
    val: Path | None
    resume: bool
    force: bool
    as_json: bool


def check_resumable(folder: Path, *, described: bool) -> None:
    """Refuse to begin another training where ``--resume`` was to go on with one.

    A job's script may say ``--resume`` every time: with data or a recipe beside it, it may begin in a new folder.

    Args:
        folder: The run folder.
        described: Whether data or a recipe were named.

    Raises:
        UsageError: if the folder holds no run, and holds something else or nothing says what to begin.
    """
    from trackcli.cli.train import CONFIG_FILE
    from trackcli.errors import UsageError

    if (folder / CONFIG_FILE).is_file():
        return
    if not described:
        raise UsageError(
            f"no run in {folder} (there is no {CONFIG_FILE}); expected the folder of the run to go on with, "
            "or --data or a recipe such as --preset too, to begin one there"
        )
    if _is_foreign(folder):
        raise UsageError(
            f"-o {folder} is not empty and holds no run (no {CONFIG_FILE}, recipe or checkpoint); "
            "expected the folder of the run to go on with, or a new one"
        )


def _is_foreign(folder: Path) -> bool:
    """Whether a folder holds something, but neither a run nor what is left of one that was killed at its beginning."""
    from trackcli_cache.files import LOCK_NAME, PART_SUFFIX

    from trackcli.training.checkpoint import PATTERN
    from trackcli.training.setup import RECIPE_FILE

    if not folder.is_dir() or (folder / RECIPE_FILE).is_file() or any(folder.glob(PATTERN)):
        return False
    harmless = {PART_SUFFIX, *LOG_SUFFIXES}
    return any(path.name != LOCK_NAME and path.suffix not in harmless for path in folder.iterdir())


def run_training(completed: Completed, planned: Plan, options: TrainOptions, console: Console) -> None:
    """Train, alone or as one of the processes that ``torchrun`` started."""
    from contextlib import nullcontext

    from trackcli_cache.files import only_writer, write_whole

    from trackcli.cli.train import CONFIG_FILE
    from trackcli.composition.record import recipe_toml
    from trackcli.evaluation.datasets import load_folder_sequences
    from trackcli.host.registry import installed
    from trackcli.training.distributed import joined_world
    from trackcli.training.setup import prepare_folder, set_up

    with joined_world(options.device) as (world, own_device):
        sources = data_sources(options, console, world)
        preset = completed.recipe.preset
        folder = options.output or Path(_first_does(world, lambda: str(_next_run_folder(preset, console))))
        if options.val is not None:
            load_folder_sequences(options.val)  # refused now rather than after hours of training
        initial = initial_weights(planned, options, console, world)
        _refuse_own_tracker(initial, folder, options)
        with only_writer(folder) if world.is_first else nullcontext():
            _first_does(world, lambda: prepare_folder(folder, resume=options.resume, force=options.force))
            run, loaded = set_up(
                planned,
                installed(),
                data=sources,
                folder=folder,
                device=own_device,
                initial=initial,
                resume=options.resume,
                note=console.note,
                warn=console.warn,
                world=world,
            )
            if world.is_first:
                write_whole(folder / CONFIG_FILE, recipe_toml(completed, planned).encode())
            if loaded is not None and loaded.provenance:
                run.checkpoint()  # a run killed before its first one would go on from chance
            driven = _run(run, options, console)
            if world.is_first:
                _finish(run, driven, loaded, options, console)
            world.wait()


def data_sources(options: TrainOptions, console: Console, world: World) -> list[DataSource]:
    """The caches named, else those of the run that goes on, else the synthetic one, built once."""
    from trackcli.training.sources import DataSource, remembered_sources

    if options.data:
        return [DataSource.parse(text) for text in options.data]
    if options.resume and options.output is not None and (remembered := remembered_sources(options.output)):
        return remembered
    return [DataSource.parse(_first_does(world, lambda: _synthetic_data(console)))]


def initial_weights(planned: Plan, options: TrainOptions, console: Console, world: World) -> InitialWeights:
    """The files behind ``--init-from`` and ``--init-backbone``; what is missing is fetched by the first process."""
    import os

    from trackcli.composition.published import IMAGENET, published_weights
    from trackcli.config.folders import user_cache_folder
    from trackcli.host.registry import installed
    from trackcli.tracking.tracker import find_tracker_file
    from trackcli.training.initial import InitialWeights

    tracker = find_tracker_file(options.init_from, installed()) if options.init_from else None
    backbone = Path(options.init_backbone) if options.init_backbone else None
    if options.init_backbone == IMAGENET and not Path(IMAGENET).is_file():
        folder = user_cache_folder(os.environ) / "weights"
        found = _first_does(world, lambda: str(published_weights(planned, folder, note=console.note)))
        backbone = Path(found)
    return InitialWeights(tracker, options.init_from, backbone)


def _refuse_own_tracker(initial: InitialWeights, folder: Path, options: TrainOptions) -> None:
    """``--force`` would delete or overwrite what the run is to start from."""
    from trackcli.errors import UsageError

    given = {
        f"--init-from {options.init_from}": initial.tracker,
        f"--init-backbone {options.init_backbone}": initial.backbone,
    }
    for name, path in given.items():
        if options.force and path is not None and path.resolve().parent == folder.resolve():
            raise UsageError(f"{name} is in -o {folder}, whose run --force replaces; use another run folder")


def _synthetic_data(console: Console) -> str:
    """Build the synthetic cache, once, and say that this is no real training."""
    import os

    from trackcli.config.folders import user_cache_folder
    from trackcli.synth.cache import build_synth_cache, synth_cache_path

    folder = user_cache_folder(os.environ)
    console.note(
        f"no --data given: smoke run, not a real training, on synthetic sequences in {synth_cache_path(folder)}; "
        "for a real one: trackcli cache build --root DATASET -o CACHE, then --data CACHE"
    )
    with console.progress() as progress:
        task = progress.add_task("making sequences", total=None, rate="")
        build_synth_cache(folder, on_sequence=lambda done, total: progress.update(task, completed=done, total=total))
    return str(synth_cache_path(folder))


def _next_run_folder(preset: str | None, console: Console) -> Path:
    """``runs/siamrpn-pp-1``, or the first number that is free."""
    from itertools import count

    name = (preset or "recipe").replace(":", "-")
    folder = next(path for number in count(1) if not (path := Path("runs") / f"{name}-{number}").exists())
    console.note(f"no -o given: the run goes to {folder}")
    return folder


def _first_does(world: World, work: Callable[[], T]) -> T:
    """Let the first process do what all need and one must do; all get the result."""
    result: T = world.from_first(work() if world.is_first else None)
    return result


def _run(run: TrainingRun, options: TrainOptions, console: Console) -> Driven:
    """Drive the run: progress for the eye, metrics and TensorBoard for the record, validation on the way.

    Interrupted, it says how to go on: by then the checkpoint is written.
    """
    from trackcli.cli.errors import Terminated
    from trackcli.cli.train_progress import progress_of
    from trackcli.training.observe import MetricsLog, drive
    from trackcli.training.validate import BestByValidation

    best = BestByValidation(run, options.val) if options.val is not None else None
    try:
        with progress_of(run, console) as progress:
            observers: list[RunObserver] = []
            if run.world.is_first:
                observers = [MetricsLog(run), *_tensorboard(run, console), progress]
            return drive(run, observers, best=best)
    except (KeyboardInterrupt, Terminated):
        console.note(f"stopped after step {run.step} of {run.total}; to go on: {_command_to_go_on(run, options)}")
        raise


def _command_to_go_on(run: TrainingRun, options: TrainOptions) -> str:
    """What the run folder does not remember is said again."""
    import shlex

    words = ["trackcli", "train", "--resume", "-o", str(run.folder)]
    if options.val is not None:
        words += ["--val", str(options.val)]
    if options.device != "auto":
        words += ["--device", options.device]
    return ("torchrun … -m " if run.world.is_shared else "") + shlex.join(words)


def _tensorboard(run: TrainingRun, console: Console) -> list[RunObserver]:
    from trackcli.training.tensorboard import HOW_TO_INSTALL, TensorBoardLog, tensorboard_writer

    if not run.config.tensorboard:
        return []
    writer = tensorboard_writer(run.folder, run.step)
    if writer is None:
        console.note(f"TensorBoard is not installed, so nothing is written for it; to have it: {HOW_TO_INSTALL}")
        return []
    return [TensorBoardLog(writer, pictures_every=run.timeline.steps_in(run.config.pictures_every))]


def format_figures(figures: dict[str, float]) -> str:
    """``success_auc 0.512  precision_20 0.640``."""
    return "  ".join(f"{name} {value:.3f}" for name, value in figures.items())


def _finish(run: TrainingRun, driven: Driven, loaded: Loaded | None, options: TrainOptions, console: Console) -> None:
    """Say where the tracker is."""
    from trackcli.cli.listing import print_json
    from trackcli.tracking.tracker import RUN_TRACKER

    tracker = run.folder / RUN_TRACKER
    terms = driven.last.terms if driven.last else {}
    result: dict[str, Any] = {"tracker": str(tracker), "steps": run.step, "terms": terms}
    if loaded is not None and (found := loaded.as_data()):
        result["initial"] = found
    if driven.figures is not None:
        result["validation"] = driven.figures
    if options.as_json:
        print_json(result)
    console.note(f"tracker: {tracker}")
