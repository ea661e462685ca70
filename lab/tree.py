"""A tree of files with everything that a backup can get wrong, changes to it, and a fingerprint to compare by."""

import hashlib
import os
import random
import stat
from pathlib import Path

ODD_NAMES = (
    "with space.txt",
    'it\'s "quoted".txt',
    "line\nbreak.txt",
    "Überraschung-日本語-🙂.txt",
    "$(touch owned) `id` ;&|.txt",
    "-leading-dash.txt",
    "back\\slash.txt",
)
CACHEDIR_TAG = "Signature: 8a477f597d28d172789f06886806bc55\n"  # https://bford.info/cachedir/


def make(folder: Path, megabytes: int, seed: int = 1) -> None:
    """Make the tree: files of many sizes, odd names, links, an empty folder, a sparse file, an attribute, a cache."""
    chance = random.Random(seed)  # noqa: S311 (data to back up, not secrets)
    for name in ("documents/2026", "uploads", "empty", "cache", "links"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    left, number = megabytes * 1_000_000, 0
    while left > 0:
        size = min(left, chance.choice((120, 4_000, 70_000, 400_000)))
        (folder / "uploads" / f"{number:05}.bin").write_bytes(chance.randbytes(size))
        left, number = left - size, number + 1
    for name in ODD_NAMES:
        (folder / "documents" / name).write_text(f"the content of {name}\n")
    (folder / "documents/2026/empty.txt").touch()
    private = folder / "documents/2026/private.txt"
    private.write_text("readable for its owner only\n")
    private.chmod(0o600)
    os.utime(private, ns=(1_600_000_000_123_456_789, 1_600_000_000_123_456_789))
    _make_links(folder)
    with (folder / "sparse.img").open("wb") as sparse:
        sparse.write(b"begin")
        sparse.seek(8_000_000)
        sparse.write(b"end")
    (folder / "cache/CACHEDIR.TAG").write_text(CACHEDIR_TAG)
    (folder / "cache/recomputable").write_bytes(chance.randbytes(5_000))
    try:
        os.setxattr(folder / "documents/2026/private.txt", "user.origin", b"lab")
    except OSError:
        return  # not every file system has attributes


def _make_links(folder: Path) -> None:
    links = folder / "links"
    for name, target in (("relative", "../documents"), ("dangling", "/nonexistent/place")):
        if not (links / name).is_symlink():
            (links / name).symlink_to(target)
    if not (links / "hard").exists():
        (links / "hard").hardlink_to(folder / "documents" / ODD_NAMES[0])


def change(folder: Path, seed: int = 1) -> None:
    """Change some files, add some, remove one."""
    chance = random.Random(seed)  # noqa: S311
    uploads = sorted((folder / "uploads").iterdir())
    for path in uploads[:: max(1, len(uploads) // 5)]:
        path.write_bytes(chance.randbytes(1 + path.stat().st_size))
    uploads[-1].unlink()
    (folder / "uploads" / f"new-{seed}.bin").write_bytes(chance.randbytes(30_000))
    with (folder / "documents" / ODD_NAMES[1]).open("a") as file:
        file.write(f"change {seed}\n")


def fingerprint(folder: Path, excluding_caches: bool = False) -> dict[str, str]:
    """Return, for each name under `folder`, its type, mode, owner, time, links, attributes and content (SHA-256).

    Times of folders count too; the folder itself is under the name `.`. `excluding_caches` leaves out folders with a
    CACHEDIR.TAG, as `borg create --exclude-caches` does.
    """
    found = {".": _describe(folder)}
    for parent, folders, names in os.walk(folder):
        if excluding_caches:
            folders[:] = [name for name in folders if not Path(parent, name, "CACHEDIR.TAG").is_file()]
        for name in (*folders, *names):
            path = Path(parent, name)
            found[str(path.relative_to(folder))] = _describe(path)
    return found


def _describe(path: Path) -> str:
    about = path.lstat()
    parts = [
        stat.filemode(about.st_mode),
        f"{about.st_uid}:{about.st_gid}",
        str(about.st_mtime_ns),
    ]
    if stat.S_ISLNK(about.st_mode):
        parts.append(f"-> {path.readlink()}")
    if stat.S_ISREG(about.st_mode):
        with path.open("rb") as file:
            parts.append(hashlib.file_digest(file, "sha256").hexdigest())
        parts.append(f"{about.st_nlink} names")
        parts.extend(f"{name}={os.getxattr(path, name)!r}" for name in sorted(_attributes(path)))
    return " ".join(parts)


def _attributes(path: Path) -> list[str]:
    try:
        return os.listxattr(path)
    except OSError:
        return []


def differences(one: dict[str, str], other: dict[str, str]) -> list[str]:
    """Return one line per name that two fingerprints tell differently, empty when they are the same."""
    return [
        f"{name!r}: {one.get(name, 'absent')} | {other.get(name, 'absent')}"
        for name in sorted({*one, *other})
        if one.get(name) != other.get(name)
    ]
