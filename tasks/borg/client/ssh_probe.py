"""Finds out why ssh failed, which borg often does not say.

If ssh fails at once, borg may notice the closed connection before it has read ssh's message, and then only says
"Connection closed by remote host" (tried, borg 1.2.4 and 1.4.5). So ssh is run once more, without borg.
"""

import shlex
from dataclasses import replace
from urllib.parse import urlsplit

from tasks.borg.client.messages import Message, read_messages
from tasks.remote.script import Script, Words, quote
from tasks.remote.secret import Secret
from tasks.storage.repository import Repository

TIMEOUT = 60.0  # seconds


def probe_words(repository: Repository) -> Words | None:
    """Return the ssh command with which borg reaches the storage, asking only for borg's version.

    None for a repository that is not behind ssh.
    """
    url = urlsplit(repository.url)
    if url.scheme != "ssh" or not url.hostname:
        return None
    ssh = shlex.split(_text(repository, "BORG_RSH") or "ssh")
    port = ("-p", str(url.port)) if url.port else ()
    account = f"{url.username}@{url.hostname}" if url.username else url.hostname
    return (*ssh, *port, account, _text(repository, "BORG_REMOTE_PATH") or "borg", "--version")


def probe(repository: Repository) -> tuple[Message, ...]:
    """Return ssh's messages about the connection from borg's host to the storage. Raises what `Host.run` raises."""
    words = probe_words(repository)
    if words is None:
        return ()
    output = repository.host.run(Script(quote(words)), TIMEOUT)
    if output.ok:
        return ()
    said = read_messages(output.error_text)
    return tuple(replace(message, text=f"Remote: {message.text}") for message in said)  # in borg's wording


def _text(repository: Repository, name: str) -> str:
    value = repository.environment.get(name, "")
    return "" if isinstance(value, Secret) else value
