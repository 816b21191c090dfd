from __future__ import annotations

import pytest
from trackcli_cache.build import BuildProgress

from trackcli.cli.cache_progress import log_line, show_images
from trackcli.cli.console import Console


def test_a_line_of_the_log_tells_the_rate_and_the_time_left():
    state = BuildProgress(images=1000, images_total=37_000, images_encoded=600)
    assert log_line(state, 5.0) == "1000 of 37000 images, 5 images/s, 2.0 h left"
    assert log_line(state, 900.0).endswith("900 images/s, 40 s left")
    assert log_line(state, 0.0) == "1000 of 37000 images, 0 images/s"


def test_without_a_terminal_there_is_a_line_every_half_minute(capsys):
    now = [0.0]
    with show_images(Console(), clock=lambda: now[0]) as on_progress:
        for second in range(0, 65, 5):
            now[0] = float(second)
            on_progress(BuildProgress(images=2 * second, images_total=1000, images_encoded=2 * second))
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["60 of 1000 images, 2 images/s, 8 min left", "120 of 1000 images, 2 images/s, 7 min left"]


def test_the_rate_leaves_out_the_time_that_the_annotations_took(capsys):
    now = [0.0]
    with show_images(Console(), clock=lambda: now[0]) as on_progress:
        for now[0], encoded in ((600.0, 0), (640.0, 200)):
            on_progress(BuildProgress(images=encoded, images_total=1000, images_encoded=encoded))
    assert capsys.readouterr().err.splitlines()[-1] == "200 of 1000 images, 5 images/s, 3 min left"


@pytest.mark.parametrize("quiet", [True, False])
def test_a_short_build_says_nothing_to_a_log(capsys, quiet):
    with show_images(Console(quiet=quiet)) as on_progress:
        on_progress(BuildProgress(images=1, images_total=2, images_encoded=1))
    assert capsys.readouterr().err == ""
