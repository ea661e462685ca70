"""Programs of several files that run on a host without an installation: their source is sent in the environment."""

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from tasks.remote.script import Environment, Words

INTERPRETER = ("python3", "-I", "-S", "-c")  # isolated from the host's own modules, so that it runs the same everywhere


@dataclass(frozen=True)
class Program:
    """`main` and the modules that it imports, ordered so that each imports only modules before it.

    Apart from each other, they import the standard library only.
    """

    main: ModuleType
    parts: tuple[ModuleType, ...] = ()

    @property
    def words(self) -> Words:
        """Return the command that loads the sources in `environment`; the program's own arguments follow it.

        Each module is registered under the name by which the others import it.
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
        """Return the sources, by environment variable. The system limits each to 128 KiB."""
        return {_variable(each): Path(str(each.__file__)).read_text("utf-8") for each in (self.main, *self.parts)}


def _variable(module: ModuleType) -> str:
    return f"PROGRAM_{module.__name__.rpartition('.')[2].upper()}"
