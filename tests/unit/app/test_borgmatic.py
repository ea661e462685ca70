"""borgmatic configurations as apps: what is carried over, what is said of the rest, and what is no configuration."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.app import imported as importing
from tasks.app.borgmatic.databases import KEYS
from tasks.app.borgmatic.translation import LEFT, NEEDLESS, PARTS
from tasks.app.imported import Options
from tasks.errors import UsageError
from tasks.inventory.errors import InventoryError
from tasks.inventory.models import App
from tasks.storage.registry import load

HERE = Path(__file__).parent / "borgmatic"
MAIN = """\
# kept by hand
storages:
  disk: {kind: local, directory: /backup}   # ours
defaults: {storage: disk}
secrets: {directory: SECRETS}
"""
# The keys of borgmatic 2.1.10's schema, listed by reading it.
SCHEMA = """\
    source_directories source_directories_must_exist repositories working_directory one_file_system numeric_ids atime
    ctime birthtime read_special unsafe_skip_path_validation_before_create flags files_changed files_cache local_path
    remote_path patterns patterns_from exclude_patterns exclude_from exclude_caches exclude_if_present keep_exclude_tags
    exclude_nodump borgmatic_source_directory user_runtime_directory user_state_directory encryption_passcommand
    encryption_passphrase checkpoint_interval checkpoint_volume chunker_params compression recompress upload_rate_limit
    upload_buffer_size retries retry_wait temporary_directory ssh_command borg_base_directory borg_config_directory
    borg_cache_directory use_chunks_archive borg_files_cache_ttl borg_security_directory borg_keys_directory
    borg_key_file borg_exit_codes umask lock_wait archive_name_format match_archives archive_hostname archive_username
    file_list_format archive_list_format relocated_repo_access_is_ok unknown_unencrypted_repo_access_is_ok
    debug_passphrase display_passphrase check_i_know_what_i_am_doing msgpack_version_check extra_borg_options
    keep_within keep_secondly keep_minutely keep_hourly keep_daily keep_weekly keep_monthly keep_yearly keep_13weekly
    keep_3monthly prefix compact_threshold checks check_repositories check_last color verbosity syslog_verbosity
    log_file_verbosity log_file log_file_format monitoring_verbosity log_json progress statistics quick_statistics
    list_details default_actions skip_actions before_actions before_backup before_prune before_compact before_check
    before_extract after_backup after_compact after_prune after_check after_extract after_actions on_error
    before_everything after_everything commands bootstrap influxdb_databases postgresql_databases mariadb_databases
    mysql_databases sqlite_databases mongodb_databases openldap_databases ntfy pushover zabbix apprise healthchecks
    uptime_kuma cronitor pagerduty loki sentry watchgoose zfs btrfs lvm systemd container keepassxc onepassword
