"""What `app.check` and `app.add` report about a dump before a backup: is its program there, and does it begin?"""

from collections.abc import Iterator

from tasks.inventory.models import App
from tasks.remote.running import ScriptTimeoutError
from tasks.remote.script import Script, quote
from tasks.run.session import Session
from tasks.sources.base import Finding
from tasks.sources.dumps.dump_backup import product_of, secrets_of, writing
from tasks.sources.dumps.product import running

PATIENCE = 30  # seconds for the first bytes
FIRST = 6  # bytes
PACKED = {"1f8b": "gzip", "28b52ffd": "zstd", "fd377a58": "xz", "425a68": "bzip2"}  # by first bytes, hexadecimal
_REMEDY = "let it write plain bytes: borg compresses, and finds what did not change since the last dump"


def findings(session: Session, app: App, name: str) -> Iterator[Finding]:
    """Look for the program and have it begin a dump; yield level, text and remedy. Raises what `Host.run` raises."""
    host, product = session.host(app), product_of(app, name)
    for tool in product.tools():
        there = Script(quote((*product.exec, "sh", "-c", 'command -v -- "$1"', "sh", tool)) + " </dev/null >&2")
        found = host.run(there, timeout=PATIENCE)
        if not found.ok:
            where = f"where `{quote(product.exec)}` leads" if product.exec else f"on {app.host}"
            yield (
                "error",
                f"{name}: there is no program {tool} {where}",
                f"install it there, or correct `dumps: {name}`",
            )
            return
    yield from _first(session, app, name)
    if remains := product.remains():
        stream = running(product.exec, remains, secrets_of(app, name))
        left = host.run(Script(stream.body, stream.environment), timeout=PATIENCE)
        for line in left.text.splitlines() if left.ok else ():
            what, remedy = product.remaining(line)
            yield "warning", f"{name}: {what}", remedy
    if not product.load():
        yield "ok", f"{name}: no `restore` command: it can be restored to a folder", ""


def _first(session: Session, app: App, name: str) -> Iterator[Finding]:
    """Start a dump, and end it after its first bytes."""
    stream = writing(app, name)
    body = f"{{ {stream.body}\n}} | head -c {FIRST} | od -An -tx1 | tr -d ' \\n' || :"
    try:
        done = session.host(app).run(Script(body, stream.environment, grace=2), timeout=PATIENCE)
    except ScriptTimeoutError:
        yield (
            "warning",
            f"{name}: wrote nothing for {PATIENCE} s",
            "it may be slow to begin: the first backup will tell",
        )
        return
    first, product = done.text.strip(), product_of(app, name)
    if not first:
        lines = [line for line in done.error_text.splitlines() if line.strip()]
        why = lines[-1].strip() if lines else "its command wrote nothing"
        yield "error", f"{name}: {why}", f"run it by hand on {app.host}: {product.by_hand()}"
        return
    yield "ok", f"{name}: {product.title} begins to write", ""
    for lacks in product.left_out(done.error_text.splitlines()):
        yield "error", f"{name}: a dump leaves out {lacks}", "until then each backup is incomplete"
    packed = next((kind for start, kind in PACKED.items() if first.startswith(start)), "")
    if packed:
        yield "warning", f"{name}: what it writes is compressed by {packed} already", _REMEDY
