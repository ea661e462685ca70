"""Settings and plugins of the saved server, from its record, for a private server on its data.

Query results depend on `sql_mode`, time zone and collation; a table needs its storage engine, and an account its
plugin. A record is not trusted: only settings named here are used, with values valid for their kind, and plugins only
from the plugin folder of the server installed where the data is restored.

Part of drills and replays, which run alone on a host: standard library only, Python 3.8 and later, except
`ordinary_user`, which is sent along.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tasks.mariadb.host.ordinary_user import DrillFault, clean_environment, ordinary

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tasks.mariadb.host.private_server import Private

DETAILS = ("settings", "zone", "plugins")  # keys in a backup's record, and in the plan of a drill or replay
WORD, WORDS, NUMBER = r"\w*", r"[\w,]*", r"\d{1,12}"
KEPT: Mapping[str, str] = {
    "character_set_server": WORD,
    "collation_server": WORD,
    "default_storage_engine": r"InnoDB|MyISAM|Aria|MEMORY",  # without the plugin of another, no server starts
    "default_week_format": NUMBER,
    "div_precision_increment": NUMBER,
    "explicit_defaults_for_timestamp": WORD,
    "ft_max_word_len": NUMBER,
    "ft_min_word_len": NUMBER,
    "group_concat_max_len": NUMBER,
    "innodb_default_row_format": WORD,
    "innodb_ft_max_token_size": NUMBER,
    "innodb_ft_min_token_size": NUMBER,
    "lc_time_names": WORD,
    "lower_case_table_names": r"[01]",
    "old_mode": WORDS,
    "sql_mode": WORDS,
    "time_zone": r"[\w/+:-]*",
}
OPTIONS = {"time_zone": "default_time_zone"}  # options with another name than their variable
ZONE = re.compile(r"[\w/+:,.<>-]{1,200}", re.ASCII)  # values of the environment variable TZ
# Plugin types that data, accounts and queries need. Not those that log, check passwords, or hold keys: a key plugin
# comes with the data itself (`data_options.encryption`).
TYPES = ("STORAGE ENGINE", "AUTHENTICATION", "DATA TYPE", "FUNCTION", "FTPARSER")
# The server's messages when an engine, an authentication plugin, a type or a function is missing (10.11.19).
NO_PLUGIN = re.compile(
    r"Unknown storage engine|Plugin '[^']*' is not loaded|Unknown data type|FUNCTION \S+ does not exist"
)
SLAVE_POSITION = "SELECT @@GLOBAL.gtid_slave_pos"
ENDED = 600  # seconds for a server to shut down: it may have much to write
LIBRARY = re.compile(r"[A-Za-z0-9_]+\.so", re.ASCII)


class Plugin(NamedTuple):
    """An active plugin: its name, type, and file in the server's plugin folder."""

    name: str
    type: str
    library: str


