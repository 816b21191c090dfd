"""A listing of any length passes through a builder; it is never held."""

from __future__ import annotations

import subprocess
import sys

import pytest

resource = pytest.importorskip("resource")

SCRIPT = """
import resource, sys
from pathlib import Path
from trackcli_cache.crops import objects_per_shard
from trackcli_cache.datasets import AnnotatedObject, SourceImage
from trackcli_cache.settings import TierSettings
from trackcli_cache.survey import BuildOptions, shard_tasks, survey_dataset

class Listing:
    name, root = "listing", Path("/data")
    def __init__(self, frames): self.frames = frames
    def images(self):
        for number in range(self.frames):
            objects = (AnnotatedObject((1.0, 2.0, 30.0 + number % 7, 40.0), 0, "thing"),)
            path = self.root / f"video-{number // 1000:04d}" / f"{number % 1000:04d}.jpg"
            yield SourceImage(path, path.parent.name, number % 1000, objects)

def peak(frames):
    options = BuildOptions(TierSettings(), "jpeg", None, objects_per_shard(TierSettings(), "jpeg"))
    survey = survey_dataset(Listing(frames), options)
    images = sum(task.images for task in shard_tasks(Listing(frames), options, survey, range(survey.shards)))
    assert images == survey.images == frames
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 2**20)

small = peak(2_000)
print(peak(60_000) - small)
"""


def test_surveying_and_dividing_a_long_listing_needs_no_more_memory_than_a_short_one():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    # Sixty thousand images would take over 50 MiB; names and counts of sequences and shards remain.
    assert float(done.stdout) < 8
