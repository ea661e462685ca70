"""Options of the tasks `report.*`."""

from dataclasses import dataclass

from tasks.cli import flag, option
from tasks.options import Apps, ShownApps


@dataclass(frozen=True, kw_only=True)
class ShowOptions(Apps):
    """Options of `report.show`."""

    format: str = option("table, json, csv, markdown, html or prometheus", "table")
    output: str = option("write to this file, whole or not at all, in place of the terminal", "")
    fresh: bool = flag("list every repository again, also those that did not change since an earlier report")
    unproven: str = option(
        "only what no restore drill has proven within this time, such as 30d; with --strict exit 3", ""
    )
    digest: str = option(
        "in place of the report, what happened within this time, such as 7d, over all apps; with --notify as one"
        " message to everybody who gets messages, well or not; table, markdown or json",
        "",
    )
    strict: bool = flag("exit with 3 unless every source is ok")
    notify: bool = flag(
        "tell those whom `notify` in cloudbackup.yml names as well, on failure or always as it says there"
    )


@dataclass(frozen=True, kw_only=True)
class ServeOptions:
    """Options of `report.serve`."""

    host: str = option("address to listen on; 0.0.0.0 for all of this machine's", "127.0.0.1")
    port: int = option("port to listen on", 9190)
    interval: int = option(
        "seconds from one report to the next; what is asked meanwhile is answered from the last one", 300
    )
    name: tuple[str, ...] = option(
        "host name under which a browser may ask, beside addresses and localhost; repeat it for several", ()
    )
    password: str = option(
        "where the password for it is: env:NAME, file:PATH or command:WORDS; any user name will do", ""
    )
    certificate: str = option("file with a certificate in PEM form, to answer by https", "")
    key: str = option("file with the certificate's key, where that is not in the same file", "")


@dataclass(frozen=True, kw_only=True)
class AcceptOptions:
    """Options of `report.accept`."""

    app: str = option("name of an app in the inventory")
    reason: str = option("why the present state is right, for whoever reads the records later")
    source: str = option("only files, mariadb or binlog; unless given all that the app has", "")
    storage: str = option("only this storage, of an app that has several", "")
    series: str = option(
        "accept that another tool makes archives of these names, such as 'web1-*': they raise no alarm, and are never"
        " taken for this app's",
        "",
    )
    withdraw: bool = flag("with --series: it is accepted no more")
    yes: bool = flag("accept without being asked")


@dataclass(frozen=True, kw_only=True)
class HistoryOptions(ShownApps):
    """Options of `report.history`."""

    storage: str = option("only this storage, of apps that have several", "")
    source: str = option("only files, mariadb or binlog", "")
    action: str = option("only this, such as backup, verify or prune", "")
    limit: int = option("how many of the newest records", 20)
