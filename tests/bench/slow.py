"""A TCP proxy that adds latency: `python -m tests.bench.slow PORT MILLISECONDS` prints its own port and runs until it is ended.

Each piece is passed on half of the time later in each direction, however many are under way: a longer line, no thinner one.
"""

import asyncio
import contextlib
import sys

PIECE = 1 << 16


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> None:
    """Pass bytes on, each piece `seconds` after it came."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def late() -> None:
        while True:
            due, piece = await queue.get()
            await asyncio.sleep(due - loop.time())
            if not piece:
                break
            writer.write(piece)
            await writer.drain()
        with contextlib.suppress(OSError):
            writer.write_eof()

    sending = asyncio.create_task(late())
    with contextlib.suppress(OSError):
        while piece := await reader.read(PIECE):
            queue.put_nowait((loop.time() + seconds, piece))
    queue.put_nowait((loop.time() + seconds, b""))
    with contextlib.suppress(OSError):
        await sending


async def main(port: int, milliseconds: float) -> None:
    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", port)
        half = milliseconds / 2000
        await asyncio.gather(carry(reader, there_writer, half), carry(there_reader, writer, half))
        for each in (writer, there_writer):
            each.close()

    server = await asyncio.start_server(accepted, "127.0.0.1", 0, backlog=200)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2])))
