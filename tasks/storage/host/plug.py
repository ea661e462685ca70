"""Takes the place of borg's ssh on a host: connects borg to the repository that the operator's machine serves.

The way there is the socket of the agent that is forwarded with the connection, SSH_AUTH_SOCK, through which the
operator's machine answers as `borg serve`. Runs with Python 3.8 (`python3 -I -S -c`).
"""

import os
import socket
import sys
import threading

PIECE = 1 << 16


def main() -> None:
    """Pass on standard input and what comes back, until either ends."""
    plug = socket.socket(socket.AF_UNIX)
    try:
        plug.connect(os.environ["SSH_AUTH_SOCK"])
    except (KeyError, OSError) as error:
        sys.exit(f"the operator's machine cannot be reached through its connection: {error}")
    threading.Thread(target=send, args=(plug,), daemon=True).start()
    while True:
        data = plug.recv(PIECE)
        if not data:
            return
        while data:
            data = data[os.write(1, data) :]


def send(plug: socket.socket) -> None:
    """Send standard input to its end."""
    while True:
        data = os.read(0, PIECE)
        if not data:
            plug.shutdown(socket.SHUT_WR)
            return
        plug.sendall(data)


if __name__ == "__main__":
    main()
