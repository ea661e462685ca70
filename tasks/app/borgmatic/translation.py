"""An app's file out of a borgmatic configuration: each key is carried over, needless here, or left to a person."""

import posixpath
import re
from collections.abc import Callable, Iterable, Mapping

from tasks.app.borgmatic import databases
from tasks.app.borgmatic.configuration import ENVIRONMENT, Configuration
from tasks.inventory.document import Data
from tasks.inventory.patterns import STYLES, read_pattern, read_rule
from tasks.inventory.values import read_host_path

COUNTS = ("hourly", "daily", "weekly", "monthly", "yearly")
SPANS = {"H": ("h", 1), "d": ("d", 1), "w": ("w", 1), "m": ("d", 31), "y": ("d", 365)}  # `borg prune --keep-within`
FILES = (
    *("source_directories", "patterns", "exclude_patterns", "patterns_from", "exclude_if_present"),
    *("exclude_nodump", "exclude_caches", "one_file_system"),
)
BEFORE = ("before_actions", "before_backup", "before_everything")
AFTER = ("after_actions", "after_backup", "after_everything")
NEEDLESS = {
    **dict.fromkeys(
        ("verbosity", "syslog_verbosity", "log_file_verbosity", "monitoring_verbosity"), "-v and -q say more and less"
    ),
    **dict.fromkeys(
        ("color", "log_json", "log_file", "log_file_format", "progress", "statistics", "quick_statistics"), "of output"
    ),
    **dict.fromkeys(
        ("list_details", "file_list_format", "archive_list_format", "display_passphrase", "debug_passphrase"),
        "of output",
    ),
    **dict.fromkeys(
        ("lock_wait", "retries", "retry_wait", "relocated_repo_access_is_ok"),
        "locks are waited for, faults that pass are tried again",
    ),
    **dict.fromkeys(
        ("borgmatic_source_directory", "user_runtime_directory", "user_state_directory", "bootstrap"),
        "no state is kept on the host",
    ),
    **dict.fromkeys(
        ("temporary_directory", "upload_buffer_size", "umask", "use_chunks_archive", "msgpack_version_check"),
        "of borgmatic's own run",
    ),
    **dict.fromkeys(
        ("checkpoint_interval", "checkpoint_volume", "files_cache", "borg_files_cache_ttl", "chunker_params"),
        "chosen for each source",
    ),
    **dict.fromkeys(
        ("atime", "ctime", "birthtime", "flags", "numeric_ids", "files_changed"), "borg's usual ways are taken"
    ),
    **dict.fromkeys(
        ("source_directories_must_exist", "keep_exclude_tags", "recompress", "compact_threshold"),
        "done always, or never needed",
    ),
    **dict.fromkeys(
        ("default_actions", "unsafe_skip_path_validation_before_create", "archive_hostname", "archive_username"),
        "of borgmatic's own run",
    ),
    **dict.fromkeys(("borg_cache_directory", "borg_security_directory"), "borg's caches can be made again"),
    **dict.fromkeys(("unknown_unencrypted_repo_access_is_ok", "check_i_know_what_i_am_doing"), "never agreed to"),
    "prefix": "archives are named APP-SOURCE-TIME",
    "archive_name_format": "archives are named APP-SOURCE-TIME",
    "match_archives": "each app has a repository of its own; `keep.other` prunes archives of other names",
}
CHECKS = "`inv check` and restore drills (`inv verify`) by `schedule` in cloudbackup.yml"
LEFT = {
    **dict.fromkeys(("checks", "check_last", "check_repositories"), CHECKS),
    **dict.fromkeys(
        ("ntfy", "pushover", "zabbix", "apprise", "pagerduty", "loki", "sentry"),
        "a `url` under `notify`, as Apprise writes it",
    ),
    **dict.fromkeys(
        ("healthchecks", "uptime_kuma", "cronitor", "watchgoose"),
        "a `ping` under `notify`, with the address as a secret",
    ),
    **dict.fromkeys(
        ("zfs", "btrfs", "lvm"),
        "snapshots are not made: `before` and `after` can, and `files.paths` name where they are",
    ),
    **dict.fromkeys(("ssh_command", "local_path"), "what ~/.ssh/config of the operator and PATH of the host say holds"),
    **dict.fromkeys(
        ("systemd", "container", "keepassxc", "onepassword"), "`passphrase: {command: ...}` asks any store of secrets"
    ),
    "exclude_from": "put `! ` before each of its lines, and name it under `files.patterns_from`",
    "on_error": "`notify` tells of failures",
    "read_special": "devices and pipes are a `dumps: {NAME: {command: ...}}`",
    "skip_actions": "name the tasks that you want in `schedule`",
    **dict.fromkeys(
        ("before_prune", "before_compact", "before_check", "before_extract"), "commands run around a backup alone"
    ),
    **dict.fromkeys(
        ("after_prune", "after_compact", "after_check", "after_extract"), "commands run around a backup alone"
    ),
    **dict.fromkeys(
        ("borg_keys_directory", "borg_base_directory", "borg_config_directory"),
        "borg's own folders are where borg has them",
    ),
    "borg_exit_codes": "what each of borg's warnings means is fixed",
    "influxdb_databases": "a `dumps: {NAME: {command: ...}}`",
}
Values = dict[str, Data]


