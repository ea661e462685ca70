"""The inventory as a person sees it: which apps there are, and whether all that they need is in place."""

from typing import Any

from invoke.exceptions import Exit

from tasks.cli import APP_HELP, confirm, host_key_question, task

APP_FILE_HELP = "the app's name, and its file's: a-z, 0-9 and _ . -"


@task(
    name="add",
    help={
        "app": APP_FILE_HELP,
        "host": "where it runs: [user@]host as in ssh, or `local`",
        "files": "absolute path on the host to back up; repeat it for several",
        "exclude": "pattern of borg's to leave out, such as '*/cache/*'; repeat it for several",
        "mounts": "file systems mounted inside a path: cross saves them too, leave leaves them out",
        "mariadb": "back up the host's MariaDB server",
        "binlog": "archive its binary logs as well, for point-in-time recovery; implies --mariadb",
        "defaults-file": "option file on the host with the database account; without it the login's own, as ~/.my.cnf",
        "storage": "a storage of the inventory; without it the default one",
        "storage-key": "host: a key of its own on the host; agent: a key here, served while something runs there",
        "ssh-port": "the host's SSH port, where ~/.ssh/config does not say it",
        "key": "the private key with which you log in on the host, where ~/.ssh/config does not say it",
        "fingerprint": "accept a host key with this SHA256 fingerprint without asking; repeat it for several",
        "yes": "accept host keys that are shown, and replace what the app's key may do on the storage, without asking",
    },
    iterable=["files", "exclude", "fingerprint"],
)
def add_app(
    c: Any,
    app: str = "",
    host: str = "",
    files: Any = None,
    exclude: Any = None,
    mounts: str = "",
    mariadb: bool = False,
    binlog: bool = False,
    defaults_file: str = "",
    storage: str = "",
    storage_key: str = "",
    ssh_port: int = 0,
    key: str = "",
    fingerprint: Any = None,
    yes: bool = False,
) -> None:
    """Add an app: check its host, write its file, make passphrase, keys and repository, save it and prove the backup.

    May be run again at any time: what is there stays as it is, what is missing is made. At a terminal, what the options
    leave open is asked for.
    """
    from tasks.app import add
    from tasks.app.new_app import Wanted

    def trusts(where: str, shown: str) -> bool:
        if fingerprint:
            return shown in fingerprint
        return confirm(host_key_question(where, shown), yes=yes)

    wanted = Wanted(
        app=app,
        host=host,
        files=tuple(files or ()),
        exclude=tuple(exclude or ()),
        mounts=mounts,
        mariadb=mariadb or binlog or bool(defaults_file),
        binlog=binlog,
        defaults_file=defaults_file,
        storage=storage,
        storage_key=storage_key,
        ssh_port=ssh_port,
        key=key,
    )
    add.run(c.config.inventory, wanted, trusts, print, lambda question: confirm(question, yes=yes))


@task(
    name="remove",
    help={"app": "name of the app in the inventory", "yes": "take it out without being asked"},
)
def remove_app(c: Any, app: str, yes: bool = False) -> None:
    """Take an app out of the inventory and its key out of the storage.

    Keeps its archives, passphrase and escrow copy, and says how to delete them.
    """
    from tasks.app import remove

    remove.run(c.config.inventory, app, lambda question: confirm(question, yes=yes), print)


@task(name="list", help={"app": APP_HELP}, iterable=["app"])
def list_apps(c: Any, app: Any = None) -> None:
    """List the apps of the inventory: host, storage, what is backed up."""
    from tasks.app import apps

    print(apps.table(c.config.inventory, tuple(app or ())))


@task(name="check", help={"app": APP_HELP}, iterable=["app"])
def check_apps(c: Any, app: Any = None) -> None:
    """Test that each app's host, server, storage and repository are reachable and ready. Changes nothing."""
    from tasks.app import check

    code = check.run(c.config.inventory, tuple(app or ()))
    if code:
        raise Exit(code=code)


@task(
    help={
        "app": "name of the app in the inventory",
        "image": "the image, as the cluster finds it; one with kubectl for a database behind `kubectl exec`",
        "schedule": "when to back up, as cron writes it, in UTC",
        "volume": "CLAIM:PATH: a volume claim that holds the app's data, and where; repeat it for several",
        "user": "number of the user that the pods run as: who owns the app's files; 0 is root, for reading alone",
    },
    iterable=["volume"],
    name="kubernetes",
)
def print_manifests(
    c: Any,
    app: str,
    image: str = "cloudbackup",
    schedule: str = "0 3 * * *",
    volume: Any = None,
    user: int = 10001,
) -> None:
    """Print an app of the inventory as manifests for Kubernetes: nightly backups and weekly drills."""
    from tasks.app import manifests

    print(
        manifests.stream(c.config.inventory, manifests.Options(app, image, schedule, tuple(volume or ()), user)), end=""
    )