def kept(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the server variables to keep in its record."""
    return {name: variables[name] for name in KEPT if name in variables}


def words(values: object) -> list[str]:
    """Return server options for the settings in a record."""
    if not isinstance(values, Mapping):
        return []
    sound = {
        name: values[name] for name, form in KEPT.items()
        if isinstance(values.get(name), str) and re.fullmatch(form, values[name], re.ASCII)
    }  # fmt: skip
    if sound.get("time_zone") == "SYSTEM":
        del sound["time_zone"]
    return [f"--loose-{OPTIONS.get(name, name)}={value}" for name, value in sound.items()]


def zone(value: object) -> str:
    """Return the time zone of the server's host, as for TZ, from a record; empty if it has none."""
    return value if isinstance(value, str) and ZONE.fullmatch(value) else ""


def plugins(values: object) -> list[Plugin]:
    """Return the plugins in a record that a private server may need."""
    rows = values if isinstance(values, list) else []
    found = [Plugin(*row) for row in rows if isinstance(row, list) and len(row) == 3 and all(map(_is_text, row))]
    return [each for each in found if each.type in TYPES and LIBRARY.fullmatch(each.library)]


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def loading(wanted: Iterable[Plugin], folder: Path | None) -> tuple[list[str], list[Plugin]]:
    """Return the options that load plugins from an installation's folder, and the plugins missing there."""
    there, missing = set(), []
    for plugin in wanted:
        if folder is not None and (folder / plugin.library).is_file():
            there.add(plugin.library)
        else:
            missing.append(plugin)
    return [f"--plugin-load-add={library[:-3]}" for library in sorted(there)], missing


def folder(server: str) -> Path | None:
    """Return the plugin folder of a server program's installation; None if unknown."""
    said = subprocess.run(
        (server, "--no-defaults", "--verbose", "--help"), cwd="/", env=clean_environment(), preexec_fn=ordinary(),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    found = re.search(rb"^plugin-dir +(/.*?) *$", said.stdout, re.MULTILINE)
    return Path(os.fsdecode(found.group(1))) if found else None


def named(missing: Iterable[Plugin]) -> str:
    """Describe plugins."""
    return ", ".join(f"{each.name} ({each.library})" for each in missing)


def furnish(server: Private, plan: dict[str, object]) -> list[Plugin]:
    """Give the server the settings and plugins of the saved one; return the plugins that are missing here."""
    loads, missing = loading(plugins(plan.get("plugins")), folder(server.program))
    server.more = [*words(plan.get("settings")), *loads, *server.more]
    if zone(plan.get("zone")):
        server.environment["TZ"] = zone(plan.get("zone"))
    return missing


def begin(server: Private) -> list[str]:
    """Start the server, and roll back prepared transactions; return a message about them.

    A copy of a replica that applies in parallel, or one made without locks, may have transactions that are prepared and
    not committed, and no server without the binary log starts on it (MariaDB 10.11; MDEV-36025). Raises DrillFault.
    """
    try:
        server.start()
    except DrillFault as fault:
        found = re.search(r"Found (\d+) prepared transactions", str(fault))
        if not found:
            raise
    else:
        return []
    plain = list(server.more)
    server.more = [*plain, "--tc-heuristic-recover=ROLLBACK"]
    try:
        _again(server)
    except DrillFault:  # some exit after the rollback, to be started without the option
        server.more = plain
        _again(server)
    return [f"{found[1]} transactions were prepared at the end of the copy and not committed: they are rolled back"]


def _again(server: Private) -> None:
    server.end()
    for folder in (server.run, server.temporary):
        shutil.rmtree(str(folder))
    server.start()


def shut(server: Private, statements: Sequence[str]) -> None:
    """Run statements and shut the server down. Raises DrillFault."""
    done = server.ask(";\n".join([*statements, "SHUTDOWN"]))
    if done.returncode != 0:
        raise DrillFault(f"the server does not end in order: {done.stderr.strip().rpartition(chr(10))[2]}")
    assert server.process is not None
    try:
        code = server.process.wait(ENDED)
    except subprocess.TimeoutExpired:
        raise DrillFault(f"the server did not end in {ENDED} s") from None
    if code != 0:
        raise DrillFault(f"the server did not end in order: {server.complaint()}")


def without(missing: list[Plugin]) -> list[str]:
    """Return a message about plugins that are missing here, if nothing needed them."""
    return [f"plugins of the server are not installed here, and nothing asked needed them: {named(missing)}"] * bool(
        missing
    )


@contextmanager
def understood(missing: list[Plugin]) -> Iterator[None]:
    """Distinguish a table, account or function that lacks its plugin from a damaged one. Raises DrillFault."""
    try:
        yield
    except DrillFault as fault:
        if not missing or not NO_PLUGIN.search(str(fault)):
            raise
        raise DrillFault(
            f"plugins of the server that was saved are not installed there: {named(missing)}; so {fault}",
            "install them there (mariadb-server, mariadb-plugin-...), or name a host where they are: --to",
        ) from fault
