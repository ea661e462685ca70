"""borg against the emulator, as against a Storage Box: versions' names, forced keys, readonly, a full pool."""

import shutil
import subprocess
from pathlib import Path

import pytest

from lab.lab import LabBox

from .support import Client, succeeded

QUOTA_TEXT = b"[Errno 69] Disc quota exceeded"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first test that makes the repository keeps it for the others."""
    return tmp_path_factory.mktemp("prepared")


@pytest.fixture
def repository(operator: Client, box: LabBox, data: Path, prepared: Path) -> Client:
    """A repository with one archive, `first`, and borg's own files about it."""
    if not (prepared / "repository").exists():
        succeeded(operator.borg("init", "-e", "repokey-blake2", "REPOSITORY"))
        succeeded(operator.borg("create", "REPOSITORY::first", str(data)))
        shutil.copytree(operator.folder / "borg", prepared / "borg")
        shutil.copytree(box.home() / "repository", prepared / "repository")
    else:
        shutil.copytree(prepared / "borg", operator.folder / "borg")
        shutil.copytree(prepared / "repository", box.home() / "repository")
    return operator


def test_a_backup_goes_in_and_comes_back(operator: Client, data: Path, tmp_path: Path) -> None:
    succeeded(operator.borg("init", "-e", "repokey-blake2", "REPOSITORY"))
    succeeded(operator.borg("create", "REPOSITORY::first", str(data)))
    listed = succeeded(operator.borg("list", "--short", "REPOSITORY"))
    out = tmp_path / "out"
    out.mkdir()
    words = operator.borg_words("extract", "REPOSITORY::first")
    subprocess.run(words, cwd=out, check=True, env=operator.environment())

    assert listed.stdout == b"first\n"
    restored = out / str(data).lstrip("/")
    assert {path.name: path.read_bytes() for path in restored.iterdir()} == {
        path.name: path.read_bytes() for path in data.iterdir()
    }


def test_borgs_files_are_nobody_elses(repository: Client, box: LabBox) -> None:
    assert (box.home() / "repository").stat().st_mode & 0o777 == 0o700
    assert sorted(path.name for path in box.home().iterdir()) == [".ssh", "repository", "sub1", "sub3"]
    assert repository.ssh("borg --version").stdout.startswith(b"borg 1.")


def test_an_unknown_version_is_refused_as_the_box_does(operator: Client) -> None:
    done = operator.borg("init", "-e", "none", "--remote-path", "borg-9", "REPOSITORY")

    assert done.returncode == 2
    assert b"Got unexpected RPC data format from server:" in done.stderr
    assert b"Command not found. Use 'help' to get a list of available commands." in done.stderr


def test_a_path_on_the_boxs_own_disk_cannot_be_written(operator: Client, tmp_path: Path) -> None:
    done = operator.borg("init", "-e", "none", "REPOSITORY", path=f"{tmp_path}/escape")

    assert done.returncode != 0
    assert not (tmp_path / "escape").exists()


class TestForcedKey:
    @pytest.fixture(params=["repository", "/home/repository"])
    def host(self, repository: Client, request: pytest.FixtureRequest) -> Client:
        command = f"borg-1.4 serve --append-only --restrict-to-repository {request.param}"
        return repository.with_new_key("host", f'command="{command}",restrict')

    def test_may_append_but_not_free(self, host: Client, repository: Client, data: Path) -> None:
        succeeded(host.borg("create", "REPOSITORY::second", str(data)))
        succeeded(host.borg("delete", "REPOSITORY::first"))
        succeeded(host.borg("compact", "REPOSITORY"))
        log = repository.ssh("cat repository/transactions")

        assert succeeded(host.borg("list", "--short", "REPOSITORY")).stdout == b"second\n"
        assert b"transaction" in log.stdout

    def test_is_kept_to_its_repository(self, host: Client) -> None:
        done = host.borg("init", "-e", "none", "REPOSITORY", path="./other")

        assert b"Repository path not allowed" in done.stderr

    def test_runs_nothing_else(self, host: Client, box: LabBox) -> None:
        done = host.ssh("rm -rf repository")

        assert b"repository" not in done.stdout.replace(b"Remote", b"")
        assert (box.home() / "repository").is_dir()
        assert host.sftp("ls").returncode != 0
        assert host.scp("BOX:repository/config", str(host.folder / "stolen")).returncode != 0
        assert host.rsync("BOX:repository/config", str(host.folder / "stolen")).returncode != 0
        assert not (host.folder / "stolen").exists()

    def test_the_client_still_chooses_the_log_level(self, host: Client) -> None:
        done = succeeded(host.borg("--debug", "list", "REPOSITORY"))

        assert b"Remote: using builtin fallback logging configuration" in done.stderr or b"Remote:" in done.stderr


def test_a_forced_command_that_the_shell_refuses(operator: Client) -> None:
    host = operator.with_new_key("host", 'command="cd repository;borg serve",restrict')
    done = host.ssh("anything")

    assert (done.returncode, done.stderr) == (8, b"")
    assert done.stdout == b"Command not found. Use 'help' to get a list of available commands.\n"


class TestFullPool:
    def test_not_even_a_lock_fits(self, repository: Client, box: LabBox) -> None:
        box.faults.full()
        done = repository.borg("list", "REPOSITORY")

        assert done.returncode == 2
        assert b"Failed to create/acquire the lock" in done.stderr
        assert QUOTA_TEXT in done.stderr

        box.faults.full(on=False)
        assert succeeded(repository.borg("list", "--short", "REPOSITORY")).stdout == b"first\n"

    def test_a_backup_that_does_not_fit_leaves_no_archive(self, repository: Client, box: LabBox, data: Path) -> None:
        box.faults.quota(4_000_000)
        (data / "file 0").write_bytes((data / "file 1").read_bytes()[::-1] * 2)
        done = repository.borg("create", "REPOSITORY::second", str(data))

        assert done.returncode == 2
        assert QUOTA_TEXT in done.stderr

        box.faults.quota(None)
        assert succeeded(repository.borg("list", "--short", "REPOSITORY")).stdout == b"first\n"
        succeeded(repository.borg("check", "REPOSITORY"))

    def test_a_new_repository_does_not_fit(self, operator: Client, box: LabBox) -> None:
        box.faults.full()
        done = operator.borg("init", "-e", "none", "REPOSITORY")

        assert done.returncode == 2
        assert QUOTA_TEXT in done.stderr
        assert not (box.home() / "repository").exists()


def test_a_readonly_account_can_read_no_less_but_write_nothing(operator: Client, box: LabBox, data: Path) -> None:
    owner = Client(box, operator.folder, "u100001-sub1").with_new_key("owner")
    succeeded(owner.borg("init", "-e", "none", "REPOSITORY"))
    succeeded(owner.borg("create", "REPOSITORY::first", str(data)))
    reader = Client(box, operator.folder, "u100001-sub2", owner.key)
    done = reader.borg("create", "REPOSITORY::second", str(data))

    assert done.returncode == 2
    assert b"Read-only file system" in done.stderr
    assert succeeded(reader.borg("list", "--short", "--bypass-lock", "REPOSITORY")).stdout == b"first\n"


def test_each_name_runs_the_borg_that_it_is_mapped_to(box: LabBox, operator: Client) -> None:
    for name in ("borg", "borg-1.2", "borg-1.4"):
        assert name in box.settings.borg
        assert succeeded(operator.ssh(f"{name} --version")).stdout.startswith(b"borg 1.")
    assert operator.ssh("borg-1.1 --version").returncode == 8
