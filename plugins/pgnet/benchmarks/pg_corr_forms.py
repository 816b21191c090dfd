"""Which form of pixel-to-global correlation is quickest, and does the cost model choose it?

Usage::

    python plugins/pgnet/benchmarks/pg_corr_forms.py [--device cuda] [--repeats 15] [--json FILE]

Times one level of the matcher, behind the 1×1 that adjusts it, for each form: the template's part, the search region's,
and what both cost per search region when a template is used once (training, with the gradients) or for many frames
(tracking). The last columns: the form that the model takes (``trackcli_pgnet.forms``), and how much slower it is than
the quickest.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor
from trackcli_pgnet.forms import FORMS, FRAMES_TRACKED, Work, cheapest
from trackcli_pgnet.pg_corr import PgTask

from trackcli.composition.model import TrackerModel
from trackcli.engines.eager import optimised


@dataclass(frozen=True)
class Case:
    """One size.

    Attributes:
        channels: C.
        side: Cells per side of the search level.
        batch: Targets.
        training: One search region per template, with gradients; else as many as tracking is thought to have.
        template: Cells per side of the template's centre.
    """

    channels: int
    side: int
    batch: int
    training: bool
    template: int = 7

    @property
    def work(self) -> Work:
        """What the cost model is asked."""
        return Work(self.channels, self.template**2, self.side**2, 1 if self.training else FRAMES_TRACKED)


CASES = (
    Case(256, 31, 1, training=False),
    Case(256, 31, 8, training=False),
    Case(256, 103, 1, training=False),
    Case(128, 31, 1, training=False),
    Case(64, 31, 1, training=False),
    Case(256, 31, 4, training=True),
    Case(128, 31, 4, training=True),
    Case(64, 31, 4, training=True),
    Case(256, 16, 4, training=True),
    Case(256, 8, 4, training=True),
)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=15, help="The median of so many runs counts.")
    parser.add_argument("--json", type=Path, help="Write the figures there too.")
    arguments = parser.parse_args()
    print("|    C | cells | targets | use      | two-matmul ms | gram ms | folded ms | model takes | slower by |")
    print("| ---: | ----: | ------: | -------- | ------------: | ------: | --------: | ----------- | --------: |")
    rows = []
    for case in CASES:
        times = measure(case, arguments.device, arguments.repeats)
        chosen = cheapest(case.work)
        slower = times[chosen] / min(times.values()) - 1
        size = f"{case.channels:4} | {case.side**2:5} | {case.batch:7} | {'training' if case.training else 'tracking'}"
        shown = " | ".join(f"{times[form]:{width}.2f}" for form, width in zip(FORMS, (13, 7, 9), strict=True))
        print(f"| {size} | {shown} | {chosen:11} | {slower:9.0%} |", flush=True)
        rows.append({**asdict(case), "ms": times, "chosen": chosen, "slower": slower})
    if arguments.json is not None:
        arguments.json.write_text(json.dumps({"device": arguments.device, "rows": rows}, indent=1) + "\n")


def measure(case: Case, device: str, repeats: int) -> dict[str, float]:
    """Milliseconds per search region batch, by form; the forms take turns, so that other load meets all alike."""
    runs = {form: prepare(case, form, device) for form in FORMS}
    collected: dict[str, list[float]] = {form: [] for form in FORMS}
    for _ in range(repeats):
        for form, (embed, match) in runs.items():
            template_ms, kernel = timed(embed, device)
            search_ms, _ = timed(lambda match=match, kernel=kernel: match(kernel), device)  # type: ignore[misc]
            collected[form].append(search_ms + template_ms / case.work.frames)
    return {form: statistics.median(values[2:] or values) for form, values in collected.items()}


def prepare(case: Case, form: str, device: str) -> tuple[Callable[[], Tensor], Callable[[Tensor], Tensor]]:
    """The template's part and the search region's, as the matcher runs them: channels last, norms folded to track."""
    torch.manual_seed(0)
    task = PgTask(case.channels, own_fit=False).to(device)
    task = task.train() if case.training else cast(PgTask, optimised(cast(TrackerModel, task)))  # any module will do
    shape = (case.batch, case.channels)
    template = torch.randn(*shape, case.template, case.template, device=device)
    search = torch.randn(*shape, case.side, case.side, device=device).contiguous(memory_format=torch.channels_last)

    def embed() -> Tensor:
        with torch.set_grad_enabled(case.training):
            return task.embed(template, form, mean=True)  # type: ignore[arg-type]

    def match(kernel: Tensor) -> Tensor:
        if not case.training:
            with torch.inference_mode():
                result: Tensor = task(search, kernel, form)
                return result
        search.requires_grad_()
        result = task(search, kernel, form)
        result.square().mean().backward()  # type: ignore[no-untyped-call]
        return result

    return embed, match


def timed(run: Callable[[], Tensor], device: str) -> tuple[float, Tensor]:
    """Milliseconds, and what came out."""
    if device != "cpu":
        torch.cuda.synchronize()
    start = time.perf_counter()
    result = run()
    if device != "cpu":
        torch.cuda.synchronize()
    return 1000 * (time.perf_counter() - start), result


if __name__ == "__main__":
    main()
