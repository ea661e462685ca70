"""Write a stream of mariadb-backup's shape with so many GB of pages, no two alike: `python synthetic.py GIGABYTES`."""

import sys
import zlib

from tasks.mariadb.host.align import DATA, HEAD, MAGIC

PAGE = 16384
PIECE = 640  # pages in a data chunk, as mariadb-backup sends them


def chunk(kind: bytes, path: bytes) -> bytes:
    """Return the head of a chunk."""
    return HEAD.pack(MAGIC, 0, kind, len(path)) + path


def main() -> None:
    """Write one file of pages, then the files that mariadb-backup writes last."""
    out = sys.stdout.buffer
    rest = bytes(PAGE - 8)
    path = b"bench/t.ibd"
    for number in range(int(sys.argv[1]) * 10**9 // (PAGE * PIECE)):
        data = b"".join((number * PIECE + page).to_bytes(8, "big") + rest for page in range(PIECE))
        out.write(chunk(b"P", path) + DATA.pack(len(data), number * len(data), zlib.crc32(data)) + data)
    out.write(chunk(b"E", path))
    for path in (b"xtrabackup_checkpoints", b"xtrabackup_info"):
        out.write(chunk(b"P", path) + DATA.pack(0, 0, 0) + chunk(b"E", path))


if __name__ == "__main__":
    main()
