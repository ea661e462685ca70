"""Storage kind `s3`: a bucket."""

import time
from functools import cached_property
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, WithJsonSchema

from tasks.answers import Answer, Count
from tasks.errors import AppError
from tasks.inventory.models import App
from tasks.inventory.secrets import SecretReference
from tasks.inventory.storages import StorageConfig
from tasks.inventory.values import ENDPOINT, HostPath, Line, matching
from tasks.remote.facts import apart
from tasks.remote.http_date import http_date
from tasks.remote.script import Environment
from tasks.remote.secret import resolve
from tasks.storage.base import Means, Usage
from tasks.storage.published.host.rclone import ASKING
from tasks.storage.published.storage import Staged
from tasks.storage.repository import Side

BUCKET = r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$"
PREFIX = r"^(?!/)(?!(?:.*/)?\.\.(?:/|$))[A-Za-z0-9_./-]*$"


class _Size(Answer):
    """The output of `rclone size`."""

    bytes: Count


class S3Storage(StorageConfig):
    """A bucket: the repository lives in `staging` on the app's host and is published from there."""

    kind: Literal["s3"]
    endpoint: Annotated[
        str,
        matching(ENDPOINT, "an address such as https://fsn1.your-objectstorage.com"),
        WithJsonSchema({"type": "string", "pattern": ENDPOINT}),
    ] = Field(description="the object storage's address")
    bucket: Annotated[
        str,
        matching(BUCKET, "a bucket's name: 3 to 63 of a-z, 0-9, `.`, `-`"),
        WithJsonSchema({"type": "string", "pattern": BUCKET}),
    ] = Field(description="the bucket's name")
    prefix: Annotated[
        str,
        matching(PREFIX, "a prefix without `..` and without a slash at its beginning"),
        WithJsonSchema({"type": "string", "pattern": PREFIX}),
    ] = Field("", description="repositories are <prefix>/<app>")
    region: Line | None = Field(None, description="where the provider asks for one")
    access_key: SecretReference = Field(description="the access key's id")
    secret_key: SecretReference = Field(description="the access key's secret")
    staging: HostPath = Field(description="folder on the app's host for the repository itself")


class Bucket(Staged):
    """A bucket: `<prefix>/<app>` in it, the records in `<prefix>/records/<app>`."""

    def __init__(self, name: str, config: S3Storage, means: Means) -> None:
        super().__init__(name, config.kind, config.prefix.strip("/"), config.staging, means)
        self.config = config

    @property
    def root(self) -> str:
        """Return the bucket."""
        return self.config.bucket

    @property
    def server(self) -> tuple[str, int]:
        """Return the host and port of the endpoint."""
        found = urlsplit(self.config.endpoint)
        return found.hostname or "", found.port or (443 if found.scheme == "https" else 80)

    def settings(self, side: Side, app: App | None) -> Environment:  # noqa: ARG002  # one key serves both sides
        """Return rclone's S3 settings. The bucket is never created, since it may not be ours."""
        access = resolve(self.config.access_key, f"the access key of storage {self.name}")
        secret = resolve(self.config.secret_key, f"the secret key of storage {self.name}")
        return {
            "TYPE": "s3",
            "PROVIDER": "Other",
            "ENDPOINT": self.config.endpoint,
            "NO_CHECK_BUCKET": "true",
            "ACCESS_KEY_ID": access,
            "SECRET_ACCESS_KEY": secret,
            **({"REGION": self.config.region} if self.config.region else {}),
        }

    @cached_property
    def protected(self) -> bool | None:
        """Return whether the bucket keeps old versions (GetBucketVersioning)."""
        try:
            output = self.files().command(("backend", "versioning", self.address("")))
        except AppError:
            return None
        return output.text.strip().strip('"') == "Enabled"

    def _ask_clock(self, app: App) -> float | None:  # noqa: ARG002
        """Read the `Date` of an HTTP response: a bucket may report an object's time as set by its writer."""
        began = time.time()
        clock = http_date(self.config.endpoint)
        return None if clock is None else apart(clock, began, time.time())

    def usage(self, apps: tuple[App, ...]) -> Usage:  # noqa: ARG002
        """Sum what is below the prefix; a bucket has no size."""
        sizes = self.files().answer(_Size, ("size", "--json", *ASKING, self.address(self.directory)))
        return Usage(used=sizes.bytes, size=None)
