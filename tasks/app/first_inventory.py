"""`init`: writes a first inventory, `cloudbackup.yml` and the folder `apps`, by options and questions.

Which questions there are is what the storage's model requires, so a new kind of storage needs nothing here. Each answer
is judged by that model as soon as it is given.
"""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import yaml

from tasks.errors import AppError, UsageError
from tasks.inventory.document import Data, Document
from tasks.inventory.loading import APPS, MAIN, in_container, parse
from tasks.inventory.models import cloudbackup_file
from tasks.inventory.storages import StorageConfig
from tasks.storage.registry import CONFIGS, KINDS, USUAL, load
from tasks.terminal import printable

Ask = Callable[[str], str]
Say = Callable[[str], None]

HEAD = """\
# Where repositories live, and what holds for all apps; examples/inventory/cloudbackup.yml explains every key.
# No secret belongs in here: {env: NAME}, {file: PATH} and {command: WORDS} say where one is.
"""
DEFAULTS = """\
defaults:
  max_age: 26h # a backup older than this is late
  keep: {daily: 7, weekly: 4, monthly: 6} # what `prune` keeps
"""
SCHEDULE = """\
schedule: # what `nightly` does when
  backup: "02:30"
  prune: sun
  check: 1/7 daily # each day a seventh of all apps
  verify: sun
"""
FOLDERS_HEAD = "# passphrases of new apps, and copies of repositories' keys: keep copies elsewhere\n"
FOLDERS = ("secrets", "escrow")
DIRECTORY = "cloudbackup"  # offered where a storage takes a folder in an account's home
KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")  # ssh's own names, in ~/.ssh
OPTIONS = "give --storage KIND, and what that kind needs; `--help` explains each option"
REFERENCE = " (env:NAME, file:PATH or command:WORDS)"


@dataclass(frozen=True)
class FirstStorage:
    """The options of `init`; empty if not given. All but `kind`, `secrets` and `escrow` are keys of the storage."""

    kind: str = ""
    keys: Mapping[str, str] = field(default_factory=dict)
    secrets: str = ""
    escrow: str = ""


def run(folder: str, first: FirstStorage, say: Say, ask: Ask = input) -> None:
    """Write a first inventory into `folder`, which may be missing; `ask` puts questions to a person at a terminal.

    Raises UsageError if there is an inventory already, or an option is wrong or missing; AppError if it cannot be
    written.
    """
    place = Path(folder)
    refuse_existing(place)
    asking = ask if sys.stdin.isatty() else None
    if asking is not None and not first.kind:
        say(f"A first inventory in {place}. An empty answer takes what stands in brackets, Ctrl-C leaves all as it is.")
    kind = _kind(first.kind, asking)
    values = _Storage(kind, CONFIGS[kind], first.keys, asking).values()
    folders = {key: value for key in FOLDERS if (value := getattr(first, key))}
    text = _text(KINDS[kind].first_name, {"kind": kind, **values}, folders)
    _write(place, text)
    count = len(load(place).apps)
    say(f"{place / MAIN} written: a first inventory")
    if not count:
        say("Next, the first app: `inv app.add` asks for all that it needs, or with options:")
        say("  inv app.add --app shop --host root@shop.example.org --files /srv/shop --mariadb")
        say("Then `inv schedule.install` prints timers that save all apps every night.")


def refuse_existing(place: Path) -> None:
    """Raise UsageError if `place` holds an inventory, or is no folder: nothing is ever overwritten."""
    for name in (MAIN, Path(MAIN).with_suffix(".yaml").name):
        if os.path.lexists(place / name):
            raise UsageError(f"there is an inventory already: {place / name}", "`inv app.add` adds an app to it")
    if os.path.lexists(place) and not place.is_dir():
        raise UsageError(f"{place} is not a folder", "INVOKE_INVENTORY names the inventory's folder")


def _kind(given: str, ask: Ask | None) -> str:
    if ask is None and not given:
        raise UsageError("--storage is missing, and there is no terminal to ask at", OPTIONS)
    while True:
        kind = given or _answer(ask, f"Where do backups go? One of {', '.join(CONFIGS)} [{USUAL}]: ") or USUAL
        if kind in CONFIGS:
            return kind
        wrong = f"there is no kind of storage `{kind[:80]}`: one of {', '.join(CONFIGS)}"
        if given or ask is None:
            raise UsageError(wrong)
        print(printable(f"  {wrong}"))