def translated(config: Configuration) -> Values:
    """Return the keys of an app's file, without host, storage and passphrase, which need more than the configuration.

    Notes what becomes of every other key. Raises UsageError for a value of a type that borgmatic does not take.
    """
    values: Values = {}
    handled = {"repositories", "encryption_passphrase", "encryption_passcommand", "borg_key_file", "remote_path"}
    for keys, part in PARTS:
        values |= part(config)
        handled |= set(keys)
    for key in config.values:
        if key in handled:
            continue
        if key in NEEDLESS:
            config.note("needless", key, NEEDLESS[key])
        else:
            config.note("left", key, LEFT.get(key, "there is nothing like it here"))
    return values


def _files(config: Configuration) -> Values:
    roots, rules = _patterns(config)
    paths = [*_paths(config, "source_directories"), *roots]
    excludes = config.texts("exclude_patterns")
    files: Values = {
        "paths": list(dict.fromkeys(paths)),
        "patterns": rules,
        "exclude": [
            rule for at, text in excludes for rule in _read(config, ("exclude_patterns", at), text, read_pattern)
        ],
        "patterns_from": [*_paths(config, "patterns_from")],
        "exclude_if_present": [text for _, text in config.texts("exclude_if_present")],
        "nodump": config.truth("exclude_nodump") or None,
        "exclude_caches": None if config.truth("exclude_caches") else False,
        "mounts": "leave" if config.truth("one_file_system") else "cross",
    }
    if not files["paths"]:
        return {}
    _carried(config, FILES)
    return {"files": {key: value for key, value in files.items() if value not in (None, [])}}


def _patterns(config: Configuration) -> tuple[list[str], list[Data]]:
    """Return the roots and the rules of `patterns`; a line `P STYLE` sets the style of those after it."""
    roots: list[str] = []
    rules: list[Data] = []
    style = ""
    for at, text in config.texts("patterns"):
        line = text.strip()
        root, styled = re.fullmatch(r"[Rr]\s+(\S.*)", line), re.fullmatch(r"[Pp]\s+([a-z]{2})", line)
        if root:
            roots += _path(config, ("patterns", at), root[1])
        elif styled and styled[1] in STYLES:
            style = "" if styled[1] == "sh" else f"{styled[1]}:"  # sh is what rules have here as well
        elif line and not line.startswith("#"):
            plain = re.fullmatch(r"([!+-])\s*(?![A-Za-z0-9]{2}:)(\S.*)", line)
            rules += _read(config, ("patterns", at), f"{plain[1]} {style}{plain[2]}" if plain else line, read_rule)
    return roots, rules


def _paths(config: Configuration, key: str) -> Iterable[str]:
    for at, text in config.texts(key):
        yield from _path(config, (key, at), text)


def _path(config: Configuration, place: tuple[str, int], text: str) -> Iterable[str]:
    """Yield a path on the host, if it is one by itself."""
    base = config.text("working_directory") or ""
    if "/./" in text or text.startswith("~") or ENVIRONMENT.search(text):
        config.note("left", place[0], f"{text}: write the path in full", place[1])
    elif re.search(r"[*?\[]", text):
        config.note("left", place[0], f"{text}: name each, or the folder above with `patterns` for the rest", place[1])
    else:
        yield from _read(config, place, posixpath.join(base, text), read_host_path)


def _read(config: Configuration, place: tuple[str, int], text: str, reader: Callable[[object], str]) -> Iterable[str]:
    if ENVIRONMENT.search(text) or re.match(r"[!+-]?\s*~", text):
        config.note("left", place[0], f"{text}: write it in full", place[1])
        return
    try:
        yield reader(text)
    except ValueError as error:
        config.note("left", place[0], f"{text}: {error}", place[1])


