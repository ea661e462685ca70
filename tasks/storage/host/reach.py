"""Connects to a storage's address from an app's host, and sends nothing. Runs alone there.

    python3 -c "$REACH" HOST PORT

Standard output is JSON: `fault`, empty if somebody listens there. A host that reaches the network through an HTTP proxy
is not judged. Standard library only, Python 3.8 and later.
"""

from __future__ import annotations

import json
import os
import socket
import sys

PATIENCE = 20  # seconds


def fault(host: str, port: int) -> str:
    """Return why a host and port cannot be connected to; empty if they can, or if a proxy would be asked."""
    if any(os.environ.get(name) for name in ("https_proxy", "HTTPS_PROXY", "http_proxy", "all_proxy", "ALL_PROXY")):
        return ""
    try:
        socket.create_connection((host, port), PATIENCE).close()
    except socket.timeout:  # noqa: UP041 (another class than TimeoutError before Python 3.10)
        return f"no answer within {PATIENCE} seconds"
    except (OSError, UnicodeError) as error:
        return getattr(error, "strerror", None) or str(error)
    return ""


if __name__ == "__main__":
    print(json.dumps({"fault": fault(sys.argv[1], int(sys.argv[2]))}))
