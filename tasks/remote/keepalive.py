"""A connection that is there, and nobody answers: packets are dropped on the way, or what stands between hangs.

TCP's own limits do not help where a jump host or a proxy still acknowledges what is sent. So the server is asked, and
must answer: OpenSSH and all others do so for any global request, be it with a refusal (RFC 4254, section 4).
"""

import threading
import time
from contextlib import suppress

import paramiko

QUESTION = "keepalive@openssh.com"


def end_when_silent(transport: paramiko.Transport, every: float, patience: float) -> None:
    """Ask the server every so many seconds; close the connection when an answer takes longer than `patience`."""
    threading.Thread(target=_watch, args=(transport, every, patience), name="keepalive", daemon=True).start()


def _watch(transport: paramiko.Transport, every: float, patience: float) -> None:
    while transport.is_active():
        overdue = threading.Timer(patience, transport.close)
        overdue.daemon = True
        overdue.start()
        with suppress(paramiko.SSHException, OSError, EOFError):  # it is lost, which whoever uses it is told
            transport.global_request(QUESTION)
        overdue.cancel()
        time.sleep(every)
