"""Where borg 1.2 and 1.4 differ, as far as it matters here. Everything else was found the same by running both.

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

So the cause of an error is told by msgid and text (failures.py), and its exit code only says how bad it is.
Times in `--json` are local and carry no zone in either: the runner sets TZ=UTC.
`list --json` shows no checkpoints in either. Both print a key to standard output when `key export` names no file.
"""

import re
from enum import Enum

ENVIRONMENT = {
    "BORG_EXIT_CODES": "modern",  # 1.4; 1.2 does not know it
    "BORG_RELOCATED_REPO_ACCESS_IS_OK": "no",
    "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "no",
    "BORG_DISPLAY_PASSPHRASE": "no",
    "BORG_FUSE_IMPL": "none",  # loading FUSE's library is a third of borg's start-up; only mount needs it
    "TZ": "UTC",
}

# Warnings that mean nothing: the first run with a files cache of its own does not find one, and the lock of a run that
# was killed goes when borg finds it (borg checks that the process is gone).
HARMLESS = re.compile(
    r"The files cache can't be read\. \[\[Errno 2\]|Continuing without files cache"
    r"|Killed stale lock |Removed stale \w+ roster lock "
)

NOT_FOUND = 127  # bash: no such command. borg 1.4 ends its warnings below it.


class Outcome(Enum):
    """How borg ended."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


def outcome(code: int) -> Outcome:
    """Return what an exit code of either version means; an unknown one is an error."""
    if code == 0:
        return Outcome.OK
    return Outcome.WARNING if code == 1 or 100 <= code < NOT_FOUND else Outcome.ERROR
