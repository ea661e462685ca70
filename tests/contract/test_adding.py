"""`app.add` on every kind of storage but the box (tests/integration/app has that): one command, a proven backup."""

from pathlib import Path

import pytest

from tasks.remote.ssh import fingerprint
from tests.contract.bench import Bench
from tests.contract.kinds import KINDS, Sftp
from tests.contract.place import Values
from tests.integration.fleet.support import Operator

OTHERS = [kind for kind in KINDS if kind != "storagebox"]


@pytest.mark.parametrize("bench", OTHERS, indirect=True)
def test_one_command_leads_to_a_proven_backup_and_a_second_changes_nothing(bench: Bench, tmp_path: Path) -> None:
    host, added = bench.app("blog"), f"added-{bench.kind}"  # the kinds share their hosts, and the keys there
    ssh = host.home / ".ssh"
    operator = new_operator(bench, tmp_path)
    way_in = ["--host=127.0.0.1", f"--ssh-port={host.port}", f"--key={bench.lab.operator_key}"]
    trusted = [f"--fingerprint={fingerprint(key)}" for key in (host.host_key, bench.place.host_key) if key]
    command = ["app.add", f"--app={added}", *way_in, *trusted, f"--files={host.files}"]
    if isinstance(bench.place, Sftp):
        end = operator.inv(*command)
        assert (end.returncode, f"{added}.pub log in to" in end.stderr, "made" in end.stdout) == (3, True, False), end
        assert not (operator.inventory / f"apps/{added}.yml").exists()
        bench.place.admit("blog", added)
    admitted, own = lines(bench.account_keys), {path.name for path in ssh.iterdir()}

    printed = operator.done(*command)

    assert f"{added}: repository" in printed
    rows = [
        line.split()[:3] for line in printed.splitlines() if line.startswith(f"{added} ") and "archives" not in line
    ]
    assert rows[-1] == [added, "files", "ok"], printed
    assert ("1 of 1 saved" in printed, "1 of 1 proven" in printed, "never" in printed) == (True, True, False)
    assert (bench.place.stored / f"{added}/config").is_file()
    row = operator.report("--app", added)[added, "files"]
    assert (row["status"], row["archives"], row["error"], row["proven"] is None) == ("ok", 1, None, False)
    made = {path.name for path in ssh.iterdir()} - own
    if bench.kind == "ssh":
        public = (ssh / f"cloudbackup_{added}.pub").read_text().split()
        served = f"borg serve --append-only --restrict-to-repository '{bench.place.directory}/{added}'"
        (line,) = lines(bench.account_keys) - admitted
        assert line.startswith(f'command="{served}",restrict {" ".join(public[:2])} '), line
        assert admitted < lines(bench.account_keys)
        assert made == {f"cloudbackup_{added}", f"cloudbackup_{added}.pub"}
    else:
        assert (lines(bench.account_keys), made) == (admitted, set())

    before = state(bench, tmp_path, added)
    again = operator.done(*command)
    assert state(bench, tmp_path, added) == before
    assert not any(word in again for word in ("saved in", "proven in", " made", " written", "may append")), again


def new_operator(bench: Bench, folder: Path) -> Operator:
    """Return an operator with this storage, whose host key is not pinned yet, and a folder of their own for secrets."""

    def change(values: Values) -> None:
        values["secrets"] = {"directory": str(folder / "secrets")}
        if bench.kind == "ssh":
            values["storages"]["store"].pop("host_key")

    return Operator(bench.variant(folder / "inventory", "cloudbackup.yml", change))


def lines(file: Path) -> set[str]:
    return set(file.read_text().splitlines()) if file.exists() else set()


def state(bench: Bench, folder: Path, added: str) -> dict[str, bytes]:
    """Return all that adding makes; of the storage its names alone, for the report looks at it."""
    places = [folder, bench.escrow, bench.app("blog").home / ".ssh"]
    found = {str(path): path.read_bytes() for place in places for path in place.rglob("*") if path.is_file()}
    stored = (bench.place.stored / added, bench.place.records / added, bench.repository(added))
    found |= {str(path): b"" for place in stored for path in place.rglob("*")}
    return found | {"admitted": "\n".join(sorted(lines(bench.account_keys))).encode()}
