"""The restricted shell: one simple command of the whitelist, or a refusal."""

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab import shell
from lab.shell import Call


@pytest.mark.parametrize(
    ("line", "call"),
    [
        ("ls", Call("ls", ())),
        ("  ls   -la  cloudbackup ", Call("ls", ("-la", "cloudbackup"))),
        ("mkdir 'a b;c'", Call("mkdir", ("a b;c",))),
        ("df -h", Call("df", ("-h",))),
        ("borg serve --umask=077", Call("borg", ("serve", "--umask=077"))),
        ("borg-1.4 --version", Call("borg-1.4", ("--version",))),
        (
            "borg-1.4 serve --append-only --restrict-to-repository cloudbackup/shop",
            Call("borg-1.4", ("serve", "--append-only", "--restrict-to-repository", "cloudbackup/shop")),
        ),
        ("rsync --server --sender -re.LsfxCIvu . x", Call("rsync", ("--server", "--sender", "-re.LsfxCIvu", ".", "x"))),
        ("cat # not a comment", Call("cat", ("#", "not", "a", "comment"))),
    ],
)
def test_takes_one_simple_command(line: str, call: Call) -> None:
    assert shell.parse(line) == call


@pytest.mark.parametrize(
    "line",
    [
        "",
        "   ",
        "echo hi",
        "whoami",
        "which borg",
        "test -d x",
        "sh -c ls",
        "cd dir;borg serve",
        "ls; ls",
        "ls && ls",
        "ls | cat",
        "ls > file",
        "cat < file",
        "ls &",
        "ls `id`",
        "ls $(id)",
        "ls $HOME",
        "ls\nls",
        "LC_ALL=C ls",
        "BORG_HOSTNAME_IS_UNIQUE=no borg serve",
        "/usr/local/bin/borg1 serve",
        "./borg serve",
        "borg-9 serve",
        "borg list x",
        "borg",
        "rsync",
        "rsync --daemon",
        "rsync -a x y",
        "ls 'unbalanced",
        "(ls)",
    ],
)
def test_refuses_everything_else(line: str) -> None:
    assert shell.parse(line) is None


# A word of operators alone is refused even in quotes: the emulator errs on the strict side.
WORDS = st.text(st.characters(exclude_characters="$`\n\r\0", codec="utf-8"), min_size=1)


@given(st.lists(WORDS.filter(lambda word: not set(word) <= set(";|&<>()")), max_size=4))
def test_quoted_words_arrive_as_they_are(words: list[str]) -> None:
    assert shell.parse(shlex.join(("ls", *words))) == Call("ls", tuple(words))


@given(st.text(st.characters(codec="utf-8")))
def test_any_line_is_taken_or_refused(line: str) -> None:
    call = shell.parse(line)
    assert call is None or call.name in {*shell.FILE_COMMANDS, *shell.OTHER_COMMANDS, *shell.BORG_NAMES, "rsync"}


@pytest.mark.parametrize(
    ("name", "words", "expected"),
    [
        ("ls", ("-la", "x", "y"), (["-la"], ["x", "y"])),
        ("rm", ("-rf", "--", "-odd"), (["-rf"], ["-odd"])),
        ("du", ("--files0-from=/etc/passwd",), "du: illegal option -- -\n"),
        ("cp", ("-t", "dir", "x"), "cp: illegal option -- t\n"),
    ],
)
def test_options_that_name_other_files_are_refused(
    name: str, words: tuple[str, ...], expected: tuple[list[str], list[str]] | str
) -> None:
    assert shell.split_options(name, words) == expected
