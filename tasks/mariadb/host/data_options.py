"""Options of a private server: those that the restored data needs, and those that fit the host.

Part of drills and replays, which run alone on a host: standard library only, Python 3.8 and later, except
`ordinary_user`, which is sent along.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.mariadb.host.ordinary_user import clean_environment, ordinary

if TYPE_CHECKING:
    from collections.abc import Iterator

# The options in backup-my.cnf that a server needs. Its directories belong to another server; a plugin's path would let
# the author of the archive run a program here.
KEYS = "file_key_management"  # the only supported plugin for encryption keys
NEEDED = ("innodb_checksum_algorithm", "innodb_data_file_path", "innodb_page_size", "innodb_undo_tablespaces")
SHARE = 8  # divisor of the free memory: checking a table that does not fit in takes many times longer
LEAST, MOST = 64 << 20, 1 << 30  # limits of the buffer pool in bytes


def pool(proc: Path = Path("/proc"), groups: Path = Path("/sys/fs/cgroup")) -> int:
    """Return the size of the buffer pool in bytes: a small share of the memory available to this process.

    That is the host's free memory (proc(5)), limited in a container or service by its cgroup (cgroups(7)): a server
    that exceeds that is killed.
    """
    available = re.search(r"MemAvailable: *(\d+) kB", (proc / "meminfo").read_text())
    free = [int(available[1]) * 1024] if available else [0]
    return min(max(min([*free, *limits(proc, groups)]) // SHARE, LEAST), MOST)


def limits(proc: Path, groups: Path) -> Iterator[int]:
    """Yield the memory limits in bytes of the cgroups around this process; in version 1, the container's own."""
    own = re.search(r"^0::/(.*)$", (proc / "self/cgroup").read_text(), re.MULTILINE)
    inner = groups / own[1] if own else groups
    files = [folder / "memory.max" for folder in (inner, *inner.parents)]
    for file in (*files, groups / "memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):  # the file is missing, or contains "max"
            yield int(file.read_text())


def written(file: Path) -> dict[str, str]:
    """Return the options in the file that mariadb-backup wrote next to the data."""
    pairs = [line.strip().partition("=") for line in file.read_text(errors="replace").splitlines() if "=" in line]
    return {name.strip().replace("-", "_"): value.strip() for name, _, value in pairs}


def options(file: Path) -> list[str]:
    """Return the options that the data needs, from the file that mariadb-backup wrote next to it."""
    values = written(file)
    return [f"--{name}={values[name]}" for name in NEEDED if name in values]


def encryption(file: Path) -> tuple[list[str], list[int]]:
    """Return the options for encrypted data, and open files for the server to inherit.

    The files are copies of the key files, in memory only: the server's user may not read the originals. Raises OSError.
    """
    values = written(file)
    if KEYS not in values.get("plugin_load", ""):
        return [], []
    words, files = [f"--plugin-load-add={KEYS}"], []
    for name in ("filename", "filekey", "encryption_algorithm"):
        value = values.get(f"{KEYS}_{name}", "")
        start = "FILE:" if value.startswith("FILE:") else ""
        if name == "filename" or start:
            files.append(os.memfd_create(name))
            os.write(files[-1], Path(value[len(start) :]).read_bytes())
            value = f"{start}/proc/self/fd/{files[-1]}"
        words += [f"--{KEYS}_{name}={value}"] if value else []
    return words, files


def providers(server: str) -> list[str]:
    """Return the installed compression plugins: tables may need them, and no option file names them."""
    said = subprocess.run(
        (server, "--no-defaults", "--verbose", "--help"), cwd="/", env=clean_environment(), preexec_fn=ordinary(),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    found = re.search(rb"^plugin-dir +(/.*?) *$", said.stdout, re.MULTILINE)
    return sorted(path.stem for path in Path(os.fsdecode(found.group(1))).glob("provider_*.so")) if found else []
