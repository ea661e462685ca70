"""The network between a client and the emulator: accepts, counts, delays, hangs and cuts connections."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable

from lab.accounts import ADDRESSES
from lab.faults import FaultState

RESET = struct.pack("ii", 1, 0)  # socket(7), SO_LINGER for no time: closing sends a reset
PIECE = 1 << 18  # bytes that pass at a time


class Link:
    """One client's connection, joined with the server's end of a socket pair."""

    def __init__(self, client: "Stream", server: "Stream", network: "Network") -> None:
        self._ends = (client, server)
        self._network = network
        self._received = 0

    async def run(self) -> None:
        """Pass bytes until both directions have ended."""
        client, server = self._ends
        try:
            await asyncio.gather(self._pass(client, server, upwards=True), self._pass(server, client, upwards=False))
        except OSError:
            self.cut()
        finally:
            for end in self._ends:
                end.writer.close()

    def cut(self) -> None:
        """Break the connection; the client gets a reset, the server an end."""
        client, server = self._ends
        if not client.writer.transport.is_closing():
            client.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        for end in (client, server):
            end.writer.transport.abort()

    def count_from_now(self) -> None:
        """Start counting for `drop_after`."""
        self._received = 0

    async def _pass(self, source: "Stream", sink: "Stream", upwards: bool) -> None:
        while True:
            piece = await source.reader.read(PIECE)
            await self._network.hold_back()
            if upwards and self._exhausted(len(piece)):
                self.cut()
                return
            if not piece:
                break
            sink.writer.write(piece)
            await sink.writer.drain()
        with contextlib.suppress(OSError):
            sink.writer.write_eof()

    def _exhausted(self, size: int) -> bool:
        self._received += size
        limit = self._network.state.drop_after
        return limit is not None and self._received >= limit


class Stream:
    """The two halves of one end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer


class Network:
    """All connections of a box and what is wrong with them."""

    def __init__(self, state: FaultState, cap: int, refuse_early: bool) -> None:
        self.state = state
        self.links: set[Link] = set()
        self._cap = cap
        self._most = 0
        self.reachable = True
        self._refuse_early = refuse_early
        self._flowing = asyncio.Event()
        self._flowing.set()

    @property
    def crowded(self) -> bool:
        """Whether more connections are open than the box allows."""
        return len(self.links) > self.limit

    @property
    def limit(self) -> int:
        """How many connections may be open at a time."""
        return self._cap if self.state.connections is None else self.state.connections

    async def listen(self, port: int, serve: Callable[[socket.socket], Awaitable[object]]) -> asyncio.Server:
        """Accept clients on the address of each account; `serve` gets the server's end of each connection."""

        async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._accepted(Stream(reader, writer), serve)

        return await asyncio.start_server(accepted, ADDRESSES, port, limit=PIECE, backlog=200)

    async def _accepted(self, client: Stream, serve: Callable[[socket.socket], Awaitable[object]]) -> None:
        ours, theirs = socket.socketpair()
        server = Stream(*await asyncio.open_connection(sock=ours, limit=PIECE))
        link = Link(client, server, self)
        self.links.add(link)
        self._most = max(self._most, len(self.links))
        try:
            if not self.reachable or (self._refuse_early and self.crowded):
                theirs.close()
                link.cut()
                return
            await asyncio.gather(link.run(), serve(theirs))
        finally:
            link.cut()
            self.links.discard(link)

    async def hold_back(self) -> None:
        """Wait while the network hangs, and for its latency."""
        if self.state.latency:
            await asyncio.sleep(self.state.latency)
        await self._flowing.wait()

    def apply(self) -> None:
        """Make changes of the state hold for open connections."""
        if self.state.hang:
            self._flowing.clear()
        else:
            self._flowing.set()
        for link in self.links:
            link.count_from_now()

    def recount(self) -> int:
        """Return how many connections were open at once at most, and reset the count."""
        most, self._most = self._most, len(self.links)
        return most

    def drop(self) -> int:
        """Cut all connections; return how many there were."""
        links = list(self.links)
        for link in links:
            link.cut()
        return len(links)
