"""SFTP, scp and the file commands of the restricted shell: all jailed, all bound by quota and readonly."""

from pathlib import Path

import pytest

from lab.lab import LabBox
from tasks.remote.files import FilesError
from tasks.remote.ssh import SshHost, SshTarget

from .support import Client, succeeded


@pytest.fixture
def outside(box: LabBox) -> Path:
    """A file beside the account's home, and links in the home that lead to it."""
    path = box.paths.folder / "outside"
    path.write_text("not yours")
    (box.home() / "way-out").symlink_to(path)
    (box.home() / "door").symlink_to(box.paths.folder)
    return path


def state_of(path: Path) -> tuple[str, int]:
    return path.read_text(), path.stat().st_mode


class TestSftp:
    def test_starts_in_home_and_reads_back_what_it_wrote(self, operator: Client, tmp_path: Path, data: Path) -> None:
        copy = tmp_path / "copy"
        done = succeeded(
            operator.sftp(
                "pwd",
                "mkdir dir",
                f'put "{data}/file 0" "dir/a file"',
                f'get "/home/dir/a file" {copy}',
                "chmod 600 dir/a\\ file",
                'rename "dir/a file" dir/b',
                "ls -la",
                "ls dir",
                "rm dir/b",
                "rmdir dir",
            )
        )

        assert b"Remote working directory: /home\n" in done.stdout
        assert b"dir/b" in done.stdout
        assert copy.read_bytes() == (data / "file 0").read_bytes()

    def test_nothing_outside_can_be_reached(self, operator: Client, outside: Path, tmp_path: Path) -> None:
        local = tmp_path / "local"
        local.write_text("planted")
        commands = [
            f"get ../outside {local}",
            f"get /etc/passwd {local}",
            f"get way-out {local}",
            f"get door/outside {local}",
            f"put {local} ../planted",
            f"put {local} door/planted",
            "ls ..",
            "ls /",
            "cd door",
            "mkdir etc",
            "mkdir /etc",
            "mkdir lib",
            "rename door/outside taken",
            "rename .ssh ../moved",
            "rm door/outside",
            "symlink /etc/passwd new",
            "symlink ../outside new",
            "ln door/outside hard",
            "chmod 777 door/outside",
        ]
        before = (state_of(outside), sorted(path.name for path in outside.parent.iterdir()))
        done = operator.sftp(*(f"-{command}" for command in commands))

        assert len(done.stderr.splitlines()) >= len(commands)
        assert b"not yours" not in done.stdout
        assert b"settings.json" not in done.stdout
        assert (state_of(outside), sorted(path.name for path in outside.parent.iterdir())) == before
        assert local.read_text() == "planted"
        assert operator.sftp(commands[0]).returncode != 0

    def test_a_link_that_leads_outside_can_be_seen_and_removed(
        self, operator: Client, outside: Path, box: LabBox
    ) -> None:
        assert b"way-out" in succeeded(operator.sftp("ls -l", "rm way-out")).stdout
        assert outside.exists()
        assert not (box.home() / "way-out").is_symlink()

    def test_a_full_pool_takes_nothing_but_gives_room_by_removing(
        self, operator: Client, box: LabBox, data: Path
    ) -> None:
        (box.home() / "reserve").write_bytes(bytes(1000))
        box.faults.full()

        assert operator.sftp(f'put "{data}/file 0" new').returncode != 0
        assert operator.sftp("mkdir new").returncode != 0
        succeeded(operator.sftp("rm reserve"))

    def test_a_file_that_does_not_fit_is_refused_on_the_way(self, operator: Client, box: LabBox, data: Path) -> None:
        box.faults.quota(500_000)

        assert operator.sftp(f'put "{data}/file 0" new').returncode != 0
        assert (box.home() / "new").stat().st_size < 500_000


def test_our_own_files_are_there_whole_or_not_at_all(operator: Client, box: LabBox) -> None:
    host = SshHost(SshTarget(f"{operator.user}@127.0.0.1", box.port, operator.key, box.host_key))
    for fault, passes in ((box.faults.quota, False), (box.faults.drop_after, True)):
        fault(500_000)
        with pytest.raises(FilesError) as caught:
            host.files().write_new("record.json", bytes(1_000_000))
        box.faults.clear()
        assert caught.value.transient == passes
        assert not host.files().exists("record.json")
        assert passes or not any("record" in name for name in host.files().names("."))
    host.files().write_new("record.json", bytes(1_000_000))
    with pytest.raises(FilesError) as caught:
        host.files().write_new("record.json", b"another")
    assert not caught.value.transient
    assert host.files().read("record.json") == bytes(1_000_000)
    host.close()


