"""How a box may differ from the one that is emulated, switched by the fault `deviations`: for `storagebox.probe`.

`home`: the account's home is `/`. `refusal`: refused with other words and status. `chains`, `assignments`: the shell
takes these. `df`: the columns of Linux. `without NAME`: there is no command NAME. `replace`: SFTP renames over no file.
"""

import re
from collections.abc import Collection

from lab import shell

OTHER_REFUSAL = "this command is not allowed\n"
OTHER_STATUS = 1
LINUX = "Filesystem  1K-blocks  Used Available Use% Mounted on\nbox  1000000 1000 999000 1% /home\nbox2 1 1 0 100% /x\n"


def taken(line: str, deviations: Collection[str]) -> str:
    """Return the line that the shell runs in place of another one."""
    if "chains" in deviations:
        line = line.partition(";")[0].strip()
    if "assignments" in deviations:
        line = re.sub(r"^(?:[A-Z_]+=\S* )+", "", line)
    return line


def answer(call: shell.Call | None, deviations: Collection[str]) -> tuple[str, str, int] | None:
    """Return standard output, standard error and status of a command that the box treats differently; else None."""
    if call is not None and f"without {call.name}" in deviations:
        call = None
    elif call is not None:
        said = {"pwd": "/\n" if "home" in deviations else None, "df": LINUX if "df" in deviations else None}
        text = said.get(call.name)
        return None if text is None else (text, "", 0)
    if "refusal" in deviations:
        return "", OTHER_REFUSAL, OTHER_STATUS
    return shell.REFUSAL, "", shell.REFUSED_STATUS
