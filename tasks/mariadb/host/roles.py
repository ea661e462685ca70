"""The creators of roles in the binary logs: the creator administers the role, but a replay runs under one account.

The server writes the creator into the event of CREATE ROLE (the status variable Q_INVOKER), but `mariadb-binlog` does
not print it. So a replay pauses after each such statement and hands over the roles that our account then administers.

Part of the program `replay`, which runs alone on a host: standard library only, Python 3.8 and later.
"""

from __future__ import annotations

import re

CREATES = re.compile(
    rb"(?:\s|/\*.*?\*/|(?:--\s|#)[^\n]*\n)*CREATE\s+(?:OR\s+REPLACE\s+)?ROLE\s", re.IGNORECASE | re.DOTALL
)
# Sizes in bytes of a Query event's status variables by code (sql/log_event.h); text has a length prefix.
WIDTHS = {0: 4, 1: 8, 3: 4, 4: 6, 7: 2, 8: 2, 9: 8, 10: 4, 128: 3, 129: 8}
TEXTS = (5, 6)
INVOKER = 11


def invoker(status: bytes) -> tuple[bytes, bytes] | None:
    """Return user and host of a statement's invoker from its status variables; None if they have none."""
    place = 0
    while place < len(status):
        code = status[place]
        place += 1
        if code == INVOKER:
            user, place = _text(status, place)
            return user, _text(status, place)[0]
        if code in TEXTS:
            place = _text(status, place)[1]
        elif code in WIDTHS:
            place += WIDTHS[code]
        else:
            break
    return None


def _text(status: bytes, place: int) -> tuple[bytes, int]:
    end = place + 1 + (status[place] if place < len(status) else 0)
    return status[place + 1 : end], end


def handing_over(account: str, maker: tuple[bytes, bytes]) -> bytes:
    """Return SQL, of two lines, that makes another account administer the roles that so far only `account` administers.

    `account`, which is on this host, keeps them too, since it may have to grant them.
    """
    user, host = (f"X'{each.hex()}'" if each else "''" for each in maker)
    ours = f"User = '{account}' AND Host = 'localhost'"
    others = (
        "SELECT 1 FROM mysql.roles_mapping o WHERE o.Role = r.Role AND o.Admin_option = 'Y'"  # noqa: S608
        f" AND o.User <> '{account}'"
    )
    return (
        "INSERT IGNORE INTO mysql.roles_mapping (Host, User, Role, Admin_option)"  # noqa: S608 (of hexadecimal digits)
        f" SELECT {host}, {user}, r.Role, 'Y' FROM mysql.roles_mapping r WHERE {ours} AND NOT EXISTS ({others});\n"
        "FLUSH PRIVILEGES;\n"
    ).encode()
