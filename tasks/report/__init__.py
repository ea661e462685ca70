"""The one report over all apps: gather, judge, then one writer for each format."""

from typing import Any

from invoke.exceptions import Exit

from tasks.cli import APP_HELP, confirm, task


@task(
    default=True,
    help={
        "app": APP_HELP,
        "format": "table, json, csv, markdown, html or prometheus",
        "output": "write to this file, whole or not at all, in place of the terminal",
        "fresh": "list every repository anew, also those that did not change since an earlier report",
        "notify": "tell those whom `notify` in cloudbackup.yml names as well, on failure or always as it says there",
        "strict": "exit with 3 unless every source is ok",
    },
    iterable=["app"],
)
def show(
    c: Any,
    app: Any = None,
    format: str = "table",  # noqa: A002
    output: str = "",
    fresh: bool = False,
    strict: bool = False,
    notify: bool = False,
) -> None:
    """Show all backups of all apps: what is there, how old, how large, and what is wrong."""
    import tasks.report.show as report_show

    options = report_show.Options(tuple(app or ()), format, output, fresh, strict, notify)
    code = report_show.run(c.config.inventory, options)
    if code:
        raise Exit(code=code)


@task(
    help={
        "host": "address to listen on; 0.0.0.0 for all of this machine's",
        "port": "port to listen on",
        "interval": "seconds from one report to the next; what is asked meanwhile is answered from the last one",
        "name": "host name under which a browser may ask, beside addresses and localhost; repeat it for several",
        "password": "where the password for it is: env:NAME, file:PATH or command:WORDS; any user name will do",
        "certificate": "file with a certificate in PEM form, to answer by https",
        "key": "file with the certificate's key, where that is not in the same file",
    },
    iterable=["name"],
)
def serve(
    c: Any,
    host: str = "127.0.0.1",
    port: int = 9190,
    interval: int = 300,
    name: Any = None,
    password: str = "",
    certificate: str = "",
    key: str = "",
) -> None:
    """Serve the report over HTTP until ended: metrics for Prometheus, and the page for people."""
    import tasks.report.serve as report_serve

    report_serve.run(
        c.config.inventory, report_serve.Options(host, port, interval, name or (), password, certificate, key)
    )


@task(
    name="accept",
    help={
        "app": "name of an app in the inventory",
        "reason": "why the present state is right, for whoever reads the records later",
        "source": "only files, mariadb or binlog; unless given all that the app has",
        "storage": "only this storage, of an app that has several",
        "yes": "accept without being asked",
    },
)
def accept_state(c: Any, app: str, reason: str, source: str = "", storage: str = "", yes: bool = False) -> None:
    """Take an app's newest archives as right in spite of what stands against them, such as after a planned change."""
    from tasks.report import accept

    options = accept.Options(app, reason, source, storage)
    code = accept.run(c.config.inventory, options, lambda question: confirm(question, yes=yes))
    if code:
        raise Exit(code=code)


@task(
    help={
        "app": APP_HELP,
        "storage": "only this storage, of apps that have several",
        "source": "only files, mariadb or binlog",
        "action": "only this, such as backup, verify or prune",
        "limit": "how many of the newest records",
    },
    iterable=["app"],
)
def history(c: Any, app: Any = None, storage: str = "", source: str = "", action: str = "", limit: int = 20) -> None:
    """Show what was done to apps, when, by whom and how it went, from any machine."""
    import tasks.report.history as report_history

    code = report_history.run(
        c.config.inventory, report_history.Options(tuple(app or ()), storage, source, action, limit)
    )
    if code:
        raise Exit(code=code)
