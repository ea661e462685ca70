"""What a box takes of the words that a client's rsync sends."""

from pathlib import Path

import pytest

from lab.jail import Jail
from lab.rsync import Job, job

SENDER = ("--server", "--sender", "-vlogDtpre.iLsfxCIvu")
RECEIVER = ("--server", "-vlogDtpre.iLsfxCIvu")


@pytest.fixture
def jail(tmp_path: Path) -> Jail:
    (tmp_path / "home/files").mkdir(parents=True)
    (tmp_path / "home/out").symlink_to(tmp_path)
    return Jail(tmp_path / "home")


@pytest.mark.parametrize(
    ("arguments", "words", "sends"),
    [
        ((*SENDER, ".", "files/"), (*SENDER, ".", "./files/"), True),
        ((*SENDER, ".", "/home/files", "x y"), (*SENDER, ".", "./files", "./x y"), True),
        ((*RECEIVER, "--delete-during", ".", ""), (*RECEIVER, "--delete-during", ".", "./."), False),
        ((*RECEIVER, "--partial-dir", ".part", ".", "files"), (*RECEIVER, "--partial-dir=.part", ".", "./files"), False),
    ],
)  # fmt: skip
def test_takes_a_clients_words(jail: Jail, arguments: tuple[str, ...], words: tuple[str, ...], sends: bool) -> None:
    assert job(arguments, jail) == Job(("rsync", *words), sends)


@pytest.mark.parametrize("given", [("--link-dest", "../old"), ("--link-dest=/home/old",)])
def test_a_folder_of_an_option_is_taken_from_the_target_on(jail: Jail, given: tuple[str, ...]) -> None:
    found = job((*RECEIVER, *given, ".", "new/"), jail)
    assert isinstance(found, Job)
    assert found.words[-3] == f"--link-dest={jail.home}/old"


@pytest.mark.parametrize(
    "word",
    [
        "--daemon",
        "--config=/etc/rsyncd.conf",
        "--log-file=taken",
        "--files-from=/etc/passwd",
        "--copy-unsafe-links",
        "--munge-links",
        "--remove-source-files",
        "-L",
        "-rLe.iLsfxCIvu",
        "-K",
        "-s",
        "-Mx",
        "-T/tmp",
        "stray",
    ],
)
def test_refuses_what_leads_out_of_the_home(jail: Jail, word: str) -> None:
    assert job((*SENDER, word, ".", "files"), jail) == f"rsync: the option {word} is not taken here\n"


@pytest.mark.parametrize(
    "arguments",
    [
        (*SENDER, ".", "../x"),
        (*SENDER, ".", "/etc/passwd"),
        (*SENDER, ".", "out/"),
        (*RECEIVER, ".", "out/new"),
        (*RECEIVER, ".", "etc"),
        (*RECEIVER, "--link-dest", "../../x", ".", "files"),
        (*RECEIVER, "--backup-dir=/tmp", ".", "files"),
        (*RECEIVER, "--partial-dir", "..", ".", "."),
    ],
)
def test_refuses_places_outside(jail: Jail, arguments: tuple[str, ...]) -> None:
    with pytest.raises(PermissionError):
        job(arguments, jail)
