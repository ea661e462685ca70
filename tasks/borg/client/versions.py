"""The relevant differences between borg 1.2 and 1.4. Everything else was found to be the same by running both.

                                  1.2.4                       1.4.5
exit code of a warning            1                           1, or 100 to 126 with BORG_EXIT_CODES=modern
exit code of an error             2                           2, or 3 to 99 with BORG_EXIT_CODES=modern
failed content command            no msgid                    msgid CommandError, text with a prefix
warnings about files              no msgid                    msgid BackupFileNotFoundError and others
text for a missing path           /x: [Errno 2] ...: 'x'      /x: stat: [Errno 2] ...: '/x'
wrong passphrase                  passphrase supplied in      Passphrase supplied in
`create --json` original_size     with archive metadata       contents of files alone
passphrase in a content command's
  environment                     yes                         no
`init` at success warns of        key and old versions        key

So msgid and text identify an error (errors.py); the exit code only gives its severity. In both, times in `--json` are
local and have no zone (the runner sets TZ=UTC), `list --json` shows no checkpoints, and `key export` without a file
prints the key to standard output.
"""

import re
from enum import Enum

ENVIRONMENT = {
    "BORG_EXIT_CODES": "modern",  # 1.4; unknown to 1.2
    "BORG_RELOCATED_REPO_ACCESS_IS_OK": "no",
    "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "no",
    "BORG_DISPLAY_PASSPHRASE": "no",
    "BORG_FUSE_IMPL": "none",  # loading FUSE is a third of borg's start-up time; only mount needs it
    "TZ": "UTC",
}

# Harmless warnings: the first run with a files cache of its own does not find one, and borg removes the lock of a
# killed run when it finds it (after checking that the process is gone).
HARMLESS = re.compile(
    r"The files cache can't be read\. \[\[Errno 2\]|Continuing without files cache"
    r"|Killed stale lock |Removed stale \w+ roster lock "
)

NOT_FOUND = 127  # bash: command not found. borg 1.4's warnings end below it.


class Outcome(Enum):
    """How borg exited."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


def outcome(code: int) -> Outcome:
    """Return the meaning of an exit code of either version; an unknown one is an error."""
    if code == 0:
        return Outcome.OK
    return Outcome.WARNING if code == 1 or 100 <= code < NOT_FOUND else Outcome.ERROR
