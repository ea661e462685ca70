"""Who made a role in the binary logs: its maker administers it, and a replay runs everything as an account of its own.

The server writes the maker into the event of CREATE ROLE (the status variable Q_INVOKER), and `mariadb-binlog` does not
print it. So a replay halts after each such statement, and what our account administers then is handed over.

Part of the program `replay`, which runs alone on a host: of the standard library only, Python 3.8 and later.
"""

from __future__ import annotations

import re

CREATES = re.compile(
    rb"(?:\s|/\*.*?\*/|(?:--\s|#)[^\n]*\n)*CREATE\s+(?:OR\s+REPLACE\s+)?ROLE\s", re.IGNORECASE | re.DOTALL
)
# Bytes of the status variables of a Query event by their codes (sql/log_event.h); text ones have their length before.
WIDTHS = {0: 4, 1: 8, 3: 4, 4: 6, 7: 2, 8: 2, 9: 8, 10: 4, 128: 3, 129: 8}
TEXTS = (5, 6)
INVOKER = 11


def invoker(status: bytes) -> tuple[bytes, bytes] | None:
    """Return user and host of the one who ran a statement, from its status variables; None where they do not tell."""
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
    """Return SQL that has another account administer the roles which only `account` of this host administers as yet.

    It goes on to, as it may have to grant them. Two lines.
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