@dataclass(frozen=True)
class _Storage:
    """The keys of one storage: those given as options, and those asked for."""

    kind: str
    model: type[StorageConfig]
    given: Mapping[str, str]
    ask: Ask | None

    def values(self) -> dict[str, Data]:
        """Return all keys with their values. Raises UsageError."""
        unknown = [key for key in self.given if key not in self.model.model_fields]
        if unknown:
            raise UsageError(f"--{unknown[0].replace('_', '-')} is not for storages of the kind {self.kind}")
        values: dict[str, Data] = {key: self._typed(key, text) for key, text in self.given.items()}
        for key, text in values.items():
            if why := self._fault(key, text):
                raise UsageError(f"--{key.replace('_', '-')} {why}")
        for key in self._wanted():
            if key in values:
                continue
            value = self._asked(key)
            if value:
                values[key] = self._typed(key, value)
        return {key: values[key] for key in self.model.model_fields if key in values}

    def _wanted(self) -> Iterator[str]:
        for key, known in self.model.model_fields.items():
            if key != "kind" and (known.is_required() or key == "key"):
                yield key

    def _offered(self, key: str) -> str:
        """Return the answer that is offered for a key, or taken without a terminal; empty for none."""
        if key == "key":
            return next((f"~/.ssh/{name}" for name in KEYS if Path("~/.ssh", name).expanduser().is_file()), "")
        return DIRECTORY if key == "directory" and not self._fault(key, DIRECTORY) else ""

    def _asked(self, key: str) -> str:
        offered = self._offered(key)
        if self.ask is None:
            if not offered and self.model.model_fields[key].is_required():
                raise UsageError(f"--{key.replace('_', '-')} is missing", OPTIONS)
            return offered
        about = self.model.model_fields[key].description or key
        about += REFERENCE if self._is_secret(key) else ""
        while True:
            answer = _answer(self.ask, f"{key}: {about}{f' [{offered}]' if offered else ''}: ") or offered
            if not answer and not self.model.model_fields[key].is_required():
                return ""
            why = self._fault(key, self._typed(key, answer)) if answer else "is needed"
            if not why:
                return answer
            print(printable(f"  {key} {why}"))

    def _fault(self, key: str, value: Data) -> str:
        """Return what is wrong with one key's value, empty if nothing is."""
        if not str(value).isprintable():  # half a character, typed or pasted in another encoding, is not printable
            return "must be one line of text"
        if key == "key" and isinstance(value, str):
            with suppress(RuntimeError):  # no home is known: the model says so
                if not Path(value).expanduser().is_file():
                    return f"{value[:200]}: there is no such file; `ssh-keygen -t ed25519` makes one"
        path = ("storages", "first", key)
        document = Document(Path(MAIN), {"storages": {"first": {"kind": self.kind, key: value}}})
        parse(document, cloudbackup_file(CONFIGS))
        return next((each.text for each in document.problems if each.key.startswith(".".join(path))), "")

    def _is_secret(self, key: str) -> bool:
        return "SecretReference" in str(self.model.model_fields[key].annotation)

    def _typed(self, key: str, text: str) -> Data:
        """Return an answer as the file has it: a number, a reference to a secret, or the text."""
        if self._is_secret(key):
            form, _, rest = text.partition(":")
            return {form: rest}
        return int(text) if key == "port" and text.isascii() and text.isdigit() and len(text) < 10 else text


def _answer(ask: Ask | None, question: str) -> str:
    if ask is None:
        return ""
    try:
        return ask(question).strip()
    except EOFError:
        raise UsageError("the answers ended; nothing was written", OPTIONS) from None
    except UnicodeDecodeError:
        raise UsageError("the answer is not valid UTF-8; nothing was written") from None


def _text(name: str, storage: Mapping[str, Data], folders: Mapping[str, str]) -> str:
    """Return the file's text. Raises UsageError for folders that are not valid."""
    lines = yaml.safe_dump({"storages": {name: dict(storage)}}, sort_keys=False, allow_unicode=True, width=1000)
    secrets: dict[str, Data] = {"directory": folders.get("secrets") or "~/cloudbackup/secrets"}
    rest: dict[str, Data] = {"secrets": secrets, "escrow": folders.get("escrow") or "~/cloudbackup/keys"}
    tail = yaml.safe_dump(rest, sort_keys=False, allow_unicode=True, width=1000, default_flow_style=None)
    text = f"{HEAD}{lines}{DEFAULTS}{SCHEDULE}{FOLDERS_HEAD}{tail}"
    document = Document(Path(MAIN), yaml.safe_load(text))
    parse(document, cloudbackup_file(CONFIGS))
    if document.problems:
        first = document.problems[0]
        raise UsageError(f"{first.key}: {first.text}", OPTIONS)
    return text


def _write(place: Path, text: str) -> None:
    file = place / MAIN
    try:
        (place / APPS).mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as opened:
            try:
                opened.write(text)
                opened.flush()
                os.fsync(opened.fileno())
            except BaseException:
                file.unlink()
                raise
    except FileExistsError:
        refuse_existing(place)
        raise UsageError(f"{place / APPS} is not a folder", "move it aside") from None
    except OSError as error:
        remedy = f"in a container, mount a folder of yours there: {in_container(place)}" if in_container(place) else ""
        raise AppError(f"cannot write {file}: {error.strerror}", remedy) from error


def chosen(options: object) -> dict[str, str]:
    """Return the options of the storage that were given, by key."""
    return {key: str(value) for key, value in asdict(options).items() if value}  # type: ignore[call-overload]
