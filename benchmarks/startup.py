"""How long ``trackcli --help`` takes, beside what it must not wait for.

Usage::

    python benchmarks/startup.py [--repeats 7]

Prints the fastest of several runs of each program, since everything else that runs on a machine only adds time, and the
ratio to importing torch. The goal is a help page in less than a fifth of that.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

PROGRAMS = {
    "python -c pass": ["-c", "pass"],
    "import trackcli": ["-c", "import trackcli"],
    "trackcli --help": ["-m", "trackcli", "--help"],
    "trackcli track --help": ["-m", "trackcli", "track", "--help"],
    "import torch": ["-c", "import torch"],
}


def fastest_seconds(arguments: list[str], repeats: int) -> float:
    """Shortest wall-clock time of several runs of the interpreter; one more, first, warms the disk's cache."""
    times = []
    for _ in range(repeats + 1):
        began = time.perf_counter()
        subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
        times.append(time.perf_counter() - began)
    return min(times[1:])


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description="Measure how quickly the command line answers.")
    parser.add_argument("--repeats", type=int, default=7, help="runs of each program; the fastest counts")
    repeats = max(1, parser.parse_args().repeats)
    seconds = {name: fastest_seconds(arguments, repeats) for name, arguments in PROGRAMS.items()}
    print(f"{'program':<24}{'ms':>8}{'of torch':>10}")
    for name, measured in seconds.items():
        print(f"{name:<24}{1000 * measured:>8.0f}{measured / seconds['import torch']:>10.2f}")


if __name__ == "__main__":
    main()
