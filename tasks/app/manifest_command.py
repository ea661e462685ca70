"""What the options of `app.kubernetes` mean."""

import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

from tasks.app import manifests
from tasks.app.manifest_folder import Folder
from tasks.app.options import KubernetesOptions
from tasks.errors import UsageError
from tasks.storage.registry import load

NAMESPACE = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
OF_ONE_APP = ("volume", "beside")


def run(inventory: str, options: KubernetesOptions, tell: Callable[[str], None]) -> None:
    """Print the manifests of one app, or write them to a folder. Raises UsageError."""
    _require_whole(options)
    loaded = load(Path(inventory))
    chosen = manifests.Options(
        image=options.image,
        schedule=options.schedule,
        volumes=options.volume,
        user=options.user,
        namespace=options.namespace,
        beside=options.beside,
        room=options.scratch,
    )
    if options.all_:
        Folder(Path(options.output), tell).all(loaded, chosen, options.monitoring)
    elif options.output:
        Folder(Path(options.output), tell).one(loaded, options.app, chosen, _words(options))
    else:
        sys.stdout.write(manifests.stream(loaded, options.app, chosen))


def _require_whole(options: KubernetesOptions) -> None:
    """Raise UsageError for options that do not go together, or mean nothing."""
    if options.all_ == bool(options.app):
        raise UsageError("give either --app NAME or --all", "`--all --output DIR` writes a file for each app")
    if options.all_ and not options.output:
        raise UsageError("--all needs --output DIR: it writes a file for each app")
    given = [name for name in OF_ONE_APP if getattr(options, name)]
    if options.all_ and given:
        raise UsageError(
            f"--{given[0]} is of one app", "write that app's file by --app NAME --output DIR: --all leaves it as it is"
        )
    for name in ("namespace", "monitoring"):
        if (text := getattr(options, name)) and not re.fullmatch(NAMESPACE, text):
            raise UsageError(f"--{name} {text[:80]} is not a namespace: a-z, 0-9 and -")
    if options.scratch < 1:
        raise UsageError(f"--scratch {options.scratch} is too small", "give GiB, such as --scratch 20")


def _words(options: KubernetesOptions) -> str:
    """Return the options of one app, for the first line of its file."""
    plain = KubernetesOptions()
    words = []
    for name in ("app", "image", "schedule", "volume", "beside", "user", "namespace", "scratch", "output"):
        value = getattr(options, name)
        if value != getattr(plain, name):
            for each in value if isinstance(value, tuple) else (value,):
                words += [f"--{name}", str(each)]
    return shlex.join(words)
