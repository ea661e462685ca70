"""A dump by a command of the operator's own."""

from collections.abc import Mapping, Sequence

from tasks.inventory.secrets import SecretReference
from tasks.inventory.values import Words
from tasks.sources.dumps.product import Judge, Product


class OwnCommand(Product):
    """Commands of the operator's own: one writes the dump, others load and judge it."""

    title = "command"
    command: Words
    restore: Words = ()
    verify: Words = ()
    passwords: Mapping[str, SecretReference] = {}

    @property
    def secrets(self) -> Mapping[str, SecretReference]:
        """Return those that the inventory names."""
        return self.passwords

    def tools(self) -> Sequence[str]:
        """Return the command's own program."""
        return (self.command[0],)

    def dump(self) -> Words:
        """Return the command."""
        return self.command

    def load(self) -> Words:
        """Return the command under `restore`."""
        return self.restore

    def unloaded(self) -> str:
        """Return the key of such a command."""
        return "name one under `restore`"

    def judge(self) -> Judge:
        """Return the command under `verify`."""
        return Judge(words=self.verify, beside=True)
