"""The audit of the pins: PyPA's own program, asking a database of vulnerabilities of the test's."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lab import audit
from tasks.errors import CloudbackupError

PINS = "pyyaml==6.0.2 --hash=sha256:{0}\nclick==8.1.0 --hash=sha256:{0}\n".format("0" * 64)


class Database(BaseHTTPRequestHandler):
    """Knows of a fault in one package."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        affected = [{"package": {"name": "pyyaml", "ecosystem": "PyPI"}, "ranges": [], "versions": ["6.0.2"]}]
        fault = {"id": "PYSEC-1", "summary": "runs code", "modified": "2026-01-01T00:00:00Z", "affected": affected}
        body = json.dumps({"vulns": [fault]} if asked["package"]["name"] == "pyyaml" else {}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Database) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv(audit.OSV, f"http://127.0.0.1:{server.server_port}/v1/query")
        yield ""
        server.shutdown()


def test_a_vulnerable_pin_is_named(database: str, tmp_path: Path) -> None:
    (tmp_path / "pins.txt").write_text(PINS)
    found = audit.audit([tmp_path / "pins.txt"])
    assert found == audit.Audit(2, ("pyyaml 6.0.2: PYSEC-1, mended in no release",), ())


def test_a_database_that_does_not_answer_is_no_clean_bill(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(audit.OSV, "http://127.0.0.1:1/v1/query")
    (tmp_path / "pins.txt").write_text(PINS)
    with pytest.raises(CloudbackupError, match="could not ask for known vulnerabilities"):
        audit.audit([tmp_path / "pins.txt"])
