"""The benchmark of reading runs and prints its ratios."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "cache_reading.py"


@pytest.mark.slow
def test_the_benchmark_measures_all_sides() -> None:
    result = subprocess.run(
        [sys.executable, str(BENCHMARK), "--quick"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert result.returncode == 0, result.stderr
    sides = re.findall(r"^  (.+?) +\d+ pairs/s +([\d.]+)x +\d+ us of processor a pair", result.stdout, re.MULTILINE)
    assert [name for name, _ in sides] == [
        "JPEG folder",
        "jpeg cache, float",
        "jpeg cache, uint8",
        "raw cache, float",
        "raw cache, uint8",
    ]
    assert sides[0][1] == "1.0"
