"""`init`: what it writes is an inventory, nothing is overwritten, and no answer gets into the file unjudged."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.app import first_inventory
from tasks.app.first_inventory import FirstStorage
from tasks.errors import AppError, UsageError
from tasks.storage.registry import CONFIGS, load

BOX = {"user": "u123456"}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "home"
    (place / ".ssh").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(place))
    return place


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Terminal())


def answers(*lines: str) -> Callable[[str], str]:
    left: Iterator[str] = iter(lines)

    def ask(_question: str) -> str:
        try:
            return next(left)
        except StopIteration:
            raise EOFError from None

    return ask


def write(folder: Path, first: FirstStorage, *lines: str) -> list[str]:
    said: list[str] = []
    first_inventory.run(str(folder), first, said.append, answers(*lines))
    return said


def test_a_box_by_its_account_alone(tmp_path: Path, home: Path) -> None:
    (home / ".ssh" / "id_ed25519").write_text("a key")
    said = write(tmp_path / "new" / "inventory", FirstStorage("storagebox", BOX))
    inventory = load(tmp_path / "new" / "inventory")
    (box,) = inventory.storages.values()
    assert box.account is not None
    assert (box.account.host, box.account.port) == ("u123456.your-storagebox.de", 23)
    assert yaml.safe_load((inventory.folder / "cloudbackup.yml").read_text())["storages"]["box"] == {
        "kind": "storagebox",
        "user": "u123456",
        "directory": "cloudbackup",
        "key": "~/.ssh/id_ed25519",
    }
    assert inventory.defaults.keep is not None
    assert "inv app.add --app shop" in said[-2]


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        ("ssh", {"host": "vault.example.org", "user": "backup", "port": "2222"}),
        ("local", {"directory": "/backup"}),
        ("sftp", {"host": "h", "user": "u", "staging": "/var/stage"}),
        (
            "s3",
            {
                "endpoint": "https://fsn1.your-objectstorage.com",
                "bucket": "shop",
                "access_key": "env:KEY",
                "secret_key": "file:~/s3",
                "staging": "/var/stage",
            },
        ),
    ],
)
def test_every_kind_by_options(tmp_path: Path, kind: str, keys: dict[str, str]) -> None:
    write(tmp_path, FirstStorage(kind, keys))
    assert [storage.kind for storage in load(tmp_path).storages.values()] == [kind]


def test_every_kind_can_be_asked_for(tmp_path: Path, terminal: None) -> None:
    del terminal
    say = {"user": "u1", "host": "h", "endpoint": "https://s3.example.org", "bucket": "abc", "staging": "/s"}
    say |= {"access_key": "env:A", "secret_key": "env:B", "directory": "", "key": ""}
    for kind in CONFIGS:
        directory = "/backup" if kind == "local" else ""

        def ask(question: str, directory: str = directory, kind: str = kind) -> str:
            if question.startswith("Where"):
                return kind
            key = question.partition(":")[0]
            return directory if key == "directory" else say[key]

        first_inventory.run(str(tmp_path / kind), FirstStorage(), lambda _: None, ask)
        assert load(tmp_path / kind).storages


def test_a_wrong_answer_is_asked_for_again(tmp_path: Path, terminal: None, capsys: pytest.CaptureFixture[str]) -> None:
    del terminal
    write(tmp_path, FirstStorage(), "dropbox", "", "", "a user", "u1", "../x", "/abs", "backups", "~/none", "")
    assert yaml.safe_load((tmp_path / "cloudbackup.yml").read_text())["storages"] == {
        "box": {"kind": "storagebox", "user": "u1", "directory": "backups"}
    }
    said = capsys.readouterr().out
    for reason in ("no kind of storage `dropbox`", "user is needed", "no `..`", "no such file; `ssh-keygen"):
        assert reason in said


@pytest.mark.parametrize("name", ["cloudbackup.yml", "cloudbackup.yaml"])
def test_nothing_is_overwritten(tmp_path: Path, name: str) -> None:
    (tmp_path / name).symlink_to(tmp_path / "gone")
    with pytest.raises(UsageError, match="there is an inventory already"):
        write(tmp_path, FirstStorage("storagebox", BOX))
    assert {each.name for each in tmp_path.iterdir()} == {name, "home"}


def test_one_that_appears_meanwhile_stays(tmp_path: Path, terminal: None) -> None:
    del terminal

    def ask(question: str) -> str:
        (tmp_path / "cloudbackup.yml").write_text("another's")
        return "u1" if question.startswith("user") else ""

    with pytest.raises(UsageError, match="there is an inventory already"):
        first_inventory.run(str(tmp_path), FirstStorage("storagebox"), lambda _: None, ask)
    assert (tmp_path / "cloudbackup.yml").read_text() == "another's"


@pytest.mark.parametrize(
    ("kind", "keys", "says"),
    [
        ("", {}, "--storage is missing"),
        ("dropbox", {}, "there is no kind of storage `dropbox`: one of storagebox, ssh"),
        ("storagebox", {}, "--user is missing"),
        ("local", {"directory": "/b", "user": "me"}, "--user is not for storages of the kind local"),
        ("local", {"directory": "backup"}, "--directory must be an absolute path"),
        ("storagebox", {"user": "u1\nkind: local"}, "--user must be one line"),
        ("storagebox", {"user": "u1\udce9"}, "--user must be one line"),
        ("storagebox", {"user": "u1", "key": "/none"}, "--key /none: there is no such file"),
        ("storagebox", {"user": "u1", "port": "70000"}, "--port "),
        ("s3", {"endpoint": "https://h", "bucket": "abc", "staging": "/s", "access_key": "hunter2"}, "--access-key "),
    ],
)
def test_wrong_options_write_nothing(tmp_path: Path, kind: str, keys: dict[str, str], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        write(tmp_path / "inventory", FirstStorage(kind, keys))
    assert says in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert not (tmp_path / "inventory").exists()


def test_a_folder_of_secrets_that_is_not_absolute_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="secrets"):
        write(tmp_path / "inventory", FirstStorage("storagebox", BOX, secrets="here"))
    assert not (tmp_path / "inventory").exists()


def test_a_file_in_the_folders_place(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is not a folder"):
        write(tmp_path / "file", FirstStorage("storagebox", BOX))
    with pytest.raises(AppError, match="cannot write"):
        write(tmp_path / "file" / "below", FirstStorage("storagebox", BOX))


def test_answers_that_end_write_nothing(tmp_path: Path, terminal: None) -> None:
    del terminal
    with pytest.raises(UsageError, match="the answers ended"):
        write(tmp_path / "inventory", FirstStorage(), "storagebox", "u1")
    assert not (tmp_path / "inventory").exists()


@given(directory=st.text(min_size=1, max_size=40))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_written_is_what_was_given_or_nothing(tmp_path_factory: pytest.TempPathFactory, directory: str) -> None:
    folder = tmp_path_factory.mktemp("any")
    try:
        write(folder, FirstStorage("local", {"directory": f"/{directory}"}))
    except UsageError:
        assert not (folder / "cloudbackup.yml").exists()
        return
    (storage,) = load(folder).storages.values()
    kept = [part for part in directory.split("/") if part not in ("", ".")]
    assert storage.mounted == "/" + "/".join(kept)
