"""Does A track better than B? A small fixed budget, several seeds, the development set, and an interval.

Usage::

    python benchmarks/ablation.py --comparison dw-xcorr-vs-xcorr --data CACHE --dev DEV -o OUT
    python benchmarks/ablation.py --a "preset=siamrpn-pp matcher=dw-xcorr" --b "preset=siamrpn-pp matcher=xcorr" \\
        --data CACHE --dev DEV -o OUT [--pairs 20000] [--seeds 3]

``CACHE`` and ``DEV`` are ``OUT/cache`` and ``OUT/dev`` of ``benchmarks/dev_set.py``: the cache lacks what is tracked.
The words of ``--a`` and ``--b`` are ``preset=``, ``backbone=``, ``matcher=``, ``head=``, ``loss=`` (repeatable),
``postprocessor=`` (repeatable), or settings (``matcher.channels=128``). Both sides see the same pairs under each seed.

Everything is resumable: finished trainings and finished sequences are kept, unfinished trainings go on. Writes
``OUT/ablation.json`` and ``OUT/ablation.md``, whatever the result: a difference that may be chance, or the other way
round than claimed, is a result too.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trackcli.evaluation.bootstrap import CONFIDENCE, RESAMPLES, Interval, paired_difference

HERE = Path(__file__).resolve().parent
SIDES = ("a", "b")
OPTIONS = frozenset({"preset", "backbone", "matcher", "head", "loss", "postprocessor"})
PAIRS = 20_000
SEEDS = 3
LEAST_SEQUENCES = 20  # of fewer, resampling does not show how much they differ
DONE = "trained.json"
RUNS = "runs"


@dataclass(frozen=True)
class Comparison:
    """What is compared.

    Attributes:
        name: For the report.
        a: Words of the side that is claimed to be better.
        b: Words of the other.
        claim: What the source says, in a sentence.
        source: Where it says so.
        both: Words in front of those of each side.
        same_weights: Only A is trained. B is A's weights with the words of ``b``: settings that change no weight.
    """

    name: str
    a: str
    b: str
    claim: str = ""
    source: str = ""
    both: str = ""
    same_weights: bool = False

    def words(self, side: str) -> list[str]:
        """``KEY=VALUE`` words of a side."""
        own = self.a if side == "a" else f"{self.a} {self.b}" if self.same_weights else self.b
        return [*self.both.split(), *own.split()]


@dataclass(frozen=True)
class Budget:
    """What each side gets.

    Attributes:
        pairs: Training pairs.
        seeds: Trainings.
        data: Crop cache.
        dev: Sequences to track.
        device: Where to train and track.
        init_backbone: Weights to start from, or None.
        jobs: Processes that track.
        sequences: Patterns of the sequences to track; all if empty.
    """

    pairs: int
    seeds: int
    data: Path
    dev: Path
    device: str
    init_backbone: Path | None
    jobs: int
    sequences: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """What came out.

    Attributes:
        sequences: How many were tracked.
        success: Mean success AUC by side.
        by_seed: Mean success AUC by side, one per seed.
        difference: A minus B, the mean over sequences of means over seeds.
        interval: Of the difference, over sequences.
        verdict: ``reproduced``, ``not reproduced`` or ``reversed``.
    """

    sequences: int
    success: dict[str, float]
    by_seed: dict[str, list[float]]
    difference: float
    interval: tuple[float, float]
    verdict: str


def main() -> None:
    """Train, track, compare, write down."""
    arguments = _parse_arguments()
    comparison, output = _chosen(arguments), arguments.output
    budget = Budget(
        pairs=arguments.pairs,
        seeds=arguments.seeds,
        data=arguments.data,
        dev=arguments.dev,
        device=arguments.device,
        init_backbone=arguments.init_backbone,
        jobs=arguments.jobs,
        sequences=tuple(arguments.sequences),
    )
    for side in SIDES:  # words that are none are named before anything is written
        train_command(comparison.words(side), 0, output, budget)
    output.mkdir(parents=True, exist_ok=True)
    refuse_another_comparison(output, comparison, budget)
    for seed in range(budget.seeds):
        for side in SIDES:  # in turns, so that an interrupted run has both sides of a seed
            if side == "b" and comparison.same_weights:
                write_variant(comparison.b.split(), seed, output / RUNS)
            else:
                train(comparison.words(side), seed, output / RUNS / f"{side}-{seed}", budget)
    outcome = compare(evaluate(output, budget), budget.seeds)
    text = as_markdown(comparison, budget, outcome)
    content = {"comparison": asdict(comparison), "budget": _plain(budget), "outcome": asdict(outcome)}
    (output / "ablation.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    (output / "ablation.md").write_text(text, encoding="utf-8")
    print(text, end="")


def train_command(words: Sequence[str], seed: int, folder: Path, budget: Budget) -> list[str]:
    """The ``trackcli train`` call of one side and seed."""
    command = ["train", "--data", str(budget.data), "-o", str(folder), "--device", budget.device, "-q"]
    command += ["--seed", str(seed), "--epochs", "1", "--set", f"train.pairs_per_epoch={budget.pairs}"]
    if budget.init_backbone is not None:
        command += ["--init-backbone", str(budget.init_backbone)]
    return command + as_options(words)


def as_options(words: Sequence[str]) -> list[str]:
    """``matcher=xcorr a.b=1`` → ``--matcher xcorr --set a.b=1``."""
    options = []
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not value:
            raise SystemExit(
                f"error: {word!r} is no KEY=VALUE; expected preset=…, matcher=…, or a setting such as a.b=1"
            )
        options += [f"--{key}", value] if key in OPTIONS else ["--set", word]
    return options


def train(words: Sequence[str], seed: int, folder: Path, budget: Budget) -> None:
    """Train one side under one seed, unless that is done; go on where an interruption stopped it."""
    if (folder / DONE).is_file():
        return
    command = train_command(words, seed, folder, budget)
    print(f"{folder.name}: {' '.join(words)}, seed {seed}", file=sys.stderr, flush=True)
    result = _trackcli(*command, "--json", *(["--resume"] if folder.is_dir() else []))
    (folder / DONE).write_text(json.dumps(result) + "\n", encoding="utf-8")


def write_variant(words: Sequence[str], seed: int, runs: Path) -> None:
    """Side B with the weights of side A under one seed."""
    target = runs / f"b-{seed}.safetensors"
    _trackcli(
        "trackers", "variant", str(runs / f"a-{seed}"), "-o", str(target), *as_options(words), "--json", "--force"
    )


def evaluate(output: Path, budget: Budget) -> dict[str, dict[str, float]]:
    """Track with every trained tracker; what is there already is read.

    Returns:
        Success AUC by ``<side>-<seed>`` and sequence.
    """
    names = [f"{side}-{seed}" for side in SIDES for seed in range(budget.seeds)]
    trackers = [part for name in names for part in ("--tracker", f"{name}={_tracker(output / RUNS, name)}")]
    chosen = [part for pattern in budget.sequences for part in ("--sequences", pattern)]
    data = _trackcli(
        *("eval", "--root", str(budget.dev), "-o", str(output / "results"), "--device", budget.device, "--json"),
        *("--jobs", str(budget.jobs), *trackers, *chosen),
    )
    return {
        tracker["tracker"]: {one["name"]: one["success_auc"] for one in tracker["sequences"]}
        for tracker in data["trackers"]
    }


def _tracker(runs: Path, name: str) -> Path:
    variant = runs / f"{name}.safetensors"
    return variant if variant.is_file() else runs / name


def compare(success: Mapping[str, Mapping[str, float]], seeds: int) -> Outcome:
    """A against B, paired over sequences; of each sequence the mean over seeds.

    Args:
        success: Success AUC by ``<side>-<seed>`` and sequence.
        seeds: How many.
    """
    names = list(success["a-0"])
    values = {
        side: np.array([[success[f"{side}-{seed}"][name] for name in names] for seed in range(seeds)]) for side in SIDES
    }
    means = {side: values[side].mean(axis=0) for side in SIDES}
    difference, interval = paired_difference(means["a"].tolist(), means["b"].tolist())
    return Outcome(
        sequences=len(names),
        success={side: float(means[side].mean()) for side in SIDES},
        by_seed={side: values[side].mean(axis=1).tolist() for side in SIDES},
        difference=difference,
        interval=(interval.low, interval.high),
        verdict=verdict_of(difference, interval),
    )


def verdict_of(difference: float, interval: Interval) -> str:
    """Whether A came out above B beyond chance."""
    if not interval.excludes_zero:
        return "not reproduced"
    return "reproduced" if difference > 0 else "reversed"


def as_markdown(comparison: Comparison, budget: Budget, outcome: Outcome) -> str:
    """The report."""
    return "\n".join(_markdown(comparison, budget, outcome)) + "\n"


def _markdown(comparison: Comparison, budget: Budget, outcome: Outcome) -> Iterator[str]:
    low, high = outcome.interval
    yield f"# Ablation: {comparison.name}"
    yield ""
    if comparison.claim:
        yield f"Claim: {comparison.claim} ({comparison.source or 'no source given'})."
        yield ""
    yield f"| side | recipe | success | {' | '.join(f'seed {seed}' for seed in range(budget.seeds))} |"
    yield f"| --- | --- | ---: |{' ---: |' * budget.seeds}"
    for side in SIDES:
        seeds = " | ".join(f"{value:.3f}" for value in outcome.by_seed[side])
        yield f"| {side.upper()} | `{' '.join(comparison.words(side))}` | {outcome.success[side]:.3f} | {seeds} |"
    yield ""
    yield f"A − B: **{outcome.difference:+.3f}**, {CONFIDENCE:.0%} interval {low:+.3f} … {high:+.3f}."
    yield ""
    yield f"{_SAID[outcome.verdict]} A is above B under {_seeds_for_a(outcome)} of {budget.seeds} seeds."
    yield ""
    if outcome.sequences < LEAST_SEQUENCES or budget.seeds < SEEDS:
        yield f"**Too little for a verdict**: expected {LEAST_SEQUENCES} sequences and {SEEDS} seeds, or more."
        yield ""
    if comparison.same_weights:
        yield "B has A's weights: it was not trained."
        yield ""
    yield (
        f"{budget.pairs} pairs per training, {budget.seeds} seeds, {outcome.sequences} sequences; the interval is of "
        f"{RESAMPLES} resamples of the sequences, each with its mean over seeds. It says how far the result depends on "
        "the choice of sequences; how far it depends on the seed, the columns show. A small budget favours what learns "
        "quickly, so this is no statement about long trainings."
    )


def _seeds_for_a(outcome: Outcome) -> int:
    return sum(a > b for a, b in zip(outcome.by_seed["a"], outcome.by_seed["b"], strict=True))


_SAID = {
    "reproduced": "The claimed order is **reproduced**: A is above B, and the interval excludes 0.",
    "not reproduced": "The claimed order is **not reproduced**: the interval includes 0, so this may be chance.",
    "reversed": "The claimed order is **not reproduced**: B is above A, and the interval excludes 0.",
}


def load_comparisons(root: Path = HERE.parent) -> dict[str, Comparison]:
    """All named comparisons: the project's own and those of the plugins beside it.

    Raises:
        SystemExit: for a file that is not one, or a name that is there twice.
    """
    found: dict[str, Comparison] = {}
    for path in [root / "benchmarks" / "comparisons.toml", *sorted(root.glob("plugins/*/comparisons.toml"))]:
        entries = tomllib.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        both = entries.pop("both", "")
        for name, entry in entries.items():
            if name in found:
                raise SystemExit(f"error: {path}: comparison {name!r} is there twice; expected each name once")
            try:
                found[name] = Comparison(name, **{"both": both, **entry})
            except TypeError as error:
                raise SystemExit(
                    f"error: {path}: [{name}] must have a, b and may have claim, source, both, same_weights ({error})"
                ) from error
    return found


def refuse_another_comparison(output: Path, comparison: Comparison, budget: Budget) -> None:
    """Trainings of different recipes or budgets are not mixed; a folder in which none has begun is free.

    Raises:
        SystemExit: if the folder holds another comparison.
    """
    path = output / "request.json"
    request = {
        "a": comparison.words("a"),
        "b": comparison.words("b"),
        "pairs": budget.pairs,
        "data": str(budget.data.resolve()),
        "dev": str(budget.dev.resolve()),
        "init_backbone": None if budget.init_backbone is None else str(budget.init_backbone.resolve()),
    }
    begun = path.is_file() and (output / RUNS).is_dir()
    if begun and json.loads(path.read_text(encoding="utf-8")) != request:
        raise SystemExit(f"error: {output} holds another comparison (see {path}); choose another folder with -o")
    path.write_text(json.dumps(request, indent=1) + "\n", encoding="utf-8")


def _chosen(arguments: argparse.Namespace) -> Comparison:
    if arguments.comparison is None:
        if arguments.a is None or arguments.b is None:
            raise SystemExit("error: nothing to compare; expected --comparison NAME, or --a and --b")
        return Comparison("A against B", arguments.a, arguments.b, arguments.claim)
    known = load_comparisons()
    if arguments.comparison not in known:
        raise SystemExit(f"error: --comparison {arguments.comparison} is unknown; expected one of: {', '.join(known)}")
    return known[arguments.comparison]


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--comparison", help=f"a named one: {', '.join(load_comparisons())}")
    parser.add_argument("--a", help="recipe claimed to be better, as KEY=VALUE words")
    parser.add_argument("--b", help="recipe to compare with")
    parser.add_argument("--claim", default="", help="what is claimed, for the report")
    parser.add_argument("--data", type=Path, required=True, help="crop cache without the development set")
    parser.add_argument("--dev", type=Path, required=True, help="folder of sequences to track")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for trainings, results and report")
    parser.add_argument("--pairs", type=_positive, default=PAIRS, help="training pairs of each training")
    parser.add_argument("--seeds", type=_positive, default=SEEDS, help="trainings of each side")
    parser.add_argument("--init-backbone", type=Path, help="weights for the backbone")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument("--jobs", type=_positive, default=1, help="processes that track")
    parser.add_argument("--sequences", action="append", default=[], help="pattern of sequences; repeatable")
    return parser.parse_args()


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not above 0; expected 1 or more")
    return number


def _trackcli(*arguments: str) -> dict[str, Any]:
    """Run a command with ``--json`` and return its object; an error ends the program with its line."""
    done = subprocess.run(
        [sys.executable, "-m", "trackcli", *arguments], stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        said = json.loads(done.stdout)["error"] if done.stdout.startswith("{") else f"exit code {done.returncode}"
        raise SystemExit(f"error: trackcli {arguments[0]}: {said}")
    content: dict[str, Any] = json.loads(done.stdout)
    return content


def _plain(budget: Budget) -> dict[str, Any]:
    return {key: str(value) if isinstance(value, Path) else value for key, value in asdict(budget).items()}


if __name__ == "__main__":
    main()
