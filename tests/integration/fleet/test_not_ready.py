"""What a host lacks is told by `app.check`, which changes nothing, and by `backup`, which saves all the others."""

import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab import disk
from lab.lab import Lab, LabApp
from tests.fault.test_surroundings import added
from tests.integration.fleet.support import Operator
from tests.integration.fleet.test_faults import line_of

FACTS = (
    r"bash \d+\.\d+\.\d+\n.* memory +\d.* free on .*\n.* borg \d+\.\d+\.\d+\n(?s:.*)python 3\.\d+\.\d+\n(?s:.*)"
    r" mariadb-backup \d+\.\d+\.\d+\n"
)
# A session's shell begins again in a mount namespace of its own, where the folders of programs may be changed.
ELSEWHERE = """\
if [ -z "$ELSEWHERE" ]; then
    export ELSEWHERE=yes
    exec unshare --mount bash -c 'mount -t tmpfs none /mnt && mkdir /mnt/upper /mnt/work &&
        mount -t overlay -o lowerdir=/usr/bin,upperdir=/mnt/upper,workdir=/mnt/work none /usr/bin &&
        cd /usr/bin && {change} && cd && exec bash -c "$1"' session "$BASH_EXECUTION_STRING"
fi
"""


@contextmanager
def without(app: LabApp, *programs: str) -> Iterator[None]:
    """Have an app's host know all programs of this machine but some, given as a shell's patterns."""
    with added(app.home / ".bashrc", ELSEWHERE.format(change=f"rm {' '.join(programs)}")):
        yield


def check(operator: Operator, app: str, code: int) -> str:
    end = operator.inv("app.check", "--app", app)
    assert end.returncode == code, end.stdout + end.stderr
    assert "Traceback" not in end.stderr
    return end.stdout


def errors(printed: str) -> list[str]:
    """Return what `app.check` calls an error: its name and text, and the remedy below it."""
    return [" ".join(found) for found in re.findall(r"(?m)^\S+ +error +(\S+) +(.*)\n +(.*)$", printed)]


def kept(lab: Lab) -> dict[str, bytes]:
    """Return what a check must leave as it is: the box, the operator's files, the hosts' homes and files.

    Not a host's logs, nor what borg and this machine remember of a repository they have read.
    """
    places = [lab.box.home(), lab.folder / "operator", *(lab.folder / "hosts").glob("*/home")]
    places += (app.files for app in lab.apps.values())
    found = (path for place in places for path in place.rglob("*") if path.is_file())
    return {str(path): path.read_bytes() for path in found if not {".cache", ".config"} & {*path.parts}}


def test_the_check_tells_versions_and_changes_nothing(lab: Lab, operator: Operator, saved: str) -> None:
    check(operator, "shop", 0)
    before = kept(lab)
    printed = check(operator, "shop", 0)
    after = kept(lab)
    assert {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)} == set()
    assert any("authorized_keys" in path for path in before)
    assert re.search(FACTS, printed)


def test_a_host_without_borg_fails_alone(lab: Lab, operator: Operator, saved: str) -> None:
    with without(lab.apps["shop"], "borg"):
        end = operator.inv("backup", "--source", "files")
        told = errors(check(operator, "shop", 4))
    assert end.returncode == 3
    assert line_of(end.stdout, "blog", "files").split()[2] == "ok"
    assert "borg is not installed on the host" in line_of(end.stdout, "shop", "files")
    assert "apt install borgbackup" in end.stdout
    assert told[0] == "borg is not installed on 127.0.0.1 install the package borgbackup"


def test_hosts_without_mariadb_backup_and_python_fail_alone(lab: Lab, operator: Operator, saved: str) -> None:
    with without(lab.apps["shop"], "mariadb-backup", "mariabackup"), without(lab.apps["blog"], "python3*"):
        end = operator.inv("backup")
        shop, blog = errors(check(operator, "shop", 4)), errors(check(operator, "blog", 4))
    assert end.returncode == 3
    assert line_of(end.stdout, "shop", "files").split()[2] == "ok"
    assert "mariadb-backup is not there" in line_of(end.stdout, "shop", "mariadb")
    assert "python3 is not installed on the host" in line_of(end.stdout, "blog", "files")
    assert [text.partition(" install ")[0] for text in shop] == ["mariadb mariadb-backup is not there"]
    assert any(text.startswith("python3 is not installed") for text in blog)


def test_a_data_directory_that_may_not_be_read_fails_alone(
    lab: Lab, operator: Operator, saved: str, tmp_path: Path
) -> None:
    other = operator.copy(tmp_path / "inventory")
    stranger = shlex.split("setpriv --reuid=65533 --regid=65533 --clear-groups")
    other.change("apps/blog.yml", lambda app: app["mariadb"].update(exec=stranger))
    end = other.inv("backup", "--source", "mariadb")
    assert end.returncode == 3
    assert "cannot be read" in line_of(end.stdout, "blog", "mariadb")
    assert line_of(end.stdout, "shop", "mariadb").split()[2] == "ok"
    (told,) = errors(check(other, "blog", 4))
    folder = lab.apps["blog"].server.datadir
    assert told.startswith(f"mariadb the data directory cannot be read: {folder}/ read it as root: `become: sudo`")


def test_an_unknown_host_key_fails_alone(operator: Operator, saved: str, tmp_path: Path) -> None:
    other = operator.copy(tmp_path / "inventory")
    other.change("apps/shop.yml", lambda app: app["ssh"].pop("host_key"))
    end = other.inv("backup", "--source", "files")
    assert end.returncode == 3
    assert "its host key is unknown" in line_of(end.stdout, "shop", "files")
    assert "compare the fingerprint" in end.stdout
    assert line_of(end.stdout, "blog", "files").split()[2] == "ok"


def test_a_nearly_full_storage_is_a_warning(lab: Lab, operator: Operator, saved: str) -> None:
    lab.box.faults.quota(disk.used_by(lab.box.home()) * 21 // 20)
    printed = check(operator, "shop", 0)
    assert re.search(r"(?m)^shop +warning +storage .*free\n +prune and compact", printed), printed
