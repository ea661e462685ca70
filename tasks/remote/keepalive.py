"""Detects connections that are open but dead: packets are dropped on the way, or something in between hangs.

TCP's own timeouts do not help if a jump host or proxy still acknowledges what is sent. So a global request is sent,
which OpenSSH and all other servers must answer, if only with a failure (RFC 4254, section 4).
"""

import threading
import time
from contextlib import suppress

import paramiko

QUESTION = "keepalive@openssh.com"


def end_when_silent(transport: paramiko.Transport, every: float, patience: float) -> None:
    """Send a request every `every` seconds; close the connection if a reply takes longer than `patience` seconds."""
    threading.Thread(target=_watch, args=(transport, every, patience), name="keepalive", daemon=True).start()


def _watch(transport: paramiko.Transport, every: float, patience: float) -> None:
    while transport.is_active():
        overdue = threading.Timer(patience, transport.close)
        overdue.daemon = True
        overdue.start()
        with suppress(paramiko.SSHException, OSError, EOFError):  # the connection is lost; its users get the error
            transport.global_request(QUESTION)
        overdue.cancel()
        time.sleep(every)