""".split()  # noqa: SIM905
BEYOND = {"repositories", "encryption_passphrase", "encryption_passcommand", "borg_key_file", "remote_path"}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "apps").mkdir()
    (tmp_path / "cloudbackup.yml").write_text(MAIN.replace("SECRETS", str(tmp_path / "secrets")))
    return tmp_path


def imported(place: Path, name: str, app: str) -> tuple[App, str, int]:
    """Return the app as the inventory has it then, what was said, and the exit code."""
    said: list[str] = []
    options = Options(str(HERE / f"{name}.yaml"), app, "root@web.example.org")
    code = importing.run(str(place), options, said.append)
    found = load(place).apps[app or next(iter(load(place).apps))]
    return found, "\n".join(said).replace(f"{HERE}/", ""), code


def test_all_is_carried_over(place: Path) -> None:
    app, said, code = imported(place, "minimal", "")
    assert code == 0, said
    assert (app.name, app.storage, app.host) == ("wiki", "disk", "root@web.example.org")
    assert app.files is not None
    assert (app.files.paths, app.files.mounts, app.files.exclude_caches) == (("/srv/wiki",), "cross", True)
    assert app.passphrase.env == "WIKI_PASSPHRASE"
    assert app.keep is not None
    assert app.keep.daily == 7
    assert "all is carried over" in said
    assert (place / "cloudbackup.yml").read_text() == MAIN.replace("SECRETS", str(place / "secrets"))


def test_what_borgmatic_generates(place: Path) -> None:
    with pytest.raises(UsageError, match="names no repository"):
        imported(place, "generated", "")
    app, said, code = imported(place, "generated", "web")
    assert code == 3
    assert app.files is not None
    assert app.files.paths == ("/home", "/etc", "/home/user/path with spaces")
    assert app.files.exclude_caches is False, "borgmatic saves caches unless told otherwise"
    assert "generated.yaml:5: source_directories: NOT carried over: /var/log/syslog*: name each" in said
    assert "sourcehostname.borg: move it into a folder of that account" in said
    assert app.storage == "disk"
    assert "put the repository's passphrase into" in said


def test_a_home_server(place: Path) -> None:
    app, said, code = imported(place, "nextcloud", "")
    text = (place / "apps" / "nextcloud.yml").read_text()
    assert code == 3
    assert "correct horse" not in text + said
    assert "hunter2" not in text + said
    storage: Any = load(place).storages["box"]
    assert (storage.kind, storage.user, storage.directory) == ("storagebox", "u123456", "backups")
    kept = (place / "cloudbackup.yml").read_text()
    assert kept.startswith("# kept by hand")
    assert "# ours" in kept
    assert app.files is not None
    assert app.files.exclude == ("*/appdata_*/preview", "/srv/nextcloud/data/*/cache")
    assert (app.files.exclude_if_present, app.files.mounts) == ((".nobackup",), "leave")
    assert app.before == (("sh", "-c", "sudo -u www-data php /srv/nextcloud/occ maintenance:mode --on"),)
    assert app.after[0][2].endswith("--off")
    database = app.dumps["nextcloud"].postgresql
    assert database is not None
    assert (database.database, database.host, database.port, database.user) == (
        "nextcloud",
        "127.0.0.1",
        5432,
        "nextcloud",
    )
    assert app.keep is not None
    assert (app.keep.daily, app.keep.weekly, app.keep.monthly, app.compression) == (7, 4, 6, "zstd,3")
    for line in (
        "nextcloud.yaml:12: exclude_patterns: NOT carried over: ~/Downloads: write it in full",
        "nextcloud.yaml:16: encryption_passphrase: NOT carried over: is not written anywhere",
        "nextcloud.yaml:18: archive_name_format: not needed",
        "nextcloud.yaml:23: checks: NOT carried over: `inv check`",
        "nextcloud.yaml:32: postgresql_databases: NOT carried over: its password is not written",
        "nextcloud.yaml:38: healthchecks: NOT carried over: a `ping` under `notify`",
    ):
        assert line in said, said


def test_old_sections_and_several_repositories(place: Path) -> None:
    app, said, code = imported(place, "sections", "mail")
    assert code == 3
    assert app.storages == ("vault-example-org", "disk2")
    storages: Any = load(place).storages
    assert (storages["vault-example-org"].directory, storages["vault-example-org"].user) == ("/srv/borg", "root")
    assert storages["disk2"].directory == "/mnt/usb"
    assert app.files is not None
    assert (app.files.exclude, app.files.nodump) == (("*.pyc", "re:[.]tmp$"), True)
    assert app.passphrase.command == ("cat", "/root/.borg-passphrase")
    assert app.upload is not None
    assert app.upload.limit == 1_024_000
    assert app.keep is not None
    assert app.keep.within is not None
    assert (app.keep.within.days, app.keep.yearly) == (62, 1)
    assert app.before == ()
    assert app.dumps["mysql"].mysql is not None
    for line in (
        'sections.yaml:26: before_backup: NOT carried over: echo "Starting {repository}": borgmatic puts values',
        "sections.yaml:13: encryption_passcommand: NOT carried over: is run on this machine now",
        "sections.yaml:7: repositories: NOT carried over: /mnt/usb/mail2: is beside another one of this app",
        "sections.yaml:11: remote_path: NOT carried over",
        "sections.yaml:27: on_error: NOT carried over",
        "sections.yaml:29: mysql_databases: NOT carried over: `options` is not carried over",
    ):
        assert line in said, said


def test_patterns_and_constants(place: Path) -> None:
    app, said, code = imported(place, "patterns", "")
    assert code == 3
    assert (app.name, app.storage, app.passphrase.env) == ("media", "disk", "BORG_PASS")
    assert app.files is not None
    assert app.files.paths == ("/srv/media",)
    assert app.files.patterns == ("+ /srv/media/photos/keep", "- /srv/media/photos", "! /srv/media/tmp")
    assert app.files.patterns_from == ("/etc/borgmatic/patterns",)
    assert app.keep is not None
    assert app.keep.daily == 14
    for line in ("- ~/cache: write it in full", "- re:^/srv: never matches", "exclude_from"):
        assert line in said, said
    assert "keep_3monthly: NOT carried over" in said
    assert "match_archives: not needed" in said


def written(place: Path, text: str) -> tuple[App, str]:
    """Import a configuration of these lines; return the app and what was said."""
    file, said = place / "borgmatic.yaml", list[str]()
    file.write_text(f"source_directories: [/srv]\nrepositories: [/backup/x]\n{text}")
    importing.run(str(place), Options(str(file), "x", "local"), said.append)
    return load(place).apps["x"], "\n".join(said)


def test_a_style_set_for_the_rules_after_it_is_theirs(place: Path) -> None:
    rules = "['- a', 'P re', '+ ^srv/keep', '! srv', '-sh:b', 'P sh', '- c', 'P xx']"
    app, said = written(place, f"patterns: {rules}\n")
    assert app.files is not None
    assert app.files.patterns == ("- a", "+ re:^srv/keep", "! re:srv", "- sh:b", "- c")
    assert "P xx: sets the style" in said


def test_a_hook_without_a_command_makes_none(place: Path) -> None:
    app, said = written(
        place, "commands: [{before: action}, {before: action, run: [{a: b}]}, {before: action, run: x}]\n"
    )
    assert [list(each) for each in app.before] == [["sh", "-c", "x"]]
    assert said.count("has no `run` that is a command") == 2


def test_constants_in_many_constants_do_not_grow_without_end(place: Path) -> None:
    names = "".join(f"  c{number}: {'y' * 99}\n" for number in range(99))
    used = "".join(f"{{c{number}}}" for number in range(99))
    with pytest.raises(UsageError, match="makes a text of more than"):
        written(place, f"constants:\n{names}exclude_patterns: ['{used}']\n")


def test_commands_containers_and_snapshots(place: Path) -> None:
    app, said, code = imported(place, "commands", "stack")
    assert code == 3
    storages: Any = load(place).storages
    assert (storages["nas"].port, storages["nas"].directory) == (2222, "/volume1/borg")
    assert app.storages == ("nas",)
    assert [words[2] for words in app.before] == ["docker compose -f /opt/stack/compose.yml stop web"]
    assert [words[2] for words in app.after] == ["docker compose -f /opt/stack/compose.yml start web"]
    assert set(app.dumps) == {"shop", "blog", "users", "sqlite_files", "mongodb"}
    shop = app.dumps["shop"].mariadb
    assert shop is not None
    assert (shop.databases, shop.user, shop.exec) == (("shop",), "root", ("docker", "exec", "-i", "shop-db"))
    for line in (
        "rclone:remote:bucket: no kind of storage here",
        "repo.borgbase.com/./repo: move it into a folder of that account",
        "commands: NOT carried over: runs after error",
        "commands: NOT carried over: runs before action",
        "zfs: NOT carried over: snapshots are not made",
        "keep_daily: NOT carried over: keeps all",
        "keep_minutely: NOT carried over",
        "mongodb_databases: NOT carried over: its dump is written by `mongodump --archive` alone",
    ):
        assert line in said, said
    assert "{credential" not in (place / "apps" / "stack.yml").read_text()


def test_every_key_of_borgmatics_schema_has_an_answer() -> None:
    """A key without one would still be told, as one that there is nothing like: these are none of them."""
    known = {key for keys, _ in PARTS for key in keys} | set(NEEDLESS) | set(LEFT) | BEYOND | set(KEYS)
    assert [each for each in SCHEMA if each not in known] == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("<<: !include common.yaml\nrepositories: []\n", ":1: has !include, and other files are not read"),
        ("source_directories:\n  - !retain /srv\n", ":2: has !retain, and other files are not read"),
        (
            "a: &a [x, x]\nb: &b [*a, *a]\n" + "".join(f"c{n}: &c{n} [*b, *b]\n" for n in range(3)) + "d: {" + "[" * 60,
            "",
        ),
        ("source_directories: 7\nrepositories: [/backup/x]\n", ":1: source_directories: must be a list of texts"),
        (
            "source_directories: [/srv, [a]]\nrepositories: [/backup/x]\n",
            ":1: source_directories: must be a list of texts",
        ),
        (
            "source_directories: [/srv]\nrepositories: [{label: x}]\n",
            ":2: repositories: must be a list of groups with a path",
        ),
        ("source_directories: [/srv]\nrepositories: /backup/x\n", ":2: repositories: must be a list"),
        (
            "source_directories: [/srv]\nrepositories: [/backup/x]\nkeep_daily: often\n",
            ":3: keep_daily: must be a whole number",
        ),
        (
            "source_directories: [/srv]\nrepositories: [/backup/x]\none_file_system: 1\n",
            ":3: one_file_system: must be true",
        ),
        ("location: [a]\n", ":1: location: must hold `key: value` lines"),
        ("location: {patterns: [a]}\npatterns: [b]\n", ": patterns: is there twice, in two sections"),
        (f"constants: {{a: {'x' * 99}}}\npatterns: ['{'{a}' * 99}']\n", "{a} of `constants` makes a text of more than"),
        ("patterns: ['- /x']\n", "has nothing to back up"),
        ("- a\n", "must hold `key: value` lines"),
        ("\x00", ""),
        ("", "is empty"),
    ],
)
def test_what_is_no_configuration_is_one_sentence_and_nothing_is_written(place: Path, text: str, told: str) -> None:
    file = place / "borgmatic.yaml"
    file.write_text(text)
    before = (place / "cloudbackup.yml").read_text()
    with pytest.raises((UsageError, InventoryError)) as caught:
        importing.run(str(place), Options(str(file), "x", "local"), print)
    assert told in caught.value.what
    assert caught.value.exit_code == 2
    assert len(caught.value.what.splitlines()) <= 2
    assert list((place / "apps").iterdir()) == []
    assert (place / "cloudbackup.yml").read_text() == before


def test_an_app_that_is_there_is_not_touched(place: Path) -> None:
    imported(place, "minimal", "")
    text = (place / "apps" / "wiki.yml").read_text()
    with pytest.raises(UsageError, match="there is an app wiki already"):
        imported(place, "minimal", "")
    assert (place / "apps" / "wiki.yml").read_text() == text


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 99) | st.text(st.characters(exclude_categories=["C"]), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["path", "name", "run", "before"]), inner)
    ),
    max_leaves=6,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.dictionaries(st.sampled_from([*SCHEMA, "constants", "location"]), VALUES, max_size=6))
def test_whatever_is_in_it_is_written_or_refused_with_a_sentence(place: Path, values: dict[str, Any]) -> None:
    file = place / "borgmatic.yaml"
    file.write_text(yaml.safe_dump({"source_directories": ["/srv"], "repositories": ["/backup/x"], **values}))
    (place / "apps" / "x.yml").unlink(missing_ok=True)
    (place / "cloudbackup.yml").write_text(MAIN.replace("SECRETS", str(place / "secrets")))
    try:
        importing.run(str(place), Options(str(file), "x", "local"), lambda _: None)
    except UsageError:
        assert not (place / "apps" / "x.yml").exists()
    else:
        assert "x" in load(place).apps
