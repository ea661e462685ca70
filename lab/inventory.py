"""The inventory of a lab: the files that an operator would write for it."""

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lab import keys
from lab.estate import BOX_ID
from lab.mariadb import BACKUP_USER
from lab.plan import AppPlan
from lab.settings import BoxSettings
from lab.sshd import HostPaths
from lab.state import AppState


def write(folder: Path, box: BoxSettings, host_key: str, apps: Sequence[tuple[AppPlan, AppState]]) -> None:
    """Write `inventory/cloudbackup.yml`, `inventory/apps/*.yml` and the secrets that they name (mode 600)."""
    operator = folder / "operator"
    _write_yaml(
        folder / "inventory/cloudbackup.yml",
        {
            "storages": {
                "box": {
                    "kind": "storagebox",
                    "host": "127.0.0.1",
                    "port": box.port,
                    "user": box.accounts[0].name,
                    "directory": "cloudbackup",
                    "borg": "borg-1.4",
                    "host_key": host_key,
                    "key": str(operator / "id_ed25519"),
                    "token": {"file": _secret(operator, "hetzner-token", box.api_token)},
                    "box": BOX_ID,
                    "endpoint": f"http://127.0.0.1:{box.api_port}/v1",
                }
            },
            "defaults": {
                "storage": "box",
                "max_age": "26h",
                "keep": {"daily": 7, "weekly": 4, "monthly": 6},
                "retries": 1,
                "retry_wait": "1s",
                "lock_wait": "30s",
            },
            "escrow": str(operator / "escrow"),
            "agent_keys": str(operator / "agent-keys"),
            "cache": str(operator / "cache"),
            "secrets": {"directory": str(operator / "secrets")},
        },
    )
    for plan, app in apps:
        _write_yaml(folder / f"inventory/apps/{app.name}.yml", _app(folder, plan, app))


def _app(folder: Path, plan: AppPlan, app: AppState) -> dict[str, Any]:
    paths = HostPaths(folder / "hosts" / app.name)
    operator = folder / "operator"
    values: dict[str, Any] = {
        "host": "127.0.0.1",
        "ssh": {"port": app.port, "key": str(operator / "id_ed25519"), "host_key": keys.pin(paths.host_key)},
        "passphrase": {"file": _secret(operator, app.name, secrets.token_urlsafe(24))},
        "storage_key": plan.storage_key,
    }
    if plan.files:
        values["files"] = {"paths": [str(paths.files)]}
    server = app.server(paths)
    if server is not None:
        values["mariadb"] = {
            **_login(plan, app, paths, operator),
            "binlog": plan.binlog,
            "stop": [str(paths.home / "stop-mariadb")],
            "start": [str(paths.home / "start-mariadb")],
            "verify": [f"SELECT COUNT(*) > 0 FROM {app.name}.orders"],  # noqa: S608
        }
    return values


def _login(plan: AppPlan, app: AppState, paths: HostPaths, operator: Path) -> dict[str, Any]:
    server = app.server(paths)
    assert server is not None
    if plan.login == "defaults-file":
        return {"defaults_file": str(paths.home / ".my.cnf")}
    where = {"socket": str(server.socket)} if plan.login == "socket" else {"host": "127.0.0.1", "port": server.port}
    password = _secret(operator, f"{app.name}-mariadb", app.backup_password)
    return {**where, "user": BACKUP_USER, "password": {"file": password}}


def _secret(operator: Path, name: str, value: str) -> str:
    path = operator / "secrets" / name
    path.touch(mode=0o600)
    path.write_text(value + "\n")
    return str(path)


def _write_yaml(path: Path, values: dict[str, Any]) -> None:
    import yaml

    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(values, sort_keys=False, allow_unicode=True))
