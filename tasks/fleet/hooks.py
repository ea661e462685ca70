"""An app's `before` and `after` commands around a backup; `after` runs whatever happens, a lost operator included."""

from collections.abc import Iterator
from contextlib import contextmanager

from tasks.errors import AppError
from tasks.inventory.models import App
from tasks.remote.host import Host
from tasks.remote.running import Running
from tasks.remote.script import Script, quote

READY = "cloudbackup: the commands before the backup have run"
LIMIT = 3600.0  # seconds for all commands before, and as many for those after


def around_script(app: App) -> Script:
    """Return the script that runs `before`, waits until it is told to end, and then runs `after`.

    It lives beside the backup, on a channel of its own. Its lifeline is what ends it: so a closed laptop or a cut
    connection runs `after` as well, and no app is left in its maintenance mode.
    """
    failed = quote(("printf", "failed: %s\\n"))
    after = [f"{quote(words)} || {{ code=1; {failed} {quote((quote(words),))} >&2; }}" for words in app.after]
    before = [f"{quote(words)} || {{ {failed} {quote((quote(words),))} >&2; exit 1; }}" for words in app.before]
    body = [
        "cleanup() {",
        'code=$?; if [ "$code" = 143 ]; then code=0; fi',  # to be ended is how it ends well
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
    """Run `before`, the block, `after`. Raises AppError when a command of either fails; `after` runs all of its."""
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
    """Wait for the end; return the last line of what failed, empty when all went well."""
    output = running.wait(LIMIT, script.grace, host.cancelled)
    return "" if output.ok else (output.error_text.strip().splitlines() or ["failed"])[-1]
