"""A host whose /tmp takes not one byte more: no backup, drill or restore needs any of it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab import tree
from tests.fault.fleet import Fleet
from tests.fault.test_surroundings import added

# A session's shell begins again in a mount namespace of its own. What of the lab lies below /tmp stays in sight.
FULL_TMP = """\
if [ -z "$FULL_TMP" ]; then
    FULL_TMP=yes TMPDIR=/tmp exec unshare {flags} bash -c '
        cd {lab} && mount -t tmpfs -o size=64k none /tmp && mkdir -p {lab} && chmod a+rx /tmp &&
            mount --no-canonicalize --bind /proc/self/cwd {lab} || exit
        head -c 1M /dev/zero >/tmp/full 2>/dev/null
        echo . 2>/dev/null >/tmp/more && exit
        touch {used}; cd && exec bash -c "$1"' session "$BASH_EXECUTION_STRING"
fi
"""


@contextmanager
def full_tmp(fleet: Fleet) -> Iterator[None]:
    """Let /tmp be full for all that runs on the victim's host, and assert that something ran there."""
    host, used = fleet.host, fleet.host.home / "full-tmp-used"
    flags = "--mount" if os.geteuid() == 0 else "--map-root-user --mount"
    with added(host.home / ".bashrc", FULL_TMP.format(lab=fleet.lab.folder, flags=flags, used=used)):
        yield
    assert used.exists()
    used.unlink()


def test_a_full_tmp_keeps_nothing_from_being_saved_proven_and_restored(fleet: Fleet) -> None:
    victim, inv = fleet.victim, fleet.operator.inv
    targets = {source: fleet.lab.folder / f"full-tmp-{victim}-{source}" for source in ("files", "mariadb")}
    with full_tmp(fleet):
        night = fleet.night()
        drill = inv("verify", "--app", victim)
        short = inv("verify", "--app", victim, "--source", "mariadb", "--scratch", "/tmp")
        ends = [inv("restore", "--app", victim, "--source", *each) for each in _restores(targets)]
    assert night.code == 0
    assert len(night.made[victim]) == 2
    assert "2 of 2 proven" in drill.stdout
    assert short.returncode == 4
    assert "no room in /tmp/cloudbackup-drill-" in short.stdout
    assert [end.returncode for end in ends] == [0, 0], ends
    files = fleet.host.files
    restored = targets["files"] / files.relative_to("/")
    assert tree.fingerprint(restored, excluding_caches=True) == tree.fingerprint(files, excluding_caches=True)
    assert (targets["mariadb"] / "ibdata1").exists()


def _restores(targets: dict[str, Path]) -> list[tuple[str, str, str]]:
    return [(source, "--target", str(target)) for source, target in targets.items()]