def _carried(config: Configuration, keys: Iterable[str]) -> None:
    for key in keys:
        if key in config.values:
            config.note("carried", key, "")


def _keep(config: Configuration) -> Values:
    keep: Values = {}
    for name in COUNTS:
        count = config.number(f"keep_{name}")
        if count is not None and count < 0:
            config.note("left", f"keep_{name}", "keeps all: without a number, a rule keeps none")
        elif count:
            keep[name] = count
    within = config.text("keep_within")
    if within:
        span = re.fullmatch(r"([1-9][0-9]{0,3})([Hdwmy])", within)
        if span:
            unit, times = SPANS[span[2]]
            keep["within"] = f"{int(span[1]) * times}{unit}"
        else:
            config.note("left", "keep_within", f"{within}: write it as 48h, 7d or 2w under `keep.within`")
    for odd in ("secondly", "minutely", "13weekly", "3monthly"):
        if f"keep_{odd}" in config.values:
            config.note("left", f"keep_{odd}", "`keep` has no rule like it: `last`, `hourly` or `within` may do")
    _carried(config, (f"keep_{name}" for name in (*COUNTS, "within") if name in keep))
    return {"keep": keep} if keep else {}


def _borg(config: Configuration) -> Values:
    values: Values = {}
    compression, rate = config.text("compression"), config.number("upload_rate_limit")
    if compression:
        values["compression"] = compression
    if rate:
        values["upload"] = f"{rate * 1.024:.3f}".rstrip("0").rstrip(".") + "kB/s"  # borg counts in KiB
    _carried(config, [key for key in ("compression", "upload_rate_limit") if config.take(key)])
    if config.take("working_directory"):
        config.note("needless", "working_directory", "paths are written in full")
    if config.take("extra_borg_options"):
        config.note(
            "left", "extra_borg_options", "options of borg are not passed on: each that matters has a key of its own"
        )
    return values


def _hooks(config: Configuration) -> Values:
    before = [_command(config, key, text, at) for key in BEFORE for at, text in config.texts(key)]
    after = [_command(config, key, text, at) for key in AFTER for at, text in config.texts(key)]
    for at, (_, hook) in enumerate(config.mappings("commands")):
        when = "before" if "before" in hook else "after"
        if not _of_backup(hook, when):
            config.note("left", "commands", f"runs {when} {hook.get(when)}, and not around a backup", at)
            continue
        run = hook.get("run")
        words = [text for text in (run if isinstance(run, list) else [run]) if isinstance(text, str)]
        if not words:
            config.note("left", "commands", "has no `run` that is a command, or a list of them", at)
        (before if when == "before" else after).extend(_command(config, "commands", text, at) for text in words)
    values: Values = {"before": [each for each in before if each], "after": [each for each in after if each]}
    for key in (*BEFORE, *AFTER):
        if key in config.values and key not in {note.key for note in config.notes}:
            config.note("carried", key, "on the host, around each backup of the app")
    if values["before"] or values["after"]:
        _carried(config, ("commands",))
    return {key: value for key, value in values.items() if value}


def _of_backup(hook: Mapping[str, Data], when: str) -> bool:
    actions, states = hook.get("when"), hook.get("states")
    around = hook.get(when) in ("action", "repository", "configuration", "everything")
    of_create = actions is None or (isinstance(actions, list) and "create" in actions)
    always = states is None or (isinstance(states, list) and {"finish", "fail"} <= set(map(str, states)))
    return around and of_create and (always or when == "before")


def _command(config: Configuration, key: str, text: str, *inside: int) -> list[Data]:
    """Return a shell command's words; none, with a note, if borgmatic puts something of its own into it."""
    if re.search(r"\{[a-z_]+\}", text) or ENVIRONMENT.search(text):
        config.note("left", key, f"{text}: borgmatic puts values in place of {{...}}: write it without", *inside)
        return []
    return ["sh", "-c", text]


PARTS: tuple[tuple[tuple[str, ...], Callable[[Configuration], Values]], ...] = (
    (FILES, _files),
    (databases.KEYS, databases.dumps),
    (tuple(f"keep_{name}" for name in (*COUNTS, "within", "secondly", "minutely", "13weekly", "3monthly")), _keep),
    (("compression", "upload_rate_limit", "working_directory", "extra_borg_options"), _borg),
    ((*BEFORE, *AFTER, "commands"), _hooks),
)
"""The parts of a configuration: which keys each reads, and the part of an app's file that it makes of them."""
