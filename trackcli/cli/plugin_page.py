"""One component as a page of text: what ``trackcli plugins show`` prints for a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

LABEL_WIDTH = 14


def page_of(about: Mapping[str, Any]) -> list[str]:
    """The lines of one component's page.

    Args:
        about: What :func:`trackcli.host.description.describe` gave.
    """
    return [
        f"{about['kind']} {about['label']}: {about['summary']}",
        *_lines(about),
    ]


def _lines(about: Mapping[str, Any]) -> Iterator[str]:
    yield _labelled("from", f"{about['distribution']} {about['version']}")
    for label, key in (
        ("paper", "paper"),
        ("home preset", "home_preset"),
        ("stage", "stage"),
        ("file", "file"),
        ("model card", "card"),
    ):
        if key in about:
            yield _labelled(label, about[key])
    for label, key in (("its losses", "default_losses"), ("its links", "default_postprocessors")):
        if key in about:
            yield _labelled(label, ", ".join(about[key]))
    yield from _data(about)
    for kind, given in about.get("components", {}).items():
        yield _labelled(kind, given if isinstance(given, str) else ", ".join(given))
    yield from _declared(about.get("declares", {}))
    for kind, names in about.get("fits", {}).items():
        yield _labelled(f"fits {kind}", ", ".join(names) or "none that is installed, with default settings")
    yield from _settings(about)
    if "problem" in about:
        yield _labelled("broken", about["problem"])


def _data(about: Mapping[str, Any]) -> Iterator[str]:
    """What datasets and sinks say about themselves."""
    if "splits" in about:
        first, *others = about["splits"]
        yield _labelled("splits", ", ".join([f"{first} (unless --split says otherwise)", *others]))
    if about["kind"] == "dataset":
        yield _labelled("evaluation", "yes" if about.get("sequences") else "no: it has no tracking sequences")
    if "tree" in about:
        yield _labelled("expects", "")
        yield from (f"    {line}" for line in str(about["tree"]).strip("\n").splitlines())
    if "suffixes" in about:
        yield _labelled("writes", ", ".join(about["suffixes"]))
    if "most_targets" in about:
        yield _labelled("most targets", str(about["most_targets"]))


def _declared(declares: Mapping[str, Any]) -> Iterator[str]:
    for name, level in declares.get("levels", {}).items():
        yield _labelled(
            "level", f"{name}: {level['channels']} channels, stride {level['stride']}, cell 0 at {level['offset']}"
        )
    for name, response in declares.get("responses", {}).items():
        yield _labelled("response", f"{_response_text(name, response)} (on {declares['on']})")
    if "takes" in declares:
        yield _labelled("takes", " or ".join(declares["takes"]) or "any predictions")
    if "predicts" in declares:
        widths = declares["channels_per_cell"]
        yield _labelled("predicts", declares["predicts"])
        yield _labelled("per cell", f"{widths['classification']} scores, {widths['regression']} box values")


def _response_text(name: str, response: Mapping[str, Any]) -> str:
    if response["shared"]:
        channels = f"{response['classification']} channels for both tasks"
    else:
        channels = f"{response['classification']} channels for scores, {response['regression']} for boxes"
    return f"{name}: {channels}, stride {response['stride']}"


def _settings(about: Mapping[str, Any]) -> Iterator[str]:
    if "settings" not in about:
        return
    if not about["settings"]:
        yield _labelled("settings", "none")
        return
    yield _labelled("settings", f"with --set {_prefix(about)}.NAME=VALUE")
    for setting in about["settings"]:
        default = "must be given" if setting["default"] is None else f"default {setting['default']}"
        meaning = f": {setting['meaning']}" if setting["meaning"] else ""
        yield f"    {setting['name']} ({setting['type']}; {default}){meaning}"


def _prefix(about: Mapping[str, Any]) -> str:
    """Items of the lists are addressed by their names."""
    kind, label = about["kind"], about["label"]
    return f"{kind}.{label}" if kind in {"loss", "postprocessor"} else str(kind)


def _labelled(label: str, text: str) -> str:
    return f"  {label:<{LABEL_WIDTH}} {text}".rstrip()
