"""Success against the number of proposals K, as in the paper's figure 6 (a).

Usage::

    trackcli stage-variants runs/spm -o variants --proposals 1,3,5,7,9,11,15
    trackcli eval --root dev --jobs 2 --json --tracker variants/k-01.safetensors … -o results > k.json
    python plugins/spm/benchmarks/figure_6a.py spm=k.json -o figures

Several ``LABEL=FILE`` give several lines, with generalised training and without, say.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

from trackcli.reporting.charts import Axis, Line, LineChart
from trackcli.reporting.figures import save_figures


def main() -> None:
    """Read, print, draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", nargs="+", metavar="LABEL=FILE", help="what trackcli eval --json printed")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for success-by-proposals.png and .pdf")
    arguments = parser.parse_args()
    lines = []
    for style, text in enumerate(arguments.files):
        label, equals, file = text.partition("=")
        if not equals:
            raise SystemExit(f"error: {text!r} is not LABEL=FILE; expected e.g. spm=k.json")
        points = successes(json.loads(Path(file).read_text(encoding="utf-8")))
        if not points:
            raise SystemExit(f"error: {file} has no tracker named k-NN; expected those of trackcli stage-variants")
        print(f"{label}: " + "  ".join(f"K={count} {value:.3f}" for count, value in points))
        lines.append(Line(label, tuple(float(count) for count, _ in points), tuple(v for _, v in points), style))
    chart = LineChart(
        "success-by-proposals",
        "Success against the number of proposals",
        Axis("proposals K", 0.0, max(max(line.xs) for line in lines) + 1),
        Axis("success (area under the curve)", 0.0, 1.0),
        tuple(lines),
    )
    for path in save_figures([chart], arguments.output):
        print(path)


def successes(result: dict[str, object]) -> list[tuple[int, float]]:
    """K and success of every tracker ``k-<K>``, by K."""
    trackers = result["trackers"]
    assert isinstance(trackers, list)
    found = ((re.search(r"(?:^|/)k-(\d+)(?:\.safetensors)?$", str(each["tracker"])), each) for each in trackers)
    return sorted((int(match[1]), float(each["success_auc"])) for match, each in found if match)


if __name__ == "__main__":
    main()
