"""Settings of a box, as the starting process writes them and the server process reads them."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from lab.accounts import Account

BX11 = 1 << 40  # bytes of the smallest box that is sold


@dataclass(frozen=True)
class BoxSettings:
    """What a box is.

    `port` stands for its port 23 and `sftp_port` for its port 22. `borg` maps the names of the restricted shell to
    programs of this machine; `quota` is the pool's size in bytes; `connections` may be open at a time in a `scope`, the
    `box` or each `account`; the next one is refused, `before-banner` or `after-login` (always so when the scope is an
    account). Hetzner's API of it answers at `api_port` to whoever has `api_token`.
    """

    port: int
    sftp_port: int
    accounts: tuple[Account, ...]
    borg: dict[str, str] = field(default_factory=dict)
    quota: int = BX11
    connections: int = 10
    refusal: str = "before-banner"
    scope: str = "box"
    api_port: int = 0
    api_token: str = ""


@dataclass(frozen=True)
class BoxPaths:
    """Where the parts of a box lie in its folder."""

    folder: Path

    @property
    def settings(self) -> Path:
        """Settings of the server, holding passwords: mode 600."""
        return self.folder / "settings.json"

    @property
    def pool(self) -> Path:
        """Home of the main account, which holds everything."""
        return self.folder / "data"

    @property
    def temporary(self) -> Path:
        """TMPDIR of borg, outside the pool."""
        return self.folder / "tmp"

    @property
    def snapshots(self) -> Path:
        """Snapshots of the pool, a folder for each by its number."""
        return self.folder / "snapshots"

    @property
    def limits(self) -> Path:
        """Size of the pool as it is now, read by every writer."""
        return self.folder / "limits.json"

    @property
    def control(self) -> Path:
        """Socket through which faults are switched."""
        return self.folder / "control"

    @property
    def host_key(self) -> Path:
        """Private host key; `.pub` beside it."""
        return self.folder / "host_key"

    @property
    def other_host_key(self) -> Path:
        """Private key that the fault `other_host_key` shows."""
        return self.folder / "other_host_key"

    @property
    def log(self) -> Path:
        """Log of the server process."""
        return self.folder / "log"


def save(settings: BoxSettings, path: Path) -> None:
    """Write the settings, readable for their owner only."""
    path.touch(mode=0o600)
    path.write_text(json.dumps(asdict(settings), indent=2))


def load(path: Path) -> BoxSettings:
    """Read what `save` wrote."""
    values = json.loads(path.read_text())
    values["accounts"] = tuple(Account(**account) for account in values["accounts"])
    return BoxSettings(**values)
