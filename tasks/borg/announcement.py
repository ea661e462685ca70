"""Announcements: records, written beforehand, of changes that involve more than one place, until their end is recorded.

A run that is killed midway leaves its announcement: the report, `app.check` and the guard show it, and the same command
completes the change.
"""

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime

from tasks.inventory.models import App
from tasks.records.ledger import INTENT, TOKEN, Ledger
from tasks.records.record import Record, operator_name
from tasks.storage.base import Storage

INIT, KEY_EXPORT, REMOVE, ACCEPTANCE = "init", "key-export", "remove", "accept"
ANNOUNCED: Mapping[str, str] = {
    ACCEPTANCE: "an acceptance of archives",
    "change-passphrase": "a change of the passphrase",
    INIT: "the making of the repository",
    KEY_EXPORT: "an export of the key",
    "move": "a move to another host",
    "move-storage": "a move to another storage",
    "publish": "a publishing",
    "rename": "a renaming of the app",
    REMOVE: "a removal of the app from the inventory",
    "renew": "a renewal",
    "rollback": "a rollback",
}


def announced(app: str, of: str, token: str, **details: object) -> Record:
    """Return the record that announces a change; `token` is what the closing record names in ENDS."""
    told = {"of": of, TOKEN: token, **details}
    return Record(app, INTENT, datetime.now(UTC), "ok", operator=operator_name(), details=told)


def announce(storage: Storage, app: App, of: str, **details: object) -> str:
    """Announce a change, and return the token for the closing record. Raises AppError."""
    token = secrets.token_hex(8)
    storage.write_record(app, announced(app.name, of, token, **details))
    return token


def unended(known: Ledger, *of: str) -> list[str]:
    """Return the tokens of such changes that were announced and have not ended."""
    return [
        str(each.details[TOKEN]) for each in known.unfinished if each.details.get("of") in of if TOKEN in each.details
    ]
