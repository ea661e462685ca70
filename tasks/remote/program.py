"""Programs of several files that run alone on a host, without anything of ours: they travel in the environment."""

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from tasks.remote.script import Environment, Words

INTERPRETER = ("python3", "-I", "-S", "-c")  # without the host's own modules: it must run everywhere alike


@dataclass(frozen=True)
class Program:
    """`main` and the modules that it imports, in an order in which each needs those before it alone.

    They are of the standard library but for each other.
    """

    main: ModuleType
    parts: tuple[ModuleType, ...] = ()

    @property
    def words(self) -> Words:
        """Return the command, which finds the texts of `environment`; the program's own arguments follow it.

        Each part is there under the name by which the others import it.
        """
        lines = ["import os, sys, types"]
        for part in self.parts:
            lines += [
                f'part = sys.modules["{part.__name__}"] = types.ModuleType("{part.__name__}")',
                f'exec(os.environ["{_variable(part)}"], part.__dict__)',
            ]
        return (*INTERPRETER, "\n".join([*lines, f'exec(os.environ["{_variable(self.main)}"])']))

    @property
    def environment(self) -> Environment:
        """Return the texts, by the names of environment variables. The system allows each 128 KiB."""
        return {_variable(each): Path(str(each.__file__)).read_text("utf-8") for each in (self.main, *self.parts)}


def _variable(module: ModuleType) -> str:
    return f"PROGRAM_{module.__name__.rpartition('.')[2].upper()}"
