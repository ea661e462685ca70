"""Options of the tasks `app.*`."""

from dataclasses import dataclass

from tasks.cli import flag, option
from tasks.options import OneApp

APP_FILE_HELP = "the app's name, and its file's: a-z, 0-9 and _ . -"


@dataclass(frozen=True, kw_only=True)
class InitOptions:
    """Options of `init`: the first storage, by its keys, and two folders."""

    storage: str = option("the kind of storage: storagebox, ssh, local, s3 or sftp", "")
    user: str = option("the account there, such as u123456 of a Storage Box", "")
    host: str = option("the server; of a Storage Box derived from its account", "")
    port: int = option("the server's SSH port, where it is not the usual one", 0)
    directory: str = option("folder for repositories: in the account's home, or, for the kind local, on the host", "")
    key: str = option("your private key that logs in there; one in ~/.ssh unless given", "")
    endpoint: str = option("the object storage's address, for the kind s3", "")
    bucket: str = option("the bucket, for the kind s3", "")
    access_key: str = option("where the bucket's access key is: env:NAME, file:PATH or command:WORDS", "")
    secret_key: str = option("where the bucket's secret is: env:NAME, file:PATH or command:WORDS", "")
    staging: str = option("folder on an app's host for the repository itself, for the kinds s3 and sftp", "")
    secrets: str = option("folder on this machine for new passphrases; ~/cloudbackup/secrets unless given", "")
    escrow: str = option("folder on this machine for copies of repositories' keys; ~/cloudbackup/keys unless given", "")


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """Options of `app.import`."""

    from_: str = option("a configuration of borgmatic, such as a copy of /etc/borgmatic/config.yaml")
    name: str = option("the app's name; the name of its repository's folder unless given", "")
    host: str = option("where borgmatic runs: [user@]host as in ssh, or `local`")


@dataclass(frozen=True, kw_only=True)
class AddOptions:
    """Options of `app.add`."""

    app: str = option(APP_FILE_HELP, "")
    host: str = option("where it runs: [user@]host as in ssh, or `local`", "")
    files: tuple[str, ...] = option("absolute path on the host to back up; repeat it for several", ())
    exclude: tuple[str, ...] = option("pattern of borg's to leave out, such as '*/cache/*'; repeat it for several", ())
    mounts: str = option("file systems mounted inside a path: cross saves them too, leave leaves them out", "")
    mariadb: bool = flag("back up the host's MariaDB server")
    binlog: bool = flag("archive its binary logs as well, for point-in-time recovery; implies --mariadb")
    defaults_file: str = option(
        "option file on the host with the database account; without it the login's own, as ~/.my.cnf", ""
    )
    container: tuple[str, ...] = option(
        "container on the host, of docker or podman: its volumes and its database are found; repeat it for several", ()
    )
    project: str = option("compose project on the host: all its containers, as by --container", "")
    storage: str = option("a storage of the inventory; without it the default one", "")
    storage_key: str = option(
        "host: a key of its own on the host; agent: a key here, served while something runs there", ""
    )
    ssh_port: int = option("the host's SSH port, where ~/.ssh/config does not say it", 0)
    key: str = option("the private key with which you log in on the host, where ~/.ssh/config does not say it", "")
    become: str = option("sudo or doas: read everything there as root, where the login itself may not", "")
    fingerprint: tuple[str, ...] = option(
        "accept a host key with this SHA256 fingerprint without asking; repeat it for several", ()
    )
    yes: bool = flag(
        "accept host keys that are shown, and replace what the app's key may do on the storage, without asking"
    )


@dataclass(frozen=True, kw_only=True)
class FindOptions:
    """Options of `app.find`."""

    host: tuple[str, ...] = option(
        "host to look at, as in ssh; repeat it for several; without it every host of the inventory", ()
    )
    ssh_port: int = option("the SSH port of --host, where neither the inventory nor ~/.ssh/config says it", 0)
    key: str = option("the private key with which you log in on --host, where neither says it", "")
    become: str = option("sudo or doas: ask as root on --host, where the inventory does not say it", "")
    ignore: tuple[str, ...] = option(
        "volume, path or container that needs no backup; * stands for any text; repeat it for several", ()
    )
    format: str = option("table or json", "table")


@dataclass(frozen=True, kw_only=True)
class RemoveOptions(OneApp):
    """Options of `app.remove`."""

    yes: bool = flag("take it out without being asked")


@dataclass(frozen=True, kw_only=True)
class MoveOptions(OneApp):
    """Options of `app.move`: the new host, or the new storage."""

    host: str = option("the new host: [user@]host as in ssh", "")
    storage: str = option("the new storage of its repository, one that the inventory names", "")
    from_: str = option("with --storage: the one that it leaves, where the app has several", "")
    ssh_port: int = option("its SSH port, where ~/.ssh/config does not say it", 0)
    key: str = option("the private key with which you log in there; the one used for the host before unless given", "")
    fingerprint: tuple[str, ...] = option(
        "accept a host key with this SHA256 fingerprint without asking; repeat it for several", ()
    )
    yes: bool = flag("move it, and accept a host key that is shown, without being asked")


@dataclass(frozen=True, kw_only=True)
class RenameOptions(OneApp):
    """Options of `app.rename`."""

    to: str = option("the new name, and its file's: a-z, 0-9 and _ . -")
    yes: bool = flag("rename it without being asked")


@dataclass(frozen=True, kw_only=True)
class KubernetesOptions:
    """Options of `app.kubernetes`."""

    app: str = option("name of the app in the inventory", "")
    all_: bool = flag("all apps, and one page with the metrics of all; with --output")
    output: str = option("folder for `kubectl apply --kustomize`: a file for each app, in place of printing", "")
    image: str = option(
        "the image, as the cluster finds it; one with kubectl for a database behind `kubectl exec`", "cloudbackup"
    )
    schedule: str = option(
        "when to back up, as cron writes it, in UTC; a minute after 03:00 that goes by the app's name unless given", ""
    )
    volume: tuple[str, ...] = option(
        "CLAIM:PATH: a volume claim that holds the app's data, and where; repeat it for several", ()
    )
    beside: tuple[str, ...] = option(
        "NAME=VALUE: a label of the app's pods, on whose node its ReadWriteOnce volumes are; repeat it for several", ()
    )
    user: int = option(
        "number of the user that the pods run as: who owns the app's files; 0 is root, for reading alone", 10001
    )
    namespace: str = option(
        "namespace of all objects; with --all each app's own: that of its `exec`, its name, or `cloudbackup` for an app"
        " on a host",
        "",
    )
    scratch: int = option("GiB that a drill's copy of a database may take in the pod", 10)
    monitoring: str = option("with --all: the namespace that may ask for the metrics, Prometheus' own", "monitoring")
