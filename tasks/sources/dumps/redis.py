"""A dump of a Redis server: the RDB file that it writes for a replica, taken by redis-cli while it goes on."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from tasks.inventory.secrets import SecretReference
from tasks.inventory.values import HostName, HostPath, Line, Port, User, Words
from tasks.remote.program import INTERPRETER, Program
from tasks.remote.script import quote
from tasks.sources.dumps.host import judgement, redis_judge, redis_load
from tasks.sources.dumps.product import Judge, Product

JUDGE = Program(redis_judge, (judgement,))
# The end of data and its checksum, and what redis-cli leaves after them on standard output: the mark of 40 digits by
# which the server ended its stream (redis-cli 7.0; a server does not read on).
END = r"\xff[\x00-\xff]{8}([0-9a-f]{40})?\Z"


class Redis(Product):
    """All databases of a server."""

    title = "Redis"
    tells = True

    socket: HostPath | None = Field(None, description="the server's socket")
    host: HostName | None = Field(None, description="the server's address")
    port: Port | None = Field(None, description="the server's port")
    user: User | None = Field(None, description="the account, where there is one beside the default one")
    password: SecretReference | None = Field(None, description="where the password is")
    path: HostPath | None = Field(None, description="the server's own dump.rdb on the host, for a restore")
    verify: tuple[Line, ...] = Field(
        (), description="commands that must each answer 1 on a restored copy: EXISTS users, -n 3 EXISTS jobs"
    )

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if self.socket and (self.host or self.port):
            raise ValueError("has socket and host or port: give one way to the server")
        return self

    @property
    def ends(self) -> str:
        """Return how an RDB file ends."""
        return END

    @property
    def secrets(self) -> Mapping[str, SecretReference]:
        """Return the password under the name by which redis-cli takes it."""
        return {} if self.password is None else {"REDISCLI_AUTH": self.password}

    def tools(self) -> Sequence[str]:
        """Return Redis's client."""
        return ("redis-cli",)

    def dump(self) -> Words:
        """Return redis-cli's command."""
        return (*self._client(), "--rdb", "-")

    def by_hand(self) -> str:
        """Return how to see whether the server answers."""
        return quote((*self.exec, *self._client(), "ping"))

    def load(self) -> Words:
        """Return the program that puts the file in its place; empty if the inventory does not name that."""
        if self.path is None:
            return ()
        plan = {"path": self.path, "ping": [*self.exec, *self._client(), "ping"]}
        return (*INTERPRETER, Path(redis_load.__file__).read_text("utf-8"), json.dumps(plan))

    def unloaded(self) -> str:
        """Return the key of the file."""
        return "name the server's own file under `path`"

    @property
    def load_exec(self) -> Words:
        """Return nothing: the file lies on the host."""
        return ()

    def judge(self) -> Judge:
        """Return the program that has a private server load a dump."""
        return Judge(JUDGE, {"verify": list(self.verify)})

    def _client(self) -> Words:
        given = (("-s", self.socket), ("-h", self.host), ("-p", self.port), ("--user", self.user))
        return ("redis-cli", *(word for name, value in given if value is not None for word in (name, str(value))))
