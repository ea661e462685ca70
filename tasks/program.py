"""Invoke's own program with a few differences: wrong usage exits 2 and says what would be right; Invoke exits 1.

`./inv` runs this file; a bare `inv` works too, without these differences. It imports nothing from this project.
"""

import difflib
import errno
import gc
import importlib
import os
import re
import runpy
import shlex
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import invoke.program
from invoke.exceptions import Exit, ParseError
from invoke.program import Program

LIST_FORMATS = ("flat", "nested", "json")
LONGEST = 80  # characters of an unknown word that are quoted

# Invoke's options for commands run through it, which no task here does: they would have no effect, or a harmful one.
REFUSED = {
    "dry": "the task's own --dry-run shows what it would do",
    "echo": "the task's own --verbose shows each step, and --dry-run each command",
    "hide": "the task's own --quiet prints less",
    "pty": "it does nothing here",
    "warn-only": "it does nothing here; the exit code says what failed",
    "command-timeout": "`defaults: time_limit` in the inventory says how long a step may take",
    "prompt-for-sudo-password": "the inventory says how an app's host is reached",
    "write-pyc": "it does nothing here",
    "no-dedupe": "each task runs once",
    "collection": "there is one collection of tasks",
    "debug": "the task's own --verbose shows each step",
}
# What people try who know other programs.
MEANT = {
    "help": "`inv --list` shows all tasks, `inv TASK --help` the options of one",
    "list": "`inv borg.list` lists archives, `inv app.list` apps, `inv --list` tasks",
    "status": "`inv report` shows how all backups are",
    "--json": "`--format json`, behind a task",
}
NEXT = """\
cloudbackup backs up many apps' files and MariaDB servers. What to do next:

  ./inv demo                a lab with apps, backups and restores, on this machine alone
  ./inv init                a first inventory, by questions: where backups go
  ./inv app.add             the first app, or a further one, by questions
  ./inv backup              save all apps; --app NAME for one
  ./inv report              what is saved, and how it is; --strict for a script's exit code
  ./inv verify              restore drills: is what was saved any good?
  ./inv restore --app NAME  bring it back

`./inv --list` shows all tasks, `./inv TASK --help` each option, README.md the rest."""


@contextmanager
def wrong_usage(program: "Inv") -> Iterator[None]:
    """End the program with exit code 2 if the block finds a mistake on the command line."""
    try:
        yield
    except ParseError as error:
        raise Exit(program.explained(error), code=2) from error
    except ValueError as error:  # not a valid number
        found = re.search(r": '(.*)'$", str(error), re.DOTALL)
        raise Exit(f"a number is needed, not `{shortened(found[1])}`" if found else f"{error}", code=2) from error


@contextmanager
def readable_configuration() -> Iterator[None]:
    """End the program with exit code 2 if one of Invoke's own configuration files cannot be read."""
    try:
        yield
    except (Exit, ParseError):
        raise
    except Exception as error:  # its parsers raise exceptions of many types
        text = " ".join(str(error).split()) or type(error).__name__
        raise Exit(f"a configuration file of Invoke's cannot be read: {text[:300]}", code=2) from error


