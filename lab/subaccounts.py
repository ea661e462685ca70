"""Sub-accounts of a box, as Hetzner's API makes and changes them."""

from collections.abc import Callable, MutableMapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from lab.accounts import SUBACCOUNTS, Account, address
from lab.refusal import Refusal, Values, limit_exceeded

SWITCHES = ("reachable_externally", "samba_enabled", "ssh_enabled", "webdav_enabled")


class Subaccounts:
    """All of them. `accounts` is the server's own, main account first; `changed()` makes new homes hold."""

    def __init__(self, pool: Path, accounts: MutableMapping[str, Account], changed: Callable[[], None]) -> None:
        self._pool = pool
        self._accounts = accounts
        self._changed = changed
        self._main = next(iter(accounts))
        self._known: dict[int, Values] = {}
        self._next = 1
        for name in list(accounts)[1:]:
            self._enter(accounts[name], {})

    def every(self) -> list[Values]:
        """Return all, oldest first."""
        return [self.one(number) for number in self._known]

    def one(self, number: int) -> Values:
        """Return one, as the API has it. Raises Refusal."""
        known = self._get(number)
        account = self._accounts[known["username"]]
        switches = {**known["access_settings"], "readonly": account.readonly, "ssh_enabled": account.ssh_enabled}
        return {**known, "home_directory": account.directory, "access_settings": switches}

    def make(self, values: Values) -> Values:
        """Make one with a folder of its own. Raises Refusal."""
        home, password = _home(values), values.get("password")
        if not password:
            raise _invalid("password", "is missing")
        if len(self._known) >= SUBACCOUNTS:
            raise limit_exceeded("subaccount", "subaccounts_limit")
        taken = {int(each["username"].rpartition("-sub")[2]) for each in self._known.values()}
        name = f"{self._main}-sub{next(number for number in range(1, SUBACCOUNTS + 2) if number not in taken)}"
        switches = values.get("access_settings") or {}
        account = Account(name, password, home, bool(switches.get("readonly")), bool(switches.get("ssh_enabled")))
        self._settle(account)
        return self._enter(account, values)

    def drop(self, number: int) -> None:
        """Take one away; its folder stays. Raises Refusal."""
        del self._accounts[self._get(number)["username"]]
        del self._known[number]

    def update(self, number: int, values: Values) -> Values:
        """Change name, description or labels. Raises Refusal."""
        self._get(number).update({key: values[key] for key in ("name", "description", "labels") if key in values})
        return self.one(number)

    def move(self, number: int, values: Values) -> None:
        """Give one another home; what is in the old one stays there. Raises Refusal."""
        self._settle(replace(self._account(number), directory=_home(values)))

    def reset_password(self, number: int, values: Values) -> None:
        """Give one another password. Raises Refusal."""
        self._settle(replace(self._account(number), password=values["password"]))

    def switch(self, number: int, values: Values) -> None:
        """Change access settings of one. Raises Refusal."""
        account = self._account(number)
        self._get(number)["access_settings"] |= {key: values[key] for key in SWITCHES if key in values}
        own = {key: values[key] for key in ("readonly", "ssh_enabled") if key in values}
        self._settle(replace(account, **own))

    def _get(self, number: int) -> Values:
        if number not in self._known:
            raise Refusal(404, "not_found", "subaccount not found")
        return self._known[number]

    def _account(self, number: int) -> Account:
        return self._accounts[self._get(number)["username"]]

    def _settle(self, account: Account) -> None:
        (self._pool / account.directory).mkdir(mode=0o755, parents=True, exist_ok=True)
        self._accounts[account.name] = account
        self._changed()

    def _enter(self, account: Account, values: Values) -> Values:
        number = self._next
        self._next += 1
        switches = values.get("access_settings") or {}
        self._known[number] = {
            "id": number,
            "name": values.get("name") or account.name,
            "username": account.name,
            "server": address(account.name),
            "description": values.get("description") or "",
            "labels": values.get("labels") or {},
            "created": datetime.now(UTC).isoformat(),
            "access_settings": {key: bool(switches.get(key)) for key in SWITCHES},
        }
        return self.one(number)


def _home(values: Values) -> str:
    """Return the home that is asked for: a path from the main account's home on, without a slash before it."""
    home = str(values.get("home_directory") or "")
    if not home or home.startswith("/") or ".." in home.split("/"):
        raise _invalid("home_directory", "must be a relative path")
    return home.rstrip("/")


def _invalid(field: str, message: str) -> Refusal:
    return Refusal(
        422,
        "invalid_input",
        f"invalid input in field '{field}'",
        {"fields": [{"name": field, "messages": [message]}]},
    )
