"""`rsync --server` of a box: which of the words that a client's rsync sends are taken, and where its paths lie.

rsync's own `rrsync` is the model (https://download.samba.org/pub/rsync/rrsync.1): whatever names a file by itself,
takes further names from the connection or follows links out of the home is refused.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lab.jail import Jail

# A word of short options; what follows `e.` are the client's capabilities.
_LETTERS = re.compile(r"-(?P<options>[A-Za-z0-9]*?)(?:e[0-9.]*[A-Za-z]*)?")
# --copy-links, --copy-dirlinks, --keep-dirlinks lead out of the home, --secluded-args sends the paths later, and the
# last three have values.
_REFUSED_LETTERS = frozenset("LkKsfMT")
# Long options that a client hands on (options.c of rsync, server_options)
_PLAIN = re.compile(
    r"""--(?: append | bwlimit | checksum-(?:choice|seed) | compress-(?:choice|level) | debug | delay-updates
    | delete(?:-(?:after|before|delay|during|excluded))? | existing | force | ignore-(?:errors|existing|missing-args)
    | info | inplace | list-only | log-format | max-(?:delete|size) | min-size | modify-window | new-compress
    | no-implied-dirs | numeric-ids | old-compress | partial | preallocate | safe-links | server | sender | size-only
    | skip-compress | stats | suffix | timeout )(?:=.*)?""",
    re.VERBOSE | re.DOTALL,
)
_READ_FOLDERS = ("--compare-dest", "--copy-dest")
_FOLDERS = (*_READ_FOLDERS, "--link-dest", "--backup-dir", "--partial-dir", "--temp-dir")


@dataclass(frozen=True)
class Job:
    """What a server has to do: `words` for the program, and whether it `sends` to the client or receives."""

    words: tuple[str, ...]
    sends: bool


def job(arguments: Sequence[str], jail: Jail) -> Job | str:
    """Return the job that `--server ...` asks for, or the text of what is refused. Raises OSError for paths outside."""
    end = arguments.index(".") if "." in arguments else len(arguments)
    options, paths = list(arguments[:end]), arguments[end + 1 :] or (".",)
    sends = "--sender" in options
    words = ["rsync"]
    while options:
        word = options.pop(0)
        name, equals, value = word.partition("=")
        letters = _LETTERS.fullmatch(word)
        if name in _FOLDERS and (equals or options):
            words.append(f"{name}={_folder(name, value if equals else options.pop(0), paths[-1], jail)}")
        elif _PLAIN.fullmatch(word) or (letters and not set(letters["options"]) & _REFUSED_LETTERS):
            words.append(word)
        else:
            return f"rsync: the option {word} is not taken here\n"
    return Job((*words, ".", *(_place(path, jail, changed=not sends) for path in paths)), sends)


def _folder(name: str, value: str, target: str, jail: Jail) -> str:
    """Return where the folder of an option lies; rsync takes a relative one from the target on.

    Links to what is in a snapshot are refused: a box has that on another file system.
    """
    if name == "--partial-dir" and "/" not in value and value not in ("", ".."):
        return value  # one such in each folder
    visible = value if value.startswith("/") else f"{target}/{value}"
    return str(jail.locate(visible) if name in _READ_FOLDERS else jail.locate_new(visible))


def _place(path: str, jail: Jail, *, changed: bool) -> str:
    """Return a path from the home on; a slash at its end, which means the content of a folder, stays."""
    if changed:
        jail.locate_new(path)
    else:
        jail.locate(path)
    relative = jail.relative(path)
    return f"./{relative}/" if path.endswith("/") else f"./{relative}"