def test_scp_of_the_old_protocol_is_jailed_too(operator: Client, outside: Path, tmp_path: Path, data: Path) -> None:
    assert outside.exists()
    succeeded(operator.scp(str(data / "file 0"), "BOX:copied"))
    succeeded(operator.scp("BOX:copied", str(tmp_path / "back")))

    assert (tmp_path / "back").read_bytes() == (data / "file 0").read_bytes()
    assert operator.scp("BOX:../outside", str(tmp_path / "stolen")).returncode != 0
    assert not (tmp_path / "stolen").exists()


class TestShell:
    def test_file_commands_work_in_home(self, operator: Client) -> None:
        succeeded(operator.ssh("mkdir -p a/b"))
        succeeded(operator.ssh("dd of=a/b/file", b"hello\n"))
        succeeded(operator.ssh("cp a/b/file a/copy"))
        succeeded(operator.ssh("mv a/copy 'a/with space'"))
        succeeded(operator.ssh("chmod 600 'a/with space'"))

        assert succeeded(operator.ssh("pwd")).stdout == b"/home\n"
        assert succeeded(operator.ssh("cat 'a/with space'")).stdout == b"hello\n"
        assert succeeded(operator.ssh("ls /home/a")).stdout.split(b"\n") == [b"b", b"with space", b""]
        assert succeeded(operator.ssh("md5sum a/b/file")).stdout.startswith(b"b1946ac92492d2347c6235b4d2611184 ")
        assert b"= b1946ac92492d2347c6235b4d2611184" in succeeded(operator.ssh("md5 a/b/file")).stdout
        succeeded(operator.ssh("rm -r a"))
        assert operator.ssh("ls a").returncode != 0

    def test_nothing_outside_can_be_reached(self, operator: Client, outside: Path) -> None:
        before = (state_of(outside), sorted(path.name for path in outside.parent.iterdir()))
        for command in (
            "cat ../outside",
            "cat /etc/passwd",
            "cat way-out",
            "ls ..",
            "ls door",
            "ls door/",
            "du /",
            "cp way-out copy",
            "cp -r door copy",
            "mv door/outside taken",
            "rm door/outside",
            "chmod 777 way-out",
            "touch door/planted",
            "mkdir etc",
            "dd of=../planted",
            "dd if=way-out",
            "sha256sum -c door/outside",
        ):
            done = operator.ssh(command, b"planted")
            assert done.returncode != 0, command
            assert done.stdout == b"", command
        assert (state_of(outside), sorted(path.name for path in outside.parent.iterdir())) == before

    def test_df_in_the_layout_that_monitoring_scripts_read(self, operator: Client, box: LabBox) -> None:
        box.faults.quota(1 << 30)
        (box.home() / "file").write_bytes(bytes(1 << 20) * 512)
        header, row = succeeded(operator.ssh("df -h")).stdout.decode().splitlines()

        assert header.split() == ["Filesystem", "Size", "Used", "Avail", "Capacity", "Mounted", "on"]
        assert row.split() == [operator.user, "1.0G", "512M", "512M", "50%", "/home"]

    def test_no_room_no_new_names(self, operator: Client, box: LabBox) -> None:
        box.faults.full()
        for command in ("mkdir new", "touch new", "dd of=new", "cp .ssh/authorized_keys new"):
            done = operator.ssh(command, b"x")
            assert done.returncode != 0
            assert b"Disc quota exceeded" in done.stderr

    def test_an_interactive_login_is_told_that_there_is_none(self, operator: Client) -> None:
        done = operator.ssh("")

        assert done.returncode != 0
        assert b"does not support interactive logins" in done.stdout


def test_a_readonly_account_writes_over_no_protocol(operator: Client, box: LabBox, data: Path) -> None:
    (box.home("u100001-sub1") / "file").write_text("stays")
    owner = Client(box, operator.folder, "u100001-sub1").with_new_key("owner")
    reader = Client(box, operator.folder, "u100001-sub2", owner.key)

    for command in ("mkdir new", "rm file", "mv file new", "touch file", "dd of=file", "chmod 600 file"):
        assert b"Read-only file system" in reader.ssh(command, b"x").stderr
    for command in (f'put "{data}/file 0" new', "rm file", "rename file new", "mkdir new", "chmod 600 file"):
        assert reader.sftp(command).returncode != 0
    assert reader.ssh("install-ssh-key", b"ssh-ed25519 AAAA x").returncode != 0
    assert reader.ssh("cat file").stdout == b"stays"
    assert sorted(path.name for path in box.home("u100001-sub1").iterdir()) == [".ssh", "file"]
