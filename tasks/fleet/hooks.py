"""An app's `before` and `after` commands around a backup; `after` runs even if the operator is lost."""

from collections.abc import Iterator
from contextlib import contextmanager

from tasks.errors import AppError
from tasks.inventory.models import App
from tasks.remote.host import Host
from tasks.remote.running import Running
from tasks.remote.script import Script, quote

READY = "cloudbackup: the commands before the backup have run"
LIMIT = 3600.0  # seconds for all `before` commands, and the same for all `after` commands


def around_script(app: App) -> Script:
    """Return the script that runs `before`, waits until it is terminated, and then runs `after`.

    It runs alongside the backup on a channel of its own, and ends with its lifeline: so `after` also runs when a laptop
    is closed or the connection drops, and no app stays in maintenance mode.
    """
    failed = quote(("printf", "failed: %s\\n"))
    after = [f"{quote(words)} || {{ code=1; {failed} {quote((quote(words),))} >&2; }}" for words in app.after]
    before = [f"{quote(words)} || {{ {failed} {quote((quote(words),))} >&2; exit 1; }}" for words in app.before]
    body = [
        "cleanup() {",
        'code=$?; if [ "$code" = 143 ]; then code=0; fi',  # terminated is how it normally ends
        *after,
        'exit "$code"',
        "}",
        "trap cleanup EXIT",
        *before,
        quote(("echo", READY)),
        "sleep infinity & wait $!",
    ]
    return Script("\n".join(body), grace=LIMIT, leaves=True)


@contextmanager
def around(app: App, host: Host) -> Iterator[None]:
    """Run `before`, the block, `after`. Raises AppError if any command fails; the other `after` commands still run."""
    if not app.before and not app.after:
        yield
        return
    script = around_script(app)
    running = host.start(script)
    ready = False
    try:
        ready = running.wait_for(READY.encode(), LIMIT)
        if ready:
            yield
    finally:
        running.end()
        said = _ended(running, script, host)
    if not ready:
        raise AppError(f"{app.name}: a command before the backup {said}", "nothing was saved")
    if said:
        raise AppError(f"{app.name}: a command after the backup {said}")


def _ended(running: Running, script: Script, host: Host) -> str:
    """Wait for the end; return the last line of the failed command, empty if all succeeded."""
    output = running.wait(LIMIT, script.grace, host.cancelled)
    return "" if output.ok else (output.error_text.strip().splitlines() or ["failed"])[-1]
