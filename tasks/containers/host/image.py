"""Finds the image of a container, and how this host's python3 can run in a container of that image. Runs alone there.

    python3 -c "$IMAGE" ENGINE... CONTAINER

The image of a database has its tools and no python3. So a container of it gets the host's folders of programs, mounted
read-only below MOUNTED, and python3 is started by its own loader with its own libraries from there.

Standard output is JSON: `fault`, or `image`, `folders` (of the host, to mount) and `python` (words). Standard library
only, Python 3.8 and later.
"""

from __future__ import annotations

import ctypes  # noqa: F401 (its libraries are wanted as well)
import json
import os
import re
import struct
import subprocess
import sys

MOUNTED = "/cloudbackup-host"
PROGRAMS = ("/usr", "/lib", "/lib64", "/lib32", "/opt")
PATIENCE = 60  # seconds
LOADED, PROGRAM_HEADERS = 3, 32  # PT_INTERP, and the offset of e_phoff: elf(5)


def loader(path: str) -> str:
    """Return the loader that an ELF program of 64 bits names; empty if it names none."""
    with open(path, "rb") as file:
        head = file.read(64)
        if head[:5] != b"\x7fELF\x02":
            return ""
        start, size, count = struct.unpack_from("=Q", head, PROGRAM_HEADERS)[0], *struct.unpack_from("=HH", head, 54)
        for number in range(count):
            file.seek(start + number * size)
            kind, _, offset, _, _, length = struct.unpack("=IIQQQQ", file.read(40))
            if kind == LOADED:
                file.seek(offset)
                return os.path.realpath(file.read(length).rstrip(b"\0").decode())
    return ""


def libraries() -> list[str]:
    """Return the folders of the libraries that this process uses."""
    with open("/proc/self/maps") as lines:
        paths = (os.path.realpath(line.split(None, 5)[5].strip()) for line in lines if line.count("/"))
        shared = (path for path in paths if re.search(r"\.so(\.|$)", path) and "lib-dynload" not in path)
        return sorted({os.path.dirname(path) for path in shared})


def folders(paths: list[str]) -> list[str]:
    """Return the host's folders of programs that hold these paths. Raises ValueError for one that is elsewhere."""
    found = {next((each for each in PROGRAMS if path.startswith(f"{each}/")), "") for path in paths}
    if "" in found:
        raise ValueError("python3 is not among the host's programs in /usr, /lib or /opt")
    return sorted(found)


def found(words: list[str]) -> dict[str, object]:
    """Return the answer. Raises OSError, ValueError, SubprocessError."""
    engine, name = words[:-1], words[-1]
    done = subprocess.run(
        [*engine, "inspect", "--type=container", "--format={{.Image}}", name],
        stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    image = done.stdout.decode(errors="replace").strip()
    if done.returncode != 0 or not re.fullmatch("(sha256:)?[0-9a-f]{12,64}", image):
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise ValueError(said[-1][:300] if said else f"{name} has no image")
    python = os.path.realpath(sys.executable)
    start, places = loader(python), libraries()
    if not start:
        raise ValueError(f"{python} names no loader")
    own = [start, "--library-path", ":".join(MOUNTED + each for each in places), python]
    words = [MOUNTED + own[0], own[1], own[2], MOUNTED + own[3]]
    return {"image": image, "folders": folders([start, python, *(f"{each}/" for each in places)]), "python": words}


def main() -> int:
    """Print the answer; return the exit code."""
    try:
        print(json.dumps({"fault": "", **found(sys.argv[1:])}))
    except (OSError, ValueError, struct.error, subprocess.SubprocessError) as error:
        print(json.dumps({"fault": str(error)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
