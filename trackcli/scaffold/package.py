"""Writing a new plugin: a small package that works, from the templates of its kind."""

from __future__ import annotations

import keyword
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from importlib import metadata, resources
from importlib.util import find_spec
from pathlib import Path
from string import Template

from trackcli.errors import InputDataError, UsageError
from trackcli.host.registry import KINDS, Registry

NEW_KINDS = ("backbone", "matcher", "head", "loss", "postprocessor", "dataset", "sampler")
"""The kinds of plugin that can be written."""

MOST_CHARACTERS = 40
"""Longest name; it becomes part of file names."""

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_PREFIX = "trackcli-"
_CONFIG_ROW = "| `$package/config.py` | its settings, and what it promises; imports no torch |\n"


def new_package(name: str, kind: str, folder: Path | None, registry: Registry) -> Path:
    """Write a plugin's package.

    It is written beside its place and moved there when it is whole.

    Args:
        name: The component's name, kebab-case; the distribution becomes ``trackcli-<name>``.
        kind: One of :data:`NEW_KINDS`.
        folder: Where to write; ``trackcli-<name>`` if None. It must not exist, or be empty.
        registry: What is installed: a name that is there already would be ambiguous.

    Returns:
        The folder.

    Raises:
        UsageError: for a name that cannot be one, a kind that there is no template for, or a folder that is not empty.
        InputDataError: if the folder cannot be written.
    """
    _check_kind(kind)
    _check_name(name, kind, registry)
    target = Path(f"{_PREFIX}{name}") if folder is None else folder
    if target.is_dir() and any(target.iterdir()):
        raise UsageError(f"folder '{target}' is not empty; nothing is overwritten: choose another with -o")
    if target.exists() and not target.is_dir():
        raise UsageError(f"'{target}' is a file; choose a folder with -o")
    try:
        target.absolute().parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".new-plugin-", dir=target.absolute().parent) as beside:
            made = Path(beside) / "package"
            for path, text in package_files(name, kind).items():
                file = made / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")
            if target.exists():  # empty; it may be where somebody stands
                for part in made.iterdir():
                    shutil.move(part, target / part.name)
            else:
                shutil.move(made, target)
    except OSError as error:
        reason = error.strerror or error
        raise InputDataError(f"folder '{target}' cannot be written ({reason}); choose another with -o") from error
    return target


def package_files(name: str, kind: str) -> dict[str, str]:
    """The files of a new package, by path."""
    words = _words(name, kind)
    usage = _filled(kind, "usage.md", words)
    config_row = Template(_CONFIG_ROW if _has_template(kind, "config.py") else "").substitute(words)
    package = words["package"]
    files = {
        "pyproject.toml": _filled("common", "pyproject.toml", words),
        "README.md": _filled("common", "README.md", words | {"usage": usage.rstrip(), "config_row": config_row}),
        f"{package}/__init__.py": _filled("common", "init.py", words),
    }
    for module in _modules(kind):
        files[f"{package}/{module}"] = _filled(kind, module, words)
    files[f"tests/test_{package.removeprefix('trackcli_')}.py"] = _filled(kind, "test.py", words)
    return files


def _words(name: str, kind: str) -> dict[str, str]:
    """What the templates' placeholders mean."""
    parts = name.split("-")
    if len(parts) > 1 and parts[-1] == kind:  # MyMatcher, not MyMatcherMatcher
        parts = parts[:-1]
    return {
        "name": name,
        "kind": kind,
        "distribution": f"{_PREFIX}{name}",
        "package": f"{_PREFIX}{name}".replace("-", "_"),
        "class_name": "".join(part.capitalize() for part in parts),
    }


def _modules(kind: str) -> Iterator[str]:
    for module in ("plugin.py", "config.py", "component.py"):
        if _has_template(kind, module):
            yield module


def _has_template(kind: str, name: str) -> bool:
    return (resources.files("trackcli.scaffold") / "templates" / kind / f"{name}.tmpl").is_file()


def _filled(folder: str, name: str, words: Mapping[str, str]) -> str:
    template = resources.files("trackcli.scaffold") / "templates" / folder / f"{name}.tmpl"
    return Template(template.read_text(encoding="utf-8")).substitute(words)


def _check_kind(kind: str) -> None:
    if kind not in NEW_KINDS:
        raise UsageError(f"unknown --kind {kind!r}; expected one of: {', '.join(NEW_KINDS)}")


def _is_installed(distribution: str) -> bool:
    try:
        metadata.distribution(distribution)
    except metadata.PackageNotFoundError:
        return find_spec(distribution.replace("-", "_")) is not None
    return True


def _check_name(name: str, kind: str, registry: Registry) -> None:
    if name.startswith(_PREFIX):
        raise UsageError(f"name {name!r} begins with {_PREFIX!r}, which is added to it; write {name[len(_PREFIX) :]!r}")
    if not _NAME.fullmatch(name) or len(name) > MOST_CHARACTERS:
        raise UsageError(
            f"name {name!r} is not kebab-case; expected small letters, digits and single hyphens, a letter first, at "
            f"most {MOST_CHARACTERS} characters, like 'my-{kind}'"
        )
    if keyword.iskeyword(name):
        raise UsageError(f"name {name!r} is a word of Python; choose another, like 'my-{name}'")
    distribution = f"{_PREFIX}{name}"
    if _is_installed(distribution):
        raise UsageError(
            f"a package {distribution!r} is installed already, which this one would replace; choose another name"
        )
    if taken := registry.matching(name, KINDS[kind]):
        raise UsageError(
            f"{kind} {name!r} is there already, of {taken[0].distribution} {taken[0].version}; choose another name, "
            "since the bare one would be ambiguous"
        )
