"""Published weights: fetched once, checked against the digits in their name. A real server, on this machine."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from trackcli.composition.defaults import complete
from trackcli.composition.plan import Plan, plan
from trackcli.composition.published import ADDRESS, FILES, fetch, published_weights
from trackcli.errors import InputDataError, UsageError
from trackcli.host.registry import installed

CONTENT = b"weights" * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()
NAME = f"resnet18-{DIGEST[:8]}.pth"


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    """Gives ``CONTENT`` for every path, half of it for ``torn``, 404 for ``missing``; and the paths asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the standard library's name
            asked.append(self.path)
            self.send_response(404 if "missing" in self.path else 200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT[: len(CONTENT) // 2] if "torn" in self.path else CONTENT)

        def log_message(self, *words: object) -> None: ...

    own = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=own.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{own.server_port}/", asked
    own.shutdown()
    own.server_close()


def planned(**recipe: object) -> Plan:
    registry = installed()
    return plan(complete(recipe, registry).recipe, registry)


def test_a_file_is_fetched_once_and_again_only_if_it_was_damaged(server: tuple[str, list[str]], tmp_path: Path) -> None:
    address, asked = server
    notes: list[str] = []
    path = fetch(NAME, tmp_path / "weights", address=address, note=notes.append)
    assert path.read_bytes() == CONTENT
    assert fetch(NAME, tmp_path / "weights", address=address, note=notes.append) == path
    assert asked == [f"/{NAME}"] and notes == [f"fetching {address}{NAME}"]
    path.write_bytes(CONTENT[:100])
    fetch(NAME, tmp_path / "weights", address=address, note=notes.append)
    assert path.read_bytes() == CONTENT and len(asked) == 2


def test_a_file_with_another_digest_is_refused_and_not_kept(server: tuple[str, list[str]], tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match=f"has SHA-256 {DIGEST[:16]}…, expected 00000000…"):
        fetch("resnet18-00000000.pth", tmp_path, address=server[0], note=lambda text: None)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_fetched_says_what_to_do(server: tuple[str, list[str]], tmp_path: Path) -> None:
    with pytest.raises(
        InputDataError, match=r"cannot be reached \(.*\); fetch it on another machine .* missing-12345678.pth$"
    ):
        fetch("missing-12345678.pth", tmp_path, address=server[0], note=lambda text: None)
    with pytest.raises(InputDataError, match=r"cannot be reached \("):
        fetch(NAME, tmp_path, address="http://127.0.0.1:9/", note=lambda text: None)
    assert list(tmp_path.iterdir()) == []


def test_a_download_that_breaks_off_is_refused_and_not_kept(server: tuple[str, list[str]], tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match=r"the download is damaged or not the official file: try again"):
        fetch(f"torn-{DIGEST[:8]}.pth", tmp_path, address=server[0], note=lambda text: None)
    assert list(tmp_path.iterdir()) == []


def test_an_endless_download_is_stopped(
    server: tuple[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trackcli.composition.published.LARGEST_BYTES", len(CONTENT) - 1)
    with pytest.raises(InputDataError, match=rf"{NAME} gives more than .* MiB; expected weights"):
        fetch(NAME, tmp_path, address=server[0], note=lambda text: None)
    assert list(tmp_path.iterdir()) == []


def test_the_table_has_torchvisions_names() -> None:
    assert ADDRESS == "https://download.pytorch.org/models/"
    assert FILES["resnet18"] == "resnet18-f37072fd.pth"


def test_a_backbone_without_published_weights_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no published weights are known for backbone 'alexnet', only for resnet18"):
        published_weights(planned(backbone={"name": "alexnet"}), tmp_path)
    caffe = planned(preset="siamrpn-pp-resnet50", backbone={"name": "resnet50", "layout": "caffe"})
    with pytest.raises(UsageError, match=r"use --set backbone\.layout=torchvision"):
        published_weights(caffe, tmp_path)
