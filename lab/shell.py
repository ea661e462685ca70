"""The restricted shell of a Storage Box: which command lines it takes. Pure: text in, words or a refusal out.

The whitelist and the refusal are those of facts gathered from users' logs: https://github.com/karanhudia/borg-ui/issues/37,
https://github.com/bit-team/backintime/issues/1745, https://github.com/fiaasco/borgbackup/pull/45.
"""

import re
import shlex
from dataclasses import dataclass

REFUSAL = "Command not found. Use 'help' to get a list of available commands.\n"  # on standard output
REFUSED_STATUS = 8
# What the box says to `ssh-copy-id` is known to be boxed and to name `-s`; its words are not.
COPY_ID_HINT = "".join(
    f"{line}\n"
    for line in (
        "+" + "-" * 62 + "+",
        "| Keys are installed by: ssh-copy-id -p 23 -s                  |",
        "+" + "-" * 62 + "+",
    )
)
# name -> one-letter options that the emulator passes on; FreeBSD's tools know no long ones
FILE_COMMANDS = {
    "ls": "1AFRSTadhilnrtu",
    "ll": "1AFRSTadhilnrtu",
    "tree": "adhs",
    "mkdir": "pv",
    "rmdir": "pv",
    "du": "achkms",
    "cat": "n",
    "touch": "acm",
    "cp": "Rafprv",
    "rm": "Rdfrv",
    "mv": "fnv",
    "chmod": "Rv",
    "md5": "",
    "sha1": "",
    "sha256": "",
    "sha512": "",
    "md5sum": "b",
    "sha1sum": "b",
    "sha256sum": "b",
    "sha512sum": "b",
}
OTHER_COMMANDS = ("cd", "pwd", "df", "dd", "help", "install-ssh-key")
BORG_NAMES = ("borg", "borg-1.1", "borg-1.2", "borg-1.4")
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")


@dataclass(frozen=True)
class Call:
    """One command that the shell takes: `name` of the whitelist and its arguments, quotes removed."""

    name: str
    arguments: tuple[str, ...]


def parse(line: str) -> Call | None:
    """Return the one simple command of `line`, None when the shell refuses it.

    Refused: several commands, pipes, redirections, substitutions, assignments, unbalanced quotes, a program given by
    its path, and every program that is not on the whitelist.
    """
    words = _split(line)
    if not words or _ASSIGNMENT.match(words[0]):
        return None
    name, *arguments = words
    if name in BORG_NAMES:
        return Call(name, tuple(arguments)) if arguments and arguments[0] in ("serve", "--version") else None
    if name == "rsync":
        return Call(name, tuple(arguments)) if arguments and arguments[0] == "--server" else None
    if name in FILE_COMMANDS or name in OTHER_COMMANDS:
        return Call(name, tuple(arguments))
    return None


def refusal(line: str) -> str:
    """Return what the shell prints instead of running `line`."""
    return COPY_ID_HINT if line.startswith("exec sh -c") and "authorized_keys" in line else REFUSAL


def _split(line: str) -> list[str] | None:
    if any(character in line for character in "$`\n\r\0"):
        return None
    operators = ";|&<>()"
    lexer = shlex.shlex(line, posix=True, punctuation_chars=operators)
    lexer.whitespace_split = True
    lexer.commenters = ""
    words = []
    try:
        while (word := lexer.get_token()) is not None:
            if word and set(word) <= set(operators):
                return None
            words.append(word)
    except ValueError:
        return None
    return words


def help_text() -> str:
    """Return what `help` prints: commands, then the back ends that only programs call."""
    commands = sorted({*FILE_COMMANDS, *OTHER_COMMANDS} - {"install-ssh-key"})
    lines = ["+" + "-" * 60 + "+", "Available commands:", *(f"  {name}" for name in commands)]
    return "\n".join([*lines, "Available back ends:", "  borg", "  rsync", "  scp", "  sftp"]) + "\n"


def split_options(name: str, arguments: tuple[str, ...]) -> tuple[list[str], list[str]] | str:
    """Part a file command's arguments into options and operands; text of the error when an option is unknown."""
    options: list[str] = []
    operands: list[str] = []
    for position, word in enumerate(arguments):
        if word == "--":
            return options, [*operands, *arguments[position + 1 :]]
        if word.startswith("-") and word != "-":
            unknown = [letter for letter in word[1:] if letter not in FILE_COMMANDS[name]]
            if unknown:
                return f"{name}: illegal option -- {unknown[0]}\n"
            options.append(word)
        else:
            operands.append(word)
    return options, operands
