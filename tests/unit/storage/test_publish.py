"""What a publishing does before it sends anything, and how it tells a full storage and one that never answers."""

import os
import time
from pathlib import Path

import pytest

from tasks.remote.host import LocalHost
from tasks.remote.running import ScriptTimeoutError
from tasks.storage.published.host.publish import ABANDONED, swept
from tasks.storage.published.host.rclone import failed, transient
from tasks.storage.published.publication import Folders, Publication, Way


def test_only_what_drills_left_long_ago_goes(tmp_path: Path) -> None:
    old = time.time() - ABANDONED - 60
    for name in ("drill-01", "drill-02", "borg"):
        (tmp_path / name / "repository").mkdir(parents=True)
    for name in ("drill-01", "borg"):
        os.utime(tmp_path / name, (old, old))
    swept(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["borg", "drill-02"]


@pytest.mark.parametrize(
    "said",
    [
        "ERROR : 5: Failed to copy: QuotaExceeded: The quota is exceeded\n\tstatus code: 403, request id: tx0",
        "api error XMinioStorageFull: Storage backend has reached its minimum free drive threshold.",
        "Failed to copyto: write /srv/5: no space left on device",
    ],
)
def test_a_full_storage_is_told(said: str) -> None:
    what, remedy = failed(f"2026/11/24 20:00:00 {said}".encode()).args
    assert what.startswith("the storage is full: ")
    assert "make room" in remedy
    assert failed(b"AccessDenied: no").args[0].startswith("rclone: ")


# As rclone 1.75 and, on several lines, 1.60 say it.
LISTING = "Failed to lsjson with 2 errors: last error was: error in ListJSON: operation error S3: ListObjects, "
SENT = "https response error StatusCode: 0, RequestID: , HostID: , request send failed, Get "
SEND = f'{LISTING}exceeded maximum number of attempts, 2, {SENT}"http://127.0.0.1:1/b": '
OLD = "Failed to lsjson: error in ListJSON: "
SFTP = 'CRITICAL: Failed to create file system for "published:x": NewFs: couldn\'t connect SSH: '


@pytest.mark.parametrize(
    ("said", "passes"),
    [
        (f"{LISTING}https response error StatusCode: 503, RequestID: , HostID: , api error SlowDown: Please.", True),
        (f"{LISTING}https response error StatusCode: 500, RequestID: , HostID: , api error InternalError: No.", True),
        (f"{LISTING}https response error StatusCode: 429, RequestID: , HostID: , api error TooManyRequests: No.", True),
        (f"{LISTING}https response error StatusCode: 400, RequestID: , HostID: , api error RequestTimeout: No.", True),
        (f"{OLD}ServiceUnavailable: Service Unavailable\n\tstatus code: 503, request id: , host id: ", True),
        (f'{OLD}RequestError: send request failed\ncaused by: Get "http://127.0.0.1:1/b": EOF\n', True),
        (f"{SEND}EOF", True),
        (f"{SEND}dial tcp 127.0.0.1:1: connect: connection refused", True),
        (f"{SEND}dial tcp: lookup no.such.host.invalid on 10.0.0.53:53: no such host", True),
        (f"{SEND}read tcp 127.0.0.1:41958->127.0.0.1:33077: read: connection reset by peer", True),
        (f"{SEND}net/http: timeout awaiting response headers", True),
        (f"{SFTP}dial tcp 127.0.0.1:43129: connect: connection refused", True),
        (f"{SFTP}ssh: handshake failed: read tcp 127.0.0.1:4->127.0.0.1:2: i/o timeout", True),
        ("Failed to copyto: Update ReadFrom failed: connection lost", True),
        (f"{LISTING}https response error StatusCode: 403, RequestID: , HostID: , api error AccessDenied: No.", False),
        (
            f"{LISTING}https response error StatusCode: 403, RequestID: , HostID: , api error RequestTimeTooSkewed",
            False,
        ),
        (f"{LISTING}https response error StatusCode: 404, RequestID: , HostID: , api error NoSuchBucket: No.", False),
        (f"{LISTING}https response error StatusCode: 501, RequestID: , HostID: , api error NotImplemented: No.", False),
        (f"{LISTING}https response error StatusCode: 507, RequestID: , HostID: , api error XMinioStorageFull", False),
        ("Failed to copyto: operation error S3: PutObject, StatusCode: 503, no space left on device", False),
        (f"{OLD}AccessDenied: No.\n\tstatus code: 403, request id: , host id: ", False),
        (f"{SEND}tls: first record does not look like a TLS handshake", False),
        (f"{SFTP}ssh: handshake failed: ssh: unable to authenticate, attempted methods [none publickey]", False),
        (f"{SFTP}ssh: handshake failed: knownhosts: key mismatch", False),
        ("Failed to lsjson: error in ListJSON: directory not found", False),
    ],
)
def test_what_may_pass_is_told_from_what_does_not(said: str, passes: bool) -> None:
    lost_before = "2026/11/26 22:03:43 ERROR : sftp://u@h:22/x/: Discarding closed SSH connection: EOF"
    errors = f"{lost_before}\n2026/11/26 22:03:45 {said}\n".encode()
    assert transient(errors) is passes
    assert failed(errors).transient is passes


def test_one_that_never_ends_is_ended_on_its_host(tmp_path: Path) -> None:
    way = Way(LocalHost(), "store:shop", {}, time_limit=0.5, first=f"echo $BASHPID >{tmp_path}/pid; sleep 300")
    folders = Folders(str(tmp_path), str(tmp_path), str(tmp_path))
    with pytest.raises(ScriptTimeoutError, match=r"shop: the published copy: .*\n.*the next backup sends the rest"):
        Publication("shop", way, way, folders).confirm()
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists()
