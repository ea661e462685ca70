"""Options of a private server: those that the restored data needs, and what the host has for it.

A part of drills and replays, which run alone on a host: of the standard library only, Python 3.8 and later; but for
`ordinary_user`, which comes along.
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

# What backup-my.cnf holds and a server needs. Its directories are another server's; a plugin's path would let whoever
# made the archive run a program here.
KEYS = "file_key_management"  # the one plugin for keys that is known here
NEEDED = ("innodb_checksum_algorithm", "innodb_data_file_path", "innodb_page_size", "innodb_undo_tablespaces")
SHARE = 8  # a part of the memory that is free: a check of a table that does not fit in takes many times longer
LEAST, MOST = 64 << 20, 1 << 30  # bytes of the buffer pool, all the same


def pool(proc: Path = Path("/proc"), groups: Path = Path("/sys/fs/cgroup")) -> int:
    """Return the size of the buffer pool in bytes: a small share of what this process may have of the memory.

    That is what the host has free (proc(5)), and in a container or a service no more than its limit (cgroups(7)): a
    server that grows beyond that is killed.
    """
    available = re.search(r"MemAvailable: *(\d+) kB", (proc / "meminfo").read_text())
    free = [int(available[1]) * 1024] if available else [0]
    return min(max(min([*free, *limits(proc, groups)]) // SHARE, LEAST), MOST)


def limits(proc: Path, groups: Path) -> Iterator[int]:
    """Yield the limits in bytes of the control groups around this process; of version 1 a container's own."""
    own = re.search(r"^0::/(.*)$", (proc / "self/cgroup").read_text(), re.MULTILINE)
    inner = groups / own[1] if own else groups
    files = [folder / "memory.max" for folder in (inner, *inner.parents)]
    for file in (*files, groups / "memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):  # none there, or the word max
            yield int(file.read_text())


def written(file: Path) -> dict[str, str]:
    """Return the options in the file that mariadb-backup wrote beside the data."""
    pairs = [line.strip().partition("=") for line in file.read_text(errors="replace").splitlines() if "=" in line]
    return {name.strip().replace("-", "_"): value.strip() for name, _, value in pairs}


def options(file: Path) -> list[str]:
    """Return the options that the data needs, from what mariadb-backup wrote beside it."""
    values = written(file)
    return [f"--{name}={values[name]}" for name in NEEDED if name in values]


def encryption(file: Path) -> tuple[list[str], list[int]]:
    """Return the options that encrypted data needs, and open files for the server to inherit.

    They are copies of the key files, in memory alone: the user as whom the server runs may not read the files
    themselves. Raises OSError.
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
    """Return the compression plugins that are installed here: tables may need them, and no option file names them."""
    said = subprocess.run(
        (server, "--no-defaults", "--verbose", "--help"), cwd="/", env=clean_environment(), preexec_fn=ordinary(),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    found = re.search(rb"^plugin-dir +(/.*?) *$", said.stdout, re.MULTILINE)
    return sorted(path.stem for path in Path(os.fsdecode(found.group(1))).glob("provider_*.so")) if found else []
