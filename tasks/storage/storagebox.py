"""Storage kind `storagebox`: a Hetzner Storage Box, with its restricted shell on port 23."""

from tasks.inventory.models import App
from tasks.storage.base import Usage
from tasks.storage.space import parse_df
from tasks.storage.ssh import SshServer


class StorageBox(SshServer):
    """An SSH server with a few ways of its own: a restricted shell, BSD's df, and `borg-1.4` for borg's name."""

    both_ports = True
    unreachable_remedy = (
        "look at that machine's firewall and network, and at the box's: "
        "`inv storagebox.access` shows whether it takes SSH from outside"
    )

    def usage(self, apps: tuple[App, ...]) -> Usage:  # noqa: ARG002  # the box is one pool
        """Ask `df`: the box takes no options that would name a folder; its one row is the whole box."""
        return parse_df(self.server.command(("df", "-k")), self.server.name)