class Inv(Program):
    """`inv`, with usage errors distinguished from failures."""

    def run(self, argv: list[str] | None = None, exit: bool = True) -> None:  # noqa: A002  # Invoke's
        """Run. A reader that closes the pipe, as in `inv --list | head -1`, is not an error; a full disk is.

        Either way the task's own exit code is kept, unless that was 0 and the disk is full.
        """
        open_streams()
        ended: SystemExit | None = None
        try:
            try:
                super().run(argv, exit)
            except SystemExit as error:
                ended = error
            sys.stdout.flush()
        except OSError as error:
            if error.filename is not None:
                raise
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            if error.errno != errno.EPIPE:
                print(f"standard output cannot be written: {error.strerror}", file=sys.stderr)
                ended = ended if ended and ended.code else SystemExit(1)
        if ended:
            raise ended

    def create_config(self) -> None:
        """Read the configuration files of the machine and of the user."""
        with readable_configuration():
            super().create_config()

    def update_config(self, merge: bool = True) -> None:
        """Read the configuration file given on the command line."""
        with readable_configuration():
            super().update_config(merge)

    def parse_core(self, argv: list[str] | None) -> None:
        """Parse the options before the first task."""
        with wrong_usage(self):
            super().parse_core(argv)
            # Invoke never keeps compiled modules; compiling ours again takes half of the time in which a task starts.
            sys.dont_write_bytecode = bool(sys.flags.dont_write_bytecode)
            self.refuse()

    def parse_tasks(self) -> None:
        """Parse the tasks and their options."""
        with wrong_usage(self):
            super().parse_tasks()
            self.refuse()
            rest = self.core.remainder
            if rest and not self.args.complete.value:
                raise ParseError(f"no task takes what stands after `--`: `{shortened(rest)}`")

    def parse_cleanup(self) -> None:
        """Handle everything but tasks: help, lists."""
        if self.args.complete.value:
            self.offer()
            raise Exit
        with wrong_usage(self):
            form, root = self.args["list-format"].value, self.args.list.value
            if form not in LIST_FORMATS:
                raise ParseError(f"--list-format is one of {', '.join(LIST_FORMATS)}, not `{shortened(form)}`")
            if isinstance(root, str) and root not in self.collection.collections:
                raise ParseError(
                    f"there is no collection `{shortened(root)}`{_nearest(root, self.collection.collections)}"
                )
            super().parse_cleanup()

    def offer(self) -> None:
        """Print what the Tab key offers at the end of the words after `--`, a line each."""
        completion = importlib.import_module("tasks.completion")  # with the tasks themselves, which are loaded by now
        argv = self.argv
        words = argv[argv.index("--") + 2 :] if "--" in argv else []
        place = completion.inventory(str(self.config.get("inventory") or self.collection.configuration()["inventory"]))
        core = [name for name in self.initial_context.flag_names() if not any(_names(name, each) for each in REFUSED)]
        known = self.parser.contexts
        every = {name: known[name] for name in (*known, *known.aliases)}
        for each in completion.candidates(completion.Line(words, every, place), core):
            print(each)

    def refuse(self) -> None:
        """Raise ParseError for options of Invoke that do not apply to these tasks."""
        for name, instead in REFUSED.items():
            if name in self.args and self.args[name].value:  # a program with bundled tasks has fewer options
                raise ParseError(f"--{name} is an option of Invoke's that is not for these tasks: {instead}")

    def no_tasks_given(self) -> None:
        """Print what to do next."""
        print(NEXT)
        raise Exit

    def print_help(self) -> None:
        """Print the options that may precede a task, without the refused ones."""
        print(f"Usage: {self.binary} [--core-opts] task1 [--task1-opts] ... taskN [--taskN-opts]\n\nCore options:\n")
        rows = self.initial_context.help_tuples()
        self.print_columns([row for row in rows if not any(_names(row[0], name) for name in REFUSED)])

    def explained(self, error: ParseError) -> str:
        """Return what is wrong with the command line, in plain words."""
        text = str(error)
        if found := re.match(r"Flag '?<?.*?(?:Argument|_Argument): ([\w-]+).*needed value", text):
            return f"--{found[1].replace('_', '-')} needs a {'name' if found[1] == 'app' else 'value'} after it"
        found = re.fullmatch(r"No idea what '(.*)' is!", text, re.DOTALL)
        return text if found is None else self._unknown(found[1], error)

    def _unknown(self, word: str, error: ParseError) -> str:
        context = error.context
        options = list(context.flags) if context is not None and context.name else []
        if word.startswith("-"):
            where = f"{context.name} has" if options and context is not None else "there is"
            return f"{where} no option `{shortened(word)}`{_nearest(word, options)}"
        tasks = list(self.parser.contexts) if hasattr(self, "parser") else []
        said = f"there is no task `{shortened(word)}`{_nearest(word, tasks)}"
        if "--app" in options and context is not None:
            said += f"; for the app of that name: `{context.name} --app {shortened(word)}`"
        return said


def print_completion_script(shell: str, names: list[str]) -> None:  # noqa: ARG001  # Invoke's own signature
    """Print the script that teaches a shell the Tab key. Raises ParseError for a shell that has none.

    It names this checkout's `inv`: in another folder the Tab key would run whatever program is named so there.
    """
    scripts = {file.suffix[1:]: file for file in Path(__file__).with_name("shells").glob("inv.*")}
    if shell not in scripts:
        raise ParseError(f"there is a completion script for {', '.join(sorted(scripts))}, not for `{shortened(shell)}`")
    own = str(Path(__file__).absolute().parents[1] / "inv")
    quoted = "'" + re.sub(r"[\\']", r"\\\g<0>", own) + "'" if shell == "fish" else shlex.quote(own)
    print(scripts[shell].read_text(encoding="utf-8").replace("@INV@", quoted), end="")


invoke.program.print_completion_script = print_completion_script  # type: ignore[attr-defined]


def open_streams() -> None:
    """Open the standard streams that our parent process closed: the next opened file would get their numbers.

    The output of a program that we start would then be written to that file.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
            setattr(sys, name, open(number, "w" if number else "r", encoding="utf-8"))  # noqa: PTH123, SIM115


def shortened(word: str) -> str:
    """Return a word from the command line, shortened for an error."""
    return word if len(word) <= LONGEST else f"{word[:LONGEST]}..."


def _names(flags: str, name: str) -> bool:
    return re.search(rf"--{name}(?![\w-])", flags) is not None


def _nearest(word: str, known: Iterable[str]) -> str:
    if word in MEANT:
        return f": {MEANT[word]}"
    found = difflib.get_close_matches(word, list(known), 1, 0.6)
    return f": did you mean `{found[0]}`?" if found else ""


def version() -> str:
    """Return the version, from its own file."""
    return str(runpy.run_path(str(Path(__file__).with_name("version.py")))["VERSION"])


if __name__ == "__main__":
    gc.set_threshold(50_000, 20, 50)  # loading modules leaves no garbage; to look for it takes an eighth of a start
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # looking for them reads the metadata of all packages
    Inv(name="cloudbackup", binary="inv", binary_names=["inv"], version=version()).run()
