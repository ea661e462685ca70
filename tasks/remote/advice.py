"""What to do when an SSH server does not accept a connection, by the kind of server."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Advice:
    """The remedy for each failure of a connection before the login."""

    refused: str = "check the name, the port and the network, and that an SSH server listens there"
    dropped: str = "look at MaxStartups in its sshd_config and at its firewall; then run it again"
    unknown_name: str = "correct the name, or look at this machine's network"


APP_HOST = Advice()
STORAGE = Advice(
    "a Storage Box takes borg on port 23, with SSH support on and, from outside, external reachability: "
    "`inv storagebox.access` shows both",
    "a Storage Box takes 10 connections at once: run fewer at a time, or try again; and from outside of Hetzner's "
    "network only what `inv storagebox.access --external on` lets in",
    "correct `host` of the storage, or look at the network of the machine where borg runs",
)
