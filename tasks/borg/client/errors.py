"""Known errors of borg, translated for people: what happened and what to do.

The order of the rows matters: the first that matches any message of a run is used, so causes come before their
consequences (ssh's "Permission denied" before borg's "Connection closed"). Texts come from borg 1.2.4 and 1.4.5,
OpenSSH 9.2 and reports about Storage Boxes.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tasks.borg.client.messages import Level, Message
from tasks.remote.advice import STORAGE


@dataclass(frozen=True)
class Failure:
    """One row: matches a message with this msgid (empty: any) whose text contains the pattern.

    `what` may use the pattern's named groups. `transient`: a retry a little later may succeed.
    """

    what: str
    remedy: str
    msgid: str = ""
    pattern: str = ""
    transient: bool = False


@dataclass(frozen=True)
class Explanation:
    """What a row says about one run."""

    what: str
    remedy: str
    transient: bool = False


FULL_REMEDY = (
    "make room first: borg needs some even to list or prune. Remove snapshots or a reserve file, or enlarge the "
    "storage; then prune and compact"
)
RUNS_ELSEWHERE = (
    "another borg may be at work there: wait, or see `inv borg.break-lock --app {app}`, which says who holds the lock"
)

NO_MEMORY = "the host may have run out of memory: `journalctl -k` there tells; run it again"
MORE_MEMORY = (
    "stop what else takes memory there, add some or swap, or raise the login's limit (`ulimit -v`); docs/hosts.md says"
    " how much is needed"
)
KILLED = (137, 247)  # exit codes after SIGKILL: a shell's, and the -9 of Python's subprocess as an exit code

FAILURES: tuple[Failure, ...] = (
    # Programs that run beside borg
    Failure(
        "the command that gives the archive's content failed with exit code {code}; no archive was made",
        "its own words tell why",
        pattern=r"Command '.*' exited with status (?P<code>-?\d+)",
    ),
    Failure(
        "the command that gives the archive's content failed with exit code {code}; no archive was made",
        "its own words tell why",
        pattern=r"^cloudbackup: the content ended with exit code (?P<code>\d+)",
    ),
    Failure(
        "none of the paths to back up exists on the host",
        "correct `files: paths` of the app",
        pattern=r"^cloudbackup: none of the paths exists",
    ),
    Failure(
        "none of the paths to back up can be read on the host: {reason}",
        "give the login there the right to read them, or look at their disk",
        pattern=r"^cloudbackup: none of the paths can be read: (?P<reason>.+)",
    ),
    Failure(
        "a pattern in the app's file cannot be read on the host, whose Python may be older: {reason}",
        "write it otherwise: `inv app.check` reads it too",
        pattern=r"^cloudbackup: patterns: (?P<reason>files\.(?:patterns|exclude): .+)",
    ),
    Failure(
        "a file of patterns on the host is not as borg reads it: {reason}",
        "correct it there, or take it out of `files.patterns_from`; `inv app.check` reads it too",
        pattern=r"^cloudbackup: patterns: (?P<reason>.+)",
    ),
    Failure(
        "{name} is not installed on the host",
        "install it there: `apt install borgbackup python3`",
        pattern=r"^(?:\S*bash|main): (?:line \d+: )?(?P<name>borg|python3|awk): command not found",
    ),
    Failure(
        "borg is there and cannot start: the Python that it runs on is missing on the host",
        "install it there: `apt install borgbackup python3`",
        pattern=r"/borg: (?:cannot execute: required file not found|.*bad interpreter)",
    ),
    # Space
    Failure(
        "the storage is full",
        FULL_REMEDY,
        pattern=r"\[Errno (?:69|122)\]|Dis[ck] quota exceeded",
    ),
    Failure(
        "the storage has too little free space to finish", FULL_REMEDY, msgid="Repository.InsufficientFreeSpaceError"
    ),
    Failure(
        "the repository's own storage quota is used up",
        "prune and compact, or raise `storage_quota` in the repository's config",
        msgid="Repository.StorageQuotaExceeded",
    ),
    Failure(
        "the disk with borg's cache is full on the machine where borg runs",
        "make room there: borg's cache lies in ~/.cache/borg",
        # A traceback through borg's cache that never reaches the repository.
        pattern=r"(?s)\A(?!.*/repository\.py)(?=.*\[Errno 28\]).*/cache\.py",
    ),
    Failure(
        "a file system is read-only: {path} cannot be written",
        "below ~/.cache or ~/.config it is the host's, otherwise the storage's: a disk that had errors is mounted so, "
        "and a sub-account of a Storage Box may be (`inv storagebox.accounts`)",
        pattern=r"Read-only file system: b?'(?P<path>[^']+)'",
    ),
    Failure("the storage is full", FULL_REMEDY, pattern=r"\[Errno 28\]|No space left on device"),
    Failure("no room for temporary files where borg runs", FULL_REMEDY, pattern=r"No usable temporary directory"),
    # The connection to the storage
    Failure(
        "the storage's host key is not the pinned one",
        "if the server was not replaced, somebody may stand in between: compare the fingerprint before you change "
        "`host_key` of the storage",
        pattern=r"Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED|No \w+ host key is known for",
    ),
    Failure(
        "the private key {path} may be read by others (mode {mode}), so ssh refuses it",
        "`chmod 600` that file on the machine where borg runs",
        pattern=r"Permissions (?P<mode>[0-7]{3,5}) for '(?P<path>[^'\n]+)' are too open",
    ),
    Failure(
        "the storage refuses the key",
        "the account needs this public key in its own .ssh/authorized_keys: `inv storagebox.setup` puts it there; "
        "and a Storage Box needs SSH support: `inv storagebox.access --ssh on`",
        pattern=r"Permission denied \((?:publickey|password|keyboard)[^)]*\)|Too many authentication failures|"
        r"no such identity",
    ),
    Failure(
        "the storage's name cannot be resolved",
        STORAGE.unknown_name,
        pattern=r"Could not resolve hostname (?P<host>\S+)",
        transient=True,
    ),
    Failure(
        "the storage refuses connections",
        STORAGE.refused,
        pattern=r"connect to host \S+ port \d+: Connection refused",
        transient=True,
    ),
    Failure(
        "the storage cannot be reached: {reason}",
        "look at the network of the machine where borg runs; a Storage Box must be reachable from outside: "
        "`inv storagebox.access --external on`",
        pattern=r"connect to host \S+ port \d+: (?!Connection reset)(?P<reason>[^\n\r]+)",
        transient=True,
    ),
    Failure(
        "the storage dropped the connection before the login",
        STORAGE.dropped,
        pattern=r"kex_exchange_identification|Connection (?:closed|reset) by \S+ port \d+|MaxStartups"
        r"|connect to host \S+ port \d+: Connection reset",
        transient=True,
    ),
    Failure(
        "the storage does not answer: the connection stands, and nothing comes",
        "look at the network between the machine where borg runs and the storage; then run it again",
        pattern=r"Timeout, server \S+ not responding|timed out during banner exchange",
        transient=True,
    ),
    Failure(
        "the storage's shell does not know the borg that was asked for",
        "`borg` of the storage must be a name that the server offers: borg-1.2 or borg-1.4 on a Storage Box",
        msgid="UnexpectedRPCDataFormatFromServer",
        pattern=r"Command not found",
    ),
    Failure(
        "the storage's login prints something before borg speaks",
        "the account's shell start files must print nothing",
        msgid="UnexpectedRPCDataFormatFromServer",
    ),
    Failure(
        "borg is not installed on the storage, or not by the name `{name}`",
        "install it there, or correct `borg` of the storage",
        pattern=r"Remote: .*?(?P<name>[\w./-]+): (?:command )?not found",
    ),
    Failure(
        "the storage lets this key reach another repository only ({path} is not allowed)",
        "the forced command of the key in authorized_keys must name this repository: `inv storagebox.setup` writes it",
        msgid="PathNotAllowed",
        pattern=r"not allowed: (?P<path>.+)",
    ),
    Failure("borg on the storage is too old", "set `borg: borg-1.4` for the storage", msgid="RPCServerOutdated"),
    Failure(
        "this key may only append: the storage refuses to remove or repair",
        "run it with the operator's key, on the operator's side",
        pattern=r"is in append-only mode|append-only mode",
    ),
    # Locks
    Failure(
        "another borg uses the cache of this repository on the same machine",
        "wait for it to end",
        msgid="LockTimeout",
        pattern=r"\.cache/borg/",
    ),
    Failure("the repository is locked ({path})", RUNS_ELSEWHERE, msgid="LockTimeout", pattern=r"lock (?P<path>\S+)"),
    Failure(
        "the lock of the repository cannot be made: {reason}",
        "the account must be able to write there",
        msgid="LockFailed",
        pattern=r"lock \S+ \((?P<reason>.*)\)",
    ),
    Failure(
        "the repository's lock was broken by somebody else while borg was at work",
        "look who runs borg on this repository; then run it again",
        pattern=r"was/is locked, but not by me|was not locked",
    ),
    # The repository
    Failure(
        "the passphrase is wrong",
        "`passphrase` of the app must give the one that the repository was made with; one made without any, by another "
        "tool, needs one first: `borg key change-passphrase`. If it is the right one, somebody may have changed the "
        "repository's key: compare with the escrow copy",
        pattern=r"(?i)passphrase supplied in .* is incorrect",
    ),
    Failure("no passphrase reached borg", "give the app a `passphrase`", msgid="NoPassphraseFailure"),
    Failure(
        "the repository's manifest cannot be read: somebody overwrote it, or a newer borg wrote it",
        "unless you use a newer borg there, look who has access; `inv borg.rollback --app {app}` brings the one before "
        "back",
        pattern=r"Unsupported payload type|Unsupported manifest envelope",
    ),
    Failure(
        "the repository was made by a newer borg",
        "use the same series on both ends: `borg: borg-1.4` for the storage, borg 1.4 on the host",
        pattern=r"is not supported by this borg version|newer version (?:of Borg )?is (?:required|needed)|"
        r"Unsupported repository (?:feature|version)",
    ),
    Failure(
        "there is no repository at {url}",
        "`inv borg.init --app {app}` makes it",
        msgid="Repository.DoesNotExist",
        pattern=r"Repository (?P<url>.+) does not exist",
    ),
    Failure(
        "there is no repository yet, and not even its folder ({path})",
        "`inv borg.init --app {app}` makes both",
        msgid="Repository.ParentPathDoesNotExist",
        pattern=r"\[(?P<path>.+)\]",
    ),
    Failure(
        "what lies at {url} is no Borg repository",
        "look what it is; `directory` of the storage may be wrong",
        pattern=r"(?P<url>.+) is not a valid repository|There is already something at (?P<other>.+)\.|"
        r"(?P<third>.+) does not have a valid configuration",
    ),
    Failure(
        "there is already a repository at {url}",
        "choose another name or folder",
        msgid="Repository.AlreadyExists",
        pattern=r"already exists at (?P<url>.+)\.",
    ),
    Failure(
        "borg may not read or write the repository's folder ({path})",
        "give the account that borg runs as its rights back",
        msgid="Repository.PathPermissionDenied",
        pattern=r"denied to (?P<path>.+)\.",
    ),
    Failure(
        "the repository is older than what this machine saw last: rolled back, restored from a snapshot, or replaced",
        "if that was you: `inv borg.confirm-address --app {app}` compares it with the records and makes borg forget "
        "the newer state; if not, look at the repository before you write to it",
        pattern=r"newer than repository",
    ),
    Failure(
        "the repository's encryption changed since this machine last saw it",
        "this may be an attack: look at the repository before you write to it",
        msgid="Cache.EncryptionMethodMismatch",
    ),
    Failure(
        "the repository was at another address when this machine last saw it",
        "if you moved it: `inv borg.confirm-address --app {app}` compares it with the records and confirms the new "
        "address",
        msgid="BORG_RELOCATED_REPO_ACCESS_IS_OK",
    ),
    Failure(
        "the repository is not encrypted, and this machine never saw it before",
        "look at it by hand before you trust it",
        msgid="BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK",
    ),
    Failure(
        "the repository's key is in a key file, and none for it is in {place}",
        "copy it there, with mode 600, from ~/.config/borg/keys of who made the repository: its first line ends in the "
        "repository's id; each host that saves needs it in ~/.config/borg/keys of who runs borg there",
        pattern=r"No key file for repository .* found in (?P<place>[^\n]+?)\.?(?:\n|$)",
    ),
    Failure(
        "the key inside the repository is missing or damaged",
        "bring it back from the escrow folder: `borg key import`, as `Restore in an emergency` in the README shows; "
        "then look who wrote there",
        pattern=r"No key entry found|Invalid key data|in (?:decrypt_key_file|_load)\n",
    ),
    Failure(
        "the repository is damaged",
        "run `inv borg.check --app {app}` and keep a copy of it before you repair anything",
        pattern=r"Inconsistency detected|Data integrity error|IntegrityError|failed integrity check|"
        r"Object with key \S+ not found|missing from chunks index|Repository has no manifest",
    ),
    # Archives
    Failure(
        "the archive {name} is there already",
        "wait a second: names carry the time",
        pattern=r"Archive (?P<name>\S+) already exists",
        transient=True,  # because of another operator who started in the same second
    ),
    Failure(
        "there is no archive {name}",
        "`inv borg.list --app {app}` shows those there are",
        pattern=r"Archive (?P<name>\S+) does not exist",
    ),
    Failure(
        "the archive holds nothing by the name {name}",
        "names in an archive are paths without the leading slash: see `inv borg.list --app {app}`",
        pattern=r"Include pattern '(?P<name>.*)' never matched",
    ),
    Failure(
        "borg cannot mount here: it has no FUSE support",
        "install it, e.g. `apt install python3-pyfuse3 fuse3`; without it: "
        "`inv borg.extract --app {app} --archive NAME --target FOLDER`",
        pattern=r"no FUSE support|FUSE support.*not (?:available|installed)|fusermount3?: (?:command )?not found",
    ),
    Failure(
        "borg did not get the memory that it needs where it runs",
        MORE_MEMORY,
        pattern=r"\bMemoryError\b|Cannot allocate memory",
    ),
    Failure(
        "borg was killed on the host",
        NO_MEMORY,
        pattern=r"line \d+: +\d+ Killed +(?:borg|python3 -I -S -c 'import os)|^ *\d+ Killed +\| borg ",
    ),
    # Consequences of the above
    Failure("borg was asked to end", "", pattern=r"Received SIGTERM|Got Ctrl-C|Received SIGHUP"),
)

LOST = Explanation(
    "the connection to the storage was lost", "run it again: what was already saved is not sent twice", transient=True
)
_LOST = re.compile(
    r"Connection closed by remote host|Connection to remote host is broken|Connection reset by peer"
    r'|remote\.py", line \d+, in write\n(?s:.*)\nBrokenPipeError'  # borg 1.2.4 reports it as a traceback
)


def explain_lost(messages: Sequence[Message], ask: Callable[[], Sequence[Message]]) -> Explanation | None:
    """Return why the connection was lost; None if it was not. `ask` returns the messages of a fresh ssh connection."""
    if not any(_LOST.search(message.text) for message in messages):
        return None
    return explain(ask()) or LOST


def explain(messages: Sequence[Message]) -> Explanation | None:
    """Return the explanation of the first row that matches a failed run; None if none does."""
    serious = [message for message in messages if message.level is not Level.INFO]
    for failure in FAILURES:
        for message in serious:
            if failure.msgid and message.msgid != failure.msgid:
                continue
            if found := re.search(failure.pattern, message.text):
                return Explanation(failure.what.format(**_groups(found)), failure.remedy, failure.transient)
    return None


def explain_code(code: int) -> Explanation | None:
    """Return what an exit code alone says about a failed run that printed nothing; None if that is nothing."""
    return Explanation("borg was killed on the host", NO_MEMORY) if code in KILLED else None


def _groups(found: re.Match[str]) -> dict[str, str]:
    groups = {name: text.strip() for name, text in found.groupdict().items() if text is not None}
    alternatives = [groups[name] for name in ("url", "other", "third") if name in groups]
    return {**groups, "url": alternatives[0]} if alternatives else groups
