"""Backs up a dump: the program's output, through a guard that fails if it is not whole.

borg drops the archive if any program of the pipeline fails, at whatever byte (tried, borg 1.2.4 and 1.4.5).
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from tasks.answers import Answer, AnswerError, Count, Name, read
from tasks.borg.client.create import Created, StreamOptions
from tasks.borg.client.runner import ContentError
from tasks.errors import AppError, CloudbackupError, UsageError
from tasks.inventory.models import App
from tasks.remote.program import Program
from tasks.remote.script import Stream, quote
from tasks.remote.secret import Secret, resolve
from tasks.run.session import Session
from tasks.sources.base import Learnt, Ready
from tasks.sources.dumps.host import dump_guard, postgresql_archive
from tasks.sources.dumps.product import NOTE, Product, running

GUARD = Program(dump_guard, (postgresql_archive,))
OURS = "cloudbackup: "  # prefix of messages of the guard
# Pieces of 64 KiB on average. In a dump of text of which 1 % of the rows changed, in some places, borg's default of 2
# MiB stores 12 times as much (docs/performance.md). Other pieces would be found nowhere in the repository: this stays.
CHUNKER = "buzhash,14,18,16,4095"
SHA256, BYTES = "sha256", "dump_bytes"  # in a record's details: what was read of the dump
PRODUCT = "product"  # in a record's details: what made it


class _Passed(Answer):
    """What the guard found: see `host/dump_guard.py`."""

    bytes: Count
    sha256: Name


def file_of(name: str) -> str:
    """Return the name of the only file in an archive of a dump."""
    return f"{name}.dump"


def product_of(app: App, name: str) -> Product:
    """Return how a dump is made. Raises UsageError if the inventory has no such dump."""
    if name not in app.dumps:
        raise UsageError(f"{app.name} has no dump `{name}` in the inventory", "give --target, a new folder")
    return app.dumps[name].product


def secrets_of(app: App, name: str) -> dict[str, Secret]:
    """Return the secrets of a dump's commands, by environment variable. Raises UsageError."""
    wanted = product_of(app, name).secrets
    return {variable: resolve(each, f"{variable} of {name} of {app.name}") for variable, each in wanted.items()}


def writing(app: App, name: str) -> Stream:
    """Return the command that writes a dump. Raises UsageError."""
    product = product_of(app, name)
    return running(product.exec, product.dump(), secrets_of(app, name))


def guarded(stream: Stream, plan: Mapping[str, Any]) -> Stream:
    """Return a stream that fails unless it is whole; `plan` is the guard's."""
    guard = quote((*GUARD.words, json.dumps(dict(plan))))
    return Stream(f"{{ {stream.body}\n}} | {guard}", {**stream.environment, **GUARD.environment})


def ready(session: Session, app: App, name: str, archive: str) -> Ready:  # noqa: ARG001
    """Return what borg should save of a dump. Raises UsageError."""
    product = product_of(app, name)
    options = StreamOptions(
        archive=archive,
        content=guarded(writing(app, name), {"ends": product.ends, "archive": product.archive}),
        name=file_of(name),
        compression=app.compression,
        comment=f"dump by {product.title}",
        chunker=CHUNKER,
    )

    def learnt(created: Created) -> Learnt:
        found = passed(created.said)
        known = {SHA256: found.sha256, BYTES: found.bytes} if found else {}
        return Learnt({PRODUCT: product.title, **known})

    return Ready(options, learnt)


def passed(said: Sequence[str]) -> _Passed | None:
    """Return what the guard reported on standard error; None if that is not there."""
    lines = [line.removeprefix(dump_guard.TOLD) for line in said if line.startswith(dump_guard.TOLD)]
    try:
        return read(_Passed, lines[-1]) if lines else None
    except AnswerError:
        return None


def explained(app: App, name: str, error: ContentError) -> CloudbackupError:
    """Return why a dump failed: what its program said last, or what the guard found."""
    product = product_of(app, name)
    notes = (dump_guard.TOLD, NOTE)
    lines = [line for line in error.result.other_lines if line.strip() and not line.startswith(notes)]
    said = [line for line in lines if not line.startswith(OURS)]
    theirs = [line for line in said if not (product.asides and re.match(product.asides, line))] or said
    ours = [line.removeprefix(OURS) for line in lines if line.startswith(OURS)]
    why = next(iter(theirs[-1:] or ours[-1:]), "its command failed and said nothing")
    if theirs and ours and "wrote nothing" not in ours[-1]:
        why = f"{ours[-1]}; {why}"
    by_hand = f"run it by hand on {app.host}: {product.by_hand()}"
    return AppError(
        f"{app.name}: no dump of {name} was saved: {why}",
        next((remedy for fault, remedy in product.remedies.items() if re.search(fault, why)), by_hand),
        transient=bool(product.passing and re.search(product.passing, why)),
    )
