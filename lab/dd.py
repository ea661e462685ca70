"""`dd` of a box: the one way to write standard input into a file, or a piece of a file to standard output."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, BinaryIO

from lab.jail import Jail
from lab.quota.storage_pool import Pool

if TYPE_CHECKING:
    from asyncssh import SSHServerProcess

_UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


async def copy(words: Sequence[str], jail: Jail, pool: Pool, client: "SSHServerProcess[bytes]") -> int:
    """Copy as `dd if= of= bs= count= skip= seek= conv=notrunc` does; return the number of bytes.

    Raises OSError, also for an unknown operand.
    """
    options = dict(word.partition("=")[::2] for word in words)
    unknown = set(options) - {"if", "of", "bs", "count", "skip", "seek", "conv", "status"}
    if unknown:
        raise OSError(22, "unknown operand", min(unknown))
    block = _number(options.get("bs", "512"))
    limit = _number(options["count"]) * block if "count" in options else None
    source = jail.locate(options["if"]).open("rb") if "if" in options else None
    try:
        if source is not None:
            source.seek(_number(options.get("skip", "0")) * block)
        if "of" not in options:
            return await _copy(source, None, limit, pool, client)
        place = jail.locate_new(options["of"])
        if not place.exists():
            pool.claim(0, options["of"])
        place.touch()
        with place.open("r+b") as sink:
            sink.seek(_number(options.get("seek", "0")) * block)
            if options.get("conv") != "notrunc":
                sink.truncate()
            return await _copy(source, sink, limit, pool, client)
    finally:
        if source is not None:
            source.close()


async def _copy(
    source: BinaryIO | None, sink: BinaryIO | None, limit: int | None, pool: Pool, client: "SSHServerProcess[bytes]"
) -> int:
    done = 0
    while limit is None or done < limit:
        size = 1 << 18 if limit is None else min(1 << 18, limit - done)
        piece = source.read(size) if source is not None else await client.stdin.read(size)
        if not piece:
            break
        if sink is not None:
            pool.claim(len(piece))
            sink.write(piece)
        else:
            client.stdout.write(piece)
            await client.stdout.drain()
        done += len(piece)
    if sink is not None and isinstance(sink, io.BufferedIOBase):
        sink.flush()
    return done


def _number(text: str) -> int:
    unit = _UNITS.get(text[-1:].lower())
    digits = text[:-1] if unit else text
    if not digits.isdigit():
        raise OSError(22, "invalid numeric value", text)
    return int(digits) * (unit or 1)
