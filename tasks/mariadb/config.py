"""What the inventory says of a MariaDB server, the key `mariadb` of an app's file."""

from datetime import timedelta
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from tasks.inventory.secrets import SecretReference, Strict
from tasks.inventory.values import ChunkSize, Duration, HostName, HostPath, Line, Port, User, Words


class MariaDB(Strict):
    """The source `mariadb`, and `binlog` where wanted."""

    defaults_file: HostPath | None = Field(None, description="option file on the host with user and password")
    socket: HostPath | None = Field(None, description="the server's socket on the host")
    host: HostName | None = Field(None, description="the server's address as its host sees it, for TCP")
    port: Port | None = Field(None, description="the server's port, for TCP")
    user: User | None = Field(None, description="the database account")
    password: SecretReference | None = Field(None, description="the database account's password")
    exec: Words = Field((), description="what runs the database tools where they live: docker exec -i shop-db")
    binlog: bool = Field(default=False, description="archive binary logs as well, for point-in-time recovery")
    datadir: HostPath | None = Field(None, description="the data directory on the host; asked of the server otherwise")
    stop: Words = Field(("systemctl", "stop", "mariadb"), description="stops the server, for a restore")
    start: Words = Field(("systemctl", "start", "mariadb"), description="starts the server after a restore")
    verify: tuple[Line, ...] = Field((), description="queries that must each answer 1 on a restored copy")
    chunk_size: ChunkSize = Field(None, description="the repository's chunk size; auto goes by size and memory")
    startup_wait_timeout: Duration = Field(
        timedelta(minutes=10), description="how long the backup waits for locks that others hold"
    )
    checkpoint: bool = Field(default=True, description="have the server write its changed pages before the copy")
    parallel: int = Field(1, ge=1, le=64, description="threads that copy data files")
    throttle: int | None = Field(
        None, ge=1, description="most pairs of read and write a second while copying, each 10 MiB"
    )
    damaged: Literal["fail", "save"] = Field(
        "fail",
        description="when a table has a damaged page on the server: fail, or save all the same, as `incomplete`",
    )
    elsewhere: tuple[Line, ...] = Field(
        (),
        description="tables whose data lies elsewhere (CONNECT, SPIDER, ...) and need not be in the backup: shop.far,"
        " archive.*",
    )
    safe_slave_backup: bool = Field(
        default=False,
        description="on a replica: stop its SQL thread while temporary tables are open, and start it again",
    )

    @field_validator("elsewhere")
    @classmethod
    def _of_a_database(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            if not all(each.partition(".")):
                raise ValueError(f"{each}: write database.table, as in shop.far or archive.*")
        return value

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if self.socket and (self.host or self.port):
            raise ValueError("has socket and host or port: give one way to the server")
        return self
