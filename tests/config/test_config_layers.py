"""Layers of configuration: files, merging, --set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from trackcli.config.layers import MAX_CONFIG_BYTES, apply_assignments, merge, read_config_file
from trackcli.config.suggestions import did_you_mean
from trackcli.errors import ConfigError


def refusal(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        read_config_file(path)
    message = str(caught.value)
    assert "\n" not in message
    return message


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_mappings_are_merged_key_by_key_and_lists_replaced() -> None:
    below = {"matcher": {"name": "xcorr", "channels": 64}, "loss": [{"name": "a"}, {"name": "b"}], "preset": "p"}
    above = {"matcher": {"channels": 128}, "loss": [{"name": "c"}]}
    assert merge(below, above) == {
        "matcher": {"name": "xcorr", "channels": 128},
        "loss": [{"name": "c"}],
        "preset": "p",
    }
    assert below["matcher"] == {"name": "xcorr", "channels": 64}, "the lower layer must stay as it was"


def test_toml_and_yaml_files_say_the_same(tmp_path: Path) -> None:
    toml = write(
        tmp_path, "a.toml", '[matcher]\nname = "dw-xcorr"\nchannels = 64\n[[loss]]\nname = "rpn"\nweight = 2.5\n'
    )
    yaml = write(tmp_path, "a.yaml", "matcher: {name: dw-xcorr, channels: 64}\nloss:\n  - name: rpn\n    weight: 2.5\n")
    expected = {"matcher": {"name": "dw-xcorr", "channels": 64}, "loss": [{"name": "rpn", "weight": 2.5}]}
    assert read_config_file(toml) == read_config_file(yaml) == expected


def test_yaml_aliases_are_refused(tmp_path: Path) -> None:
    bomb = write(tmp_path, "bomb.yaml", "a: &a [1, 1]\nb: &b [*a, *a]\nc: [*b, *b]\n")
    assert refusal(bomb) == f"--config {bomb} cannot be read: aliases (*name) are not allowed"


def test_yaml_tags_that_make_objects_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "evil.yaml", "a: !!python/object/apply:os.system ['true']\n")
    assert refusal(path).startswith(f"--config {path} cannot be read: could not determine a constructor")


def test_a_file_above_the_size_cap_is_not_read(tmp_path: Path) -> None:
    path = write(tmp_path, "large.yaml", "a: " + "x" * MAX_CONFIG_BYTES)
    assert refusal(path) == f"--config {path} has {MAX_CONFIG_BYTES + 3} bytes; expected at most {MAX_CONFIG_BYTES}"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "no [/such] file.toml"
    assert refusal(path) == f"--config {path} does not exist; expected a TOML or YAML file"


@pytest.mark.parametrize(("text", "kind"), [("- 1\n- 2\n", "list"), ("just words", "str"), ("", "NoneType")])
def test_a_file_without_keys_is_refused(tmp_path: Path, text: str, kind: str) -> None:
    path = write(tmp_path, "a.yaml", text)
    assert refusal(path) == f"--config {path} holds {kind}; expected keys such as matcher, head, train"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("broken.toml", "a = = 1"),
        ("broken.yaml", "a: [1, 2"),
        ("no such day.yaml", "a: 2001-99-99"),
        ("deep.yaml", "a: " + "[" * 5000),
        ("deep.toml", "a = " + "[" * 5000),
    ],
)
def test_malformed_files_are_one_line(tmp_path: Path, name: str, text: str) -> None:
    path = write(tmp_path, name, text)
    assert refusal(path).startswith(f"--config {path} cannot be read: ")


def test_a_file_that_is_no_text_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "picture.yaml"
    path.write_bytes(b"\x89PNG\xff\xfe")
    assert refusal(path).startswith(f"--config {path} cannot be read: ")


@pytest.mark.parametrize(
    ("assignment", "expected"),
    [
        ("matcher.channels=256", {"matcher": {"channels": 256}}),
        ("train.learning_rate = 1e-3", {"train": {"learning_rate": 0.001}}),
        ("matcher.shared=true", {"matcher": {"shared": True}}),
        ("matcher.levels=['layer2', 'layer3']", {"matcher": {"levels": ["layer2", "layer3"]}}),
        ("backbone.norm=folded", {"backbone": {"norm": "folded"}}),
        ("backbone.norm='folded'", {"backbone": {"norm": "folded"}}),
        ("note=a=b", {"note": "a=b"}),
        ("note=", {"note": ""}),
        ("train.unfreeze.layer3=0.5", {"train": {"unfreeze": {"layer3": 0.5}}}),
    ],
)
def test_values_are_read_as_toml_and_else_as_text(assignment: str, expected: dict[str, Any]) -> None:
    assert apply_assignments({}, [assignment]) == expected


def test_later_assignments_win_and_the_data_stays_as_it_was() -> None:
    data = {"matcher": {"name": "xcorr", "channels": 8}}
    changed = apply_assignments(data, ["matcher.channels=16", "matcher.channels=32"])
    assert changed == {"matcher": {"name": "xcorr", "channels": 32}}
    assert data == {"matcher": {"name": "xcorr", "channels": 8}}


def test_items_of_lists_are_addressed_by_name() -> None:
    data = {"loss": [{"name": "rpn"}, {"name": "contrastive", "margin": 2}], "postprocessor": ({"name": "hold"},)}
    changed = apply_assignments(data, ["loss.rpn.weight=2", "postprocessor.hold.threshold=0.3"])
    assert changed["loss"] == [{"name": "rpn", "weight": 2}, {"name": "contrastive", "margin": 2}]
    assert changed["postprocessor"] == [{"name": "hold", "threshold": 0.3}]
    assert data["loss"][0] == {"name": "rpn"}


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("matcher.channels", "--set matcher.channels is no assignment; expected key=value, e.g. matcher.channels=128"),
        (
            "matcher..channels=1",
            "--set matcher..channels=1 is no assignment; expected key=value, e.g. matcher.channels=128",
        ),
        ("=1", "--set =1 is no assignment; expected key=value, e.g. matcher.channels=128"),
        ("loss.rnp.weight=2", "--set loss.rnp.weight=2: 'rnp' is not in the list loss; did you mean 'rpn'?"),
        ("loss.rpn=2", "--set loss.rpn=2 names an item but no setting of it; expected e.g. loss.rpn.weight=2"),
        (
            "postprocessor.hold.threshold=1",
            "--set postprocessor.hold.threshold=1: 'hold' is not in the list postprocessor; it is empty; "
            "add to it with --add-postprocessor hold",
        ),
        ("preset.name=a", "--set preset.name=a: preset is 'siamrpn-pp', which has no settings"),
    ],
)
def test_assignments_that_lead_nowhere_say_where(assignment: str, message: str) -> None:
    data = {"preset": "siamrpn-pp", "loss": [{"name": "rpn"}], "postprocessor": []}
    with pytest.raises(ConfigError) as caught:
        apply_assignments(data, [assignment])
    assert str(caught.value) == message


def test_a_list_that_holds_no_sections_has_no_items_to_address() -> None:
    with pytest.raises(ConfigError, match="'rpn' is not in the list loss; it is empty"):
        apply_assignments({}, ["loss=['rpn']", "loss.rpn.weight=2"])


def test_suggestions_name_the_nearest_or_list_all() -> None:
    assert did_you_mean("chanels", ["channels", "levels"]) == "did you mean 'channels'?"
    assert did_you_mean("zzz", ["b", "a"]) == "expected one of: a, b"
    assert did_you_mean("zzz", []) == "none is installed"
