"""`borg list` of all that one archive holds, as compact bytes, some 100 for each file: to be searched and kept."""

from dataclasses import replace

from tasks.borg.client.list import LONGEST
from tasks.borg.client.runner import PLAIN, How, run
from tasks.remote.script import Words
from tasks.storage.repository import Repository

FORMAT = "{type} {size} {isomtime} {bpath}{NUL}"  # the time in UTC, which the runner sets; a path has no NUL
CHECKSUM = "{sha256} {bpath}{NUL}"


def entries_words(archive: str) -> Words:
    """Return borg's arguments for listing all that an archive holds."""
    return ("list", f"--format={FORMAT}", f"::{archive}")


def entries(repository: Repository, archive: str, how: How = PLAIN) -> bytes:
    """Return the entries in the form of FORMAT. Raises BorgError and what `Host.run` raises."""
    return run(repository, entries_words(archive), replace(how, most=LONGEST)).stdout


def checksums(repository: Repository, archive: str, paths: list[bytes], how: How = PLAIN) -> dict[bytes, str]:
    """Return the SHA-256 of files in an archive by path. Reads all their data. Raises as `entries`."""
    names = [f"pf:{path.decode('utf-8', 'surrogateescape')}" for path in paths]
    listed = run(repository, ("list", f"--format={CHECKSUM}", f"::{archive}", "--", *names), how).stdout
    found = (line.partition(b" ") for line in listed.split(b"\0") if line)
    return {path: digest.decode("ascii", "replace") for digest, _, path in found}
