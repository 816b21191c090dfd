"""URLs lose passwords and tokens wherever they are shown or stored."""

from __future__ import annotations

import json
import string
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackcli.redaction import redact, redact_url

SECRET_NAMES = [
    *("token", "access_token", "key", "api_key", "secret", "password", "passwd", "pwd", "signature", "sig", "auth"),
    *(
        "X-Amz-Signature",
        "X-Amz-Credential",
        "X-Amz-Security-Token",
        "X-Goog-Signature",
        "%74oken",
        "TOKEN",
        "loginpas",
    ),
]
SECRETS = st.text(string.ascii_letters + string.digits, min_size=1, max_size=12).map(lambda text: f"s3c{text}r3t")
PASSWORDS = st.text(string.ascii_letters + string.digits + "/@:#?!$*+,;=~^|[]{}()\\", min_size=0, max_size=12).map(
    lambda text: f"s3c{text}r3t"
)
WORDS = st.text(string.ascii_lowercase, min_size=1, max_size=8)
PLAIN = st.text("bcdfhlmnqrvz", min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://user:secret@host/x?token=abc", "rtsp://***@host/x?token=***"),
        ("rtsp://user@host:554/x", "rtsp://***@host:554/x"),
        ("https://host/@channel/clip.mp4", "https://host/@channel/clip.mp4"),
        ("http://[::1]:8080/x?quality=high&t=10", "http://[::1]:8080/x?quality=high&t=10"),
        ("rtsp://admin:p@ss/w@rd@host/1", "rtsp://***@host/1"),
        ("http://proxy/?url=rtsp://user:secret@camera/&a=1", "http://proxy/?url=rtsp://***@camera/&a=1"),
        ("http://proxy/?url=rtsp%3A%2F%2Fuser%3Asecret%40camera&a=1", "http://proxy/?url=***&a=1"),
        ("http://host/x;token=abc#access_token=def", "http://host/x;token=***"),
        ("clips/user:name@home.mp4", "clips/user:name@home.mp4"),
    ],
)
def test_known_addresses(url: str, shown: str) -> None:
    assert redact_url(url) == shown


@given(WORDS, PASSWORDS, WORDS, st.sampled_from(["rtsp", "http", "https", "srt", "RTMP"]), st.booleans())
def test_no_password_survives_whatever_is_in_it(
    user: str, password: str, host: str, scheme: str, escaped: bool
) -> None:
    written = quote(password, safe="") if escaped else password
    shown = redact_url(f"{scheme}://{user}:{written}@{host}/live?channel=1")
    assert shown == f"{scheme}://***@{host}/live?channel=1"


@given(st.sampled_from(SECRET_NAMES), SECRETS, PLAIN, SECRETS, st.sampled_from("?&;#"))
def test_values_of_secret_parameters_are_hidden_and_others_kept(
    name: str, secret: str, plain: str, value: str, separator: str
) -> None:
    shown = redact_url(f"https://host/clip.mp4?{plain}={value}{separator}{name}={secret}&{plain}={value}")
    assert secret not in shown.replace(f"{plain}={value}", "")
    assert shown == f"https://host/clip.mp4?{plain}={value}{separator}{name}=***&{plain}={value}"


@given(st.text(max_size=80))
def test_redacting_twice_is_redacting_once_and_text_without_urls_stays(text: str) -> None:
    once = redact(text)
    assert redact(once) == once
    if "://" not in text and "%2f%2f" not in text.lower():
        assert once == text


@given(
    WORDS, SECRETS, WORDS, st.sampled_from(["'{}'", '"{}"', "{}", "({})", "--data={}", "x\n{}\ny", "'{}';", "{}, and"])
)
def test_urls_are_found_in_messages(user: str, secret: str, host: str, message: str) -> None:
    url = f"rtsp://{user}:{secret}@{host}/x?token={secret}"
    shown = redact(message.format(url))
    assert secret not in shown
    assert f"rtsp://***@{host}/x?token=***" in shown


SECRET_URL = "rtsp://user:pa55word@127.0.0.1:1/x?token=t0ps3cret"


@pytest.mark.parametrize(
    "arguments",
    [
        ("track", SECRET_URL, "--init", "1,2,3,4"),
        ("track", SECRET_URL, "--init", "1,2,3,4", "--debug"),
        ("track", SECRET_URL, "--init", "1,2,3,4", "--json"),
        ("track", SECRET_URL.replace("rtsp", "gopher"), "--init", "1,2,3,4"),
        ("track", "x.mp4", "--init", SECRET_URL),
        ("track", "x.mp4", "--init", "1,2,3,4", SECRET_URL),
        ("eval", "--tracker", "hold", "--root", SECRET_URL),
        ("eval", "--tracker", SECRET_URL, "--root", "."),
        ("cache", "build", "--root", SECRET_URL, "-o", "c"),
        ("cache", "info", SECRET_URL),
        ("train", "--config", SECRET_URL),
        ("train", "--data", SECRET_URL, "-o", "run"),
        ("report", SECRET_URL),
        (SECRET_URL,),
    ],
)
def test_no_command_says_a_secret(run, tmp_path, arguments) -> None:
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode in {2, 3}
    said = done.stdout + done.stderr
    assert "pa55word" not in said
    assert "t0ps3cret" not in said
    if "--json" in arguments:
        assert "rtsp://***@127.0.0.1:1/x?token=***" in json.loads(done.stdout)["error"]
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert all(b"pa55word" not in path.read_bytes() for path in kept)


def test_a_run_that_works_shows_and_keeps_no_secret_either(run, server, tmp_path, untrained_tracker) -> None:
    options = (
        "--init",
        "50,40,40,30",
        "--tracker",
        untrained_tracker,
        "--end",
        2,
        "-v",
        "-o",
        tmp_path / "boxes.jsonl",
    )
    done = run("track", server.url("whole"), *options)
    assert done.returncode == 0, done.stderr
    assert "http://***@127.0.0.1" in done.stderr
    said = done.stdout + done.stderr + (tmp_path / "boxes.jsonl").read_text()
    assert "pa55word" not in said
    assert "t0ps3cret" not in said
