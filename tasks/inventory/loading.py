"""Loads an `Inventory` from a folder of YAML files, or reports everything that is wrong with it."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from tasks.inventory import document, validation
from tasks.inventory.document import Data, Document
from tasks.inventory.errors import InventoryError, NoInventoryError, Problem, nearest
from tasks.inventory.frozen import thawed
from tasks.inventory.inventory import Inventory
from tasks.inventory.models import App, AppFile, CloudbackupFile, Defaults, StorageConfig, cloudbackup_file
from tasks.inventory.values import read_app_name

MAIN = "cloudbackup.yml"
APPS = "apps"
CONTAINER = ("/.dockerenv", "/run/.containerenv")  # made by Docker and by Podman, in every container of theirs
Model = TypeVar("Model", bound=BaseModel)


def load(folder: Path, kinds: Mapping[str, type[StorageConfig]]) -> Inventory:
    """Read cloudbackup.yml and apps/*.yml below `folder`. `kinds` has the model of each kind of storage.

    Raises InventoryError with every problem found, NoInventoryError if there is none yet.
    """
    if not _begun(folder):
        raise NoInventoryError(folder, in_container(folder))
    problems: list[Problem] = []
    main = _main(folder, cloudbackup_file(kinds), problems)
    apps: list[App] = []
    for file in _app_files(folder / APPS, problems):
        app = _app(file, main, problems)
        if app is not None:
            apps.append(app)
    if problems or main is None:
        raise InventoryError(problems)
    return Inventory(
        folder=folder,
        storages=MappingProxyType(main.storages),
        defaults=main.defaults,
        apps=MappingProxyType({app.name: app for app in sorted(apps, key=lambda app: app.name)}),
        escrow=main.escrow,
        agent_keys=main.agent_keys,
        cache=main.cache,
        secrets=main.secrets,
        notify=main.notify,
        page=main.page or "",
        schedule=main.schedule,
    )


def in_container(folder: Path) -> str:
    """Return the option of `docker run` that mounts a folder there; empty outside of containers."""
    return f'--volume "$PWD/inventory:{folder}"' if any(Path(mark).exists() for mark in CONTAINER) else ""


def _begun(folder: Path) -> bool:
    """Whether anybody has begun an inventory there: one of its two files, or the file of an app."""
    main = folder / MAIN
    apps = folder / APPS
    files = apps.iterdir() if apps.is_dir() else ()
    written = any(file.suffix in (".yml", ".yaml") for file in files)
    return written or main.exists() or main.with_suffix(".yaml").exists()


def parse(source: Document, model: type[Model]) -> Model | None:
    """Return a document's data as a model; None if it is invalid, with the problems added to the document."""
    if source.data is None:
        return None
    try:
        # Converted to JSON, since pydantic's strict mode then accepts lists for tuples.
        parsed = model.model_validate_json(json.dumps(source.data))
    except ValidationError as error:
        validation.note(source, model, error)
        return None
    return None if source.problems else parsed


def _main(folder: Path, model: type[CloudbackupFile], problems: list[Problem]) -> CloudbackupFile | None:
    file = folder / MAIN
    twin = file.with_suffix(".yaml")
    if twin.exists():
        problems.append(Problem(twin, 0, "", f"is not read: name it {MAIN}"))
        if not file.exists():
            return None
    if not file.exists():
        problems.append(Problem(file, 0, "", "does not exist: `inv init` makes a first one"))
        return None
    source = document.read(file)
    main = parse(source, model)
    if main is not None:
        wanted = main.defaults.storage
        if wanted is not None and wanted not in main.storages:
            source.add(("defaults", "storage"), f"no storage `{wanted}`{nearest(wanted, main.storages)}")
    problems.extend(source.problems)
    return main


def _app_files(folder: Path, problems: list[Problem]) -> Iterator[Path]:
    if not folder.is_dir():
        problems.append(Problem(folder, 0, "", "is missing: a folder with one file per app, <app>.yml"))
        return
    for file in sorted(folder.iterdir()):
        if file.name.startswith("."):
            continue
        if file.suffix == ".yml":
            yield file
        elif file.suffix.lower() in (".yaml", ".yml"):
            problems.append(Problem(file, 0, "", f"is not read: name it {file.stem}.yml"))


def _app(file: Path, main: CloudbackupFile | None, problems: list[Problem]) -> App | None:
    """Return an app with the defaults filled in; None without a readable cloudbackup.yml, after checking the file."""
    source = document.read(file)
    written = parse(source, AppFile)
    storages = _storages(written, main, source) if written and main else None
    problems.extend(source.problems)
    try:
        name = read_app_name(file.stem)
    except ValueError as error:
        problems.append(Problem(file, 0, "", f"the file's name is the app's name: {error}"))
        return None
    return resolve(name, written, main.defaults, storages) if written and main and storages else None


def draft(inventory: Inventory, name: str, data: dict[str, Data]) -> App:
    """Return the app that a file `apps/<name>.yml` with `data` would describe. Raises InventoryError."""
    source = Document(inventory.folder / APPS / f"{name}.yml", data)
    written = parse(source, AppFile)
    storages = _storages(written, inventory, source) if written else None
    try:
        read_app_name(name)
    except ValueError as error:
        source.problems.append(Problem(source.file, 0, "", f"the file's name is the app's name: {error}"))
    if source.problems or written is None or storages is None:
        raise InventoryError(source.problems)
    return resolve(name, written, inventory.defaults, storages)


def _storages(written: AppFile, main: CloudbackupFile | Inventory, source: Document) -> tuple[str, ...] | None:
    """Return the storages of an app; None if they are wrong, with the problems added to the document."""
    chosen = written.storage or main.defaults.storage
    if chosen is None and len(main.storages) == 1:
        return tuple(main.storages)
    if chosen is None:
        source.add(("storage",), f"is missing, and {MAIN} has no default{nearest('', main.storages)}")
        return None
    names = (chosen,) if isinstance(chosen, str) else chosen
    unknown = [name for name in names if name not in main.storages]
    for name in unknown if written.storage else ():  # a wrong default is reported once, in its own file
        source.add(("storage",), f"no storage `{name}`{nearest(name, main.storages)}")
    return None if unknown else names


def resolve(name: str, written: AppFile, defaults: Defaults, storages: tuple[str, ...]) -> App:
    """Return the app that a file describes, with the defaults for everything that it leaves out."""
    fields = {key: thawed(getattr(written, key)) for key in AppFile.model_fields}
    fields |= {
        "name": name,
        "storage": storages[0],
        "storages": storages,
        "max_age": written.max_age or defaults.max_age,
        "keep": written.keep or defaults.keep,
        "compression": written.compression or defaults.compression,
        "upload": written.upload or defaults.upload,
        "nice": defaults.nice if written.nice is None else written.nice,
    }
    return App.model_validate(fields)
