"""An SSH agent inside this process, with a single key, for programs on a host that this process is connected to.

The host can have data signed while the connection is up, and only with that key. The operator's own agent is never
forwarded: through it, a compromised host could log in wherever the operator can (tried, OpenSSH 9.2). The protocol is
draft-ietf-sshm-ssh-agent: the two requests that `ssh` makes are answered, everything else gets a failure reply.
"""

import threading
from pathlib import Path

import paramiko
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tasks.errors import UsageError
from tasks.remote.new_secret import keep_in_file
from tasks.remote.secret import Secret

FAILURE = 5
REQUEST_IDENTITIES, IDENTITIES_ANSWER = 11, 12
SIGN_REQUEST, SIGN_RESPONSE = 13, 14
LONGEST = 1 << 18  # bytes of a request, the limit of OpenSSH's own agent


class KeyAgent:
    """Serves the ed25519 key in the file `path`, read at the first request; offers none while the file is missing."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def serve(self, channel: paramiko.Channel) -> None:
        """Answer the requests on a forwarded agent channel, in a thread of its own, until the channel closes."""
        threading.Thread(target=self._serve, args=(channel,), name="ssh agent", daemon=True).start()

    def _serve(self, channel: paramiko.Channel) -> None:
        try:
            with channel.makefile("rb") as requests:
                while len(head := requests.read(4)) == 4:
                    length = int.from_bytes(head, "big")
                    if not 0 < length <= LONGEST or len(request := requests.read(length)) < length:
                        return
                    answer = self.answer(request)
                    channel.sendall(len(answer).to_bytes(4, "big") + answer)
        except (OSError, EOFError):
            return  # the program has ended or the connection is lost
        finally:
            channel.close()

    def answer(self, request: bytes) -> bytes:
        """Return the reply to one message, both without their length prefix."""
        asked, answer = paramiko.Message(request[1:]), paramiko.Message()
        try:
            key = load_key(self._path)
        except UsageError:
            key = None
        if request[0] == REQUEST_IDENTITIES:
            answer.add_byte(bytes([IDENTITIES_ANSWER]))
            answer.add_int(0 if key is None else 1)
            if key is not None:
                answer.add_string(key.asbytes())
                answer.add_string(self._path.name)
            return answer.asbytes()
        if request[0] == SIGN_REQUEST and key is not None and asked.get_binary() == key.asbytes():
            answer.add_byte(bytes([SIGN_RESPONSE]))
            answer.add_string(key.sign_ssh_data(asked.get_binary()).asbytes())
            return answer.asbytes()
        return bytes([FAILURE])


def make_key(path: Path) -> bool:
    """Generate an ed25519 key in a file of mode 600 unless the file exists; return whether it was created.

    Raises UsageError for a path under version control, AppError if the file cannot be written.
    """
    if path.exists():
        return False
    private = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    keep_in_file(path, Secret(private.decode().strip()))
    return True


def load_key(path: Path) -> paramiko.Ed25519Key:
    """Return the key in a file. Raises UsageError if there is none."""
    try:
        return paramiko.Ed25519Key.from_private_key_file(str(path))
    except (OSError, paramiko.SSHException) as error:
        raise UsageError(
            f"cannot read the key {path}: {error}", "`inv storagebox.setup` makes a missing one"
        ) from error


def public_key(path: Path, comment: str) -> str:
    """Return the public half of the key in a file: "ssh-ed25519 AAAA... comment". Raises UsageError."""
    key = load_key(path)
    return f"{key.get_name()} {key.get_base64()} {comment}"
