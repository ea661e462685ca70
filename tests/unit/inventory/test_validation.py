"""What is wrong with an inventory: one line each, with file, line and key, and never a secret."""

import traceback
from pathlib import Path

import pytest

from tasks.inventory.errors import InventoryError, NoInventoryError
from tasks.inventory.models import AppFile
from tasks.storage.registry import load
from tests.unit.inventory.support import APP, HOST_KEY, MAIN, faults, write

SECRET_FORM = "a secret is written as {env: NAME}, {file: PATH} or {command: WORDS}"
NAME_RULE = "a name begins with a-z or 0-9, and has only a-z, 0-9, `_`, `.`, `-` after that, no two dots in a row"
APP_KEYS = ", ".join(AppFile.model_fields)
QUOTE = "a text that begins with * & ! % @ ` { [ or holds `: ` or ` #` stands in quotes"

# an app's file -> each fault as `line: key: text`
PORT_BELOW = "write [user@]host here, and `ssh: {port: 22}` below"
APP_CASES = {
    # keys
    APP + "hots: shop\n": ["3: hots: is unknown here; did you mean host?"],
    APP + "exclude: [x]\n": ["3: exclude: belongs under `files`"],
    APP + "qqq: 1\n": [
        f"3: qqq: is unknown here; known: {APP_KEYS}",
    ],
    "passphrase: {env: X}\nfiles:\n  paths: [/srv]\n  exlude: [x]\n": [
        "4: files.exlude: is unknown here; did you mean exclude?"
    ],
    APP + "host: a\nhost: b\n": ["4: host: is there twice, first in line 3"],
    APP + "host:\n": ["3: host: is empty: write a value, or take the line out"],
    APP + "[a]: b\n": [f"3: a key must be a plain word: {QUOTE}"],
    APP + "on: push\n": [
        f"3: on: is unknown here; known: {APP_KEYS}",
    ],
    "passphrase: {evn: X}\nfiles: {paths: [/srv]}\n": [f"1: passphrase: {SECRET_FORM}; did you mean env?"],
    # what must be there
    "files: {paths: [/srv]}\n": ["1: passphrase: is missing"],
    "passphrase: {env: X}\n": ["1: has nothing to back up: give `files`, `mariadb` or `dumps`"],
    "passphrase: {env: X}\nfiles: {}\n": ["2: files.paths: is missing"],
    "passphrase: {env: X}\nfiles: {paths: []}\n": ["2: files.paths: must not be empty"],
    # types
    APP + "ssh: {port: '22'}\n": ["3: ssh.port: must be a whole number"],
    APP + "ssh: {port: 0}\n": ["3: ssh.port: must be at least 1"],
    APP + "ssh: {port: 65536}\n": ["3: ssh.port: must be at most 65535"],
    APP + "ssh: {port: 1.5}\n": ["3: ssh.port: must be a whole number"],
    APP + "ssh: root\n": ["3: ssh: must hold `key: value` lines"],
    APP + "mariadb: {binlog: yes}\n": ["3: mariadb.binlog: must be true or false"],
    APP + "mariadb: {user: 123}\n": ["3: mariadb.user: must be text: put quotes around it"],
    "passphrase: {env: X}\nfiles: {paths: /srv}\n": ["2: files.paths: must be a list"],
    APP + "storage_key: hots\n": ["3: storage_key: must be 'host' or 'agent'"],
    # hosts
    APP + "host: -oProxyCommand=x\n": ["3: host: must be `local` or [user@]host as in ssh, without spaces and quotes"],
    APP + "host: root@-x\n": ["3: host: must be `local` or [user@]host as in ssh, without spaces and quotes"],
    APP + "host: two words\n": ["3: host: must be `local` or [user@]host as in ssh, without spaces and quotes"],
    APP + 'host: "a\\nb"\n': ["3: host: must be `local` or [user@]host as in ssh, without spaces and quotes"],
    APP + "host: $(id)\n": ["3: host: must be `local` or [user@]host as in ssh, without spaces and quotes"],
    APP + "host: root@shop:2222\n": [f"3: host: has no place for a port: {PORT_BELOW}"],
    APP + "host: root@[::1]:2222\n": [f"3: host: has no place for a port: {PORT_BELOW}"],
    APP + "host: ssh://root@shop\n": [f"3: host: has no place for a port: {PORT_BELOW}"],
    APP + "host: root@[::1]x\n": [
        "3: host: has brackets that are not around all of an IPv6 address, as in [2001:db8::1]"
    ],
    # as whom, and how fast
    APP + "host: deploy@a\nbecome: su\n": [
        "4: become: is written as sudo, doas, or {sudo: {user: root, password: {command: ...}}}"
    ],
    APP + "host: deploy@a\nbecome: {sudo: {password: geheim}}\n": [f"4: become.sudo.password: {SECRET_FORM}"],
    APP + "host: deploy@a\nbecome: {doas: {password: {env: X}}}\n": ["4: become.doas.password: " + SECRET_FORM],
    APP + "host: deploy@a\nbecome: {sudo: {}, doas: {}}\n": [
        "4: become: is written as sudo, doas, or {sudo: {user: root, password: {command: ...}}}"
    ],
    APP + "host: deploy@a\nbecome: {sudo: {user: -x}}\n": ["4: become.sudo.user: must be an account's name"],
    APP + "host: local\nbecome: sudo\n": [
        "4: become: is for a host behind SSH: run inv itself as that user, or write `host: USER@localhost`"
    ],
    APP + "host: deploy@a\nstorage_key: agent\nbecome: {sudo: {user: app}}\n": [
        "5: become: to another user than root does not reach the key of `storage_key: agent`: use `host`"
    ],
    APP + "upload: 20\n": ["3: upload: must be a rate: 500kB/s, 20MB/s, or none for as fast as it goes"],
    APP + "upload: {limit: 20MB/s, 8-18: 5MB/s}\n": [
        (
            '3: upload: must be a rate such as 20MB/s, or {limit: 20MB/s, "08:00-18:00": 5MB/s}; hours are written as '
            "08:00-18:00, in quotes"
        )
    ],
    APP + 'upload: {"08:00-18:00": 5MB/s, "17:00-19:00": 6MB/s}\n': [
        "3: upload: has two limits for one time: 17:00-19:00 overlaps with hours before it"
    ],
    # paths and patterns
    "passphrase: {env: X}\nfiles:\n  paths:\n  - /srv\n  - srv\n": [
        "5: files.paths[1]: must be an absolute path: it begins with /"
    ],
    "passphrase: {env: X}\nfiles: {paths: [-rf]}\n": ["2: files.paths[0]: must be an absolute path: it begins with /"],
    'passphrase: {env: X}\nfiles: {paths: ["/srv\\n/etc"]}\n': [
        "2: files.paths[0]: must be one line of text, not empty"
    ],
    'passphrase: {env: X}\nfiles: {paths: ["/srv\\0"]}\n': ["2: files.paths[0]: must be one line of text, not empty"],
    "passphrase: {env: X}\nfiles: {paths: [/srv/../etc]}\n": ["2: files.paths[0]: must not hold `..`"],
    "passphrase: {env: X}\nfiles: {paths: [/srv], exclude: ['!keep', '+ x', -x]}\n": [
        f"2: files.exclude[{at}]: begins with {text[0]}, which borg takes for a part of a name here: every pattern under "
        f"`exclude` leaves out, none takes back in (those under `patterns` can); take it away, or for a name that begins "
        f"so write sh:**/{text}"
        for at, text in enumerate(("!keep", "+ x", "-x"))
    ],
    "passphrase: {env: X}\nfiles: {paths: [/srv], exclude: ['re:^/srv/x', 're:\\A/srv', 'xx:/srv', 're:(']}\n": [
        "2: files.exclude[0]: never matches: borg compares paths without their first slash, so write re:^ and no / after it",
        "2: files.exclude[1]: never matches: borg compares paths without their first slash, so write re:^ and no / after it",
        "2: files.exclude[2]: has the style xx:, which borg does not know: one of fm, sh, re, pp, pf",
        "2: files.exclude[3]: has a regular expression that cannot be read: missing ), unterminated subpattern at position 0",
    ],
    "passphrase: {env: X}\nfiles:\n  paths: [/srv]\n  patterns:\n  - + /srv/a\n  - /srv/b\n  - R /srv\n  - P re\n  - '-'\n"
    "  - '- xx:/srv'\n  - '! re:('\n  - - /srv/c\n": [
        "6: files.patterns[1]: must begin with +, - or !, and be in quotes: '- /srv/b'",
        "7: files.patterns[2]: names a root: name it under `paths`",
        "8: files.patterns[3]: sets the style of those after it: here each names its own, as in '- re:[.]tmp$'",
        "9: files.patterns[4]: has no pattern after -",
        "10: files.patterns[5]: has the style xx:, which borg does not know: one of fm, sh, re, pp, pf",
        "11: files.patterns[6]: has a regular expression that cannot be read: missing ), unterminated subpattern at position 0",
        "12: files.patterns[7]: is a list in YAML: put quotes around it, '- /srv/shop/cache'",
    ],
    "passphrase: {env: X}\nfiles: {paths: [/srv], exclude_if_present: [a/b, ..], patterns_from: [p], nodump: 1}\n": [
        "2: files.exclude_if_present[0]: must be the name of a file, without a folder",
        "2: files.exclude_if_present[1]: must be the name of a file, without a folder",
        "2: files.nodump: must be true or false",
        "2: files.patterns_from[0]: must be an absolute path: it begins with /",
    ],
    "passphrase: {env: X}\nfiles: {paths: [/srv], mounts: both, expect: {min_size: 1GiB, min_files: 0, mounted: [x]}}\n": [
        "2: files.expect.min_files: must be at least 1",
        "2: files.expect.min_size: must be a size: 500kB, 20MB, 1.5GB or 2TB",
        "2: files.expect.mounted[0]: must be an absolute path: it begins with /",
        "2: files.mounts: must be 'cross' or 'leave'",
    ],
    "passphrase: {env: X}\nfiles: {paths: [/srv], verify: {sha256: {/srv/a: 12}}}\n": [
        "2: files.verify.sha256: has for /srv/a no SHA-256: 64 of 0-9 and a-f, in quotes, as `sha256sum` shows it"
    ],
    "passphrase: {env: X}\nfiles: {paths: [/srv], verify: {commands: [[ls]]}}\n": [
        "2: files.verify: has commands and no paths: name under paths what they look at"
    ],
    "passphrase: {env: X}\nfiles: {paths: [/srv], verify: {paths: [/srv]}}\n": [
        "2: files.verify: has paths and no commands that look at them"
    ],
    "passphrase: {env: X}\nfiles: {paths: [/srv], mounts: leave, one_file_system: true}\n": [
        "2: files: has mounts and one_file_system, which say the same: keep mounts"
    ],
    APP + "ssh: {key: id_ed25519}\n": ["3: ssh.key: must be an absolute path, or begin with ~/"],
    # durations, retention, compression, chunk size
    APP + "max_age: 26\n": ["3: max_age: must be a whole number and a unit: 30s, 90m, 26h, 2d or 1w"],
    APP + "max_age: 0h\n": ["3: max_age: must be a whole number and a unit: 30s, 90m, 26h, 2d or 1w"],
    APP + "keep: {daily: -1}\n": ["3: keep.daily: must be at least 0"],
    APP + "keep: {daily: 0}\n": ["3: keep: would keep nothing: at least one number must be more than 0"],
    APP + "keep: {within: 90m}\n": ["3: keep.within: must be a whole number of hours, days or weeks: 48h, 2d or 1w"],
    APP + "keep: {dayly: 7}\n": ["3: keep.dayly: is unknown here; did you mean daily?"],
    APP + "compression: gzip\n": [
        "3: compression: must be a compression of borg's: none, lz4, zstd,N, zlib,N, lzma,N, or auto,... of these"
    ],
    APP + "mariadb: {chunk_size: 17KiB}\n": [
        "3: mariadb.chunk_size: must be one of auto, 16KiB, 32KiB, 64KiB, 128KiB, 256KiB, 512KiB, 1024KiB"
    ],
    # commands
    APP + "before: [echo 'x]\n": ["3: before: has a quotation mark or backslash without its end"],
    APP + "mariadb: {stop: a && b}\n": [
        "3: mariadb.stop: runs without a shell: write [bash, -c, '...'] for pipes, `&&` and redirections"
    ],
    APP + "mariadb: {stop: []}\n": ["3: mariadb.stop: must name a command"],
    APP + "mariadb: {stop: ' '}\n": ["3: mariadb.stop: must name a command"],
    APP + "mariadb: {stop: [kill, 9]}\n": [
        "3: mariadb.stop: must be a command: one text, or a list of words in quotes"
    ],
    APP + "mariadb: {socket: /s, port: 3306}\n": [
        "3: mariadb: has socket and host or port: give one way to the server"
    ],
    # keys of hosts
    APP + "ssh: {host_key: ssh-dss AAAA}\n": [
        "3: ssh.host_key: must be one line of type and key, such as `ssh-ed25519 AAAA...`, without host name or comment"
    ],
    APP + f"ssh: {{host_key: {HOST_KEY[:-9]}}}\n": ["3: ssh.host_key: is not whole: its base64 part does not decode"],
    APP + f"ssh: {{host_key: {HOST_KEY.replace('ssh-ed25519', 'ssh-rsa')}}}\n": [
        "3: ssh.host_key: is not a key of type ssh-rsa: copy the whole line again"
    ],
    # references
    APP + "storage: dsik\n": ["3: storage: no storage `dsik`; did you mean disk?"],
    APP + "storage: zzz\n": ["3: storage: no storage `zzz`; known: disk"],
    APP + "storage: Disk\n": [f"3: storage: {NAME_RULE}"],
    # YAML itself
    "": [" is empty"],
    "# a comment alone\n": [" is empty"],
    "- a\n": [" must hold `key: value` lines"],
    "a: 1\n\tb: 2\n": ["2: a tab: YAML wants spaces"],
    APP + "host: [a\n": ["4: is not valid YAML: expected ',' or ']', but got 'stream end' (" + QUOTE + ")"],
    "passphrase: {env: X}\nfiles: {paths: [/srv], exclude: [*/cache/*]}\n": [
        f"2: is read as an anchor or alias: {QUOTE}"
    ],
    APP + "---\na: 1\n": ["3: a second document begins here (`---`): one file holds one"],
    APP + "host: !!binary eA==\n": [f"3: host: has a YAML tag, which means nothing here: {QUOTE}"],
    APP + 'host: "\\ud800"\n': ["3: host: is not valid Unicode"],
    "a: &a [*a]\n": [" is nested too deeply, or holds itself through an alias"],
    "[" * 5000: [" is nested too deeply, or holds itself through an alias"],
}

MAIN_CASES = {
    "storages: {}\n": ["1: storages: must not be empty"],
    "storages:\n  disk: {kind: locale, directory: /b}\n": [
        "2: storages.disk.kind: is no known kind; did you mean local?"
    ],
    "storages:\n  disk:\n    directory: /b\n": [
        "2: storages.disk: lacks `kind`: one of storagebox, ssh, local, s3, sftp"
    ],
    "storages:\n  Disk: {kind: local, directory: /b}\n": [f"2: storages.Disk: {NAME_RULE}"],
    "storages:\n  disk:\n    kind: local\n    directroy: /b\n": [
        "2: storages.disk.directory: is missing",
        "4: storages.disk.directroy: is unknown here; did you mean directory?",
    ],
    "storages:\n  disk: {kind: local, directory: backup}\n": [
        "2: storages.disk.directory: must be an absolute path: it begins with /"
    ],
    "storages:\n  box: {kind: storagebox, user: u1, directory: /backup}\n": [
        "2: storages.box.directory: must be relative to the account's home: no / or ~ or - at its beginning"
    ],
    "storages:\n  box: {kind: storagebox, user: u1, directory: a/../../b}\n": [
        "2: storages.box.directory: must name a folder inside the account's home: no `..`, not empty"
    ],
    "storages:\n  box: {kind: storagebox, user: u1, directory: a b}\n": [
        "2: storages.box.directory: may hold only letters, digits and . _ / - on a Storage Box"
    ],
    "storages:\n  box: {kind: storagebox, user: u1, directory: b, borg: -x}\n": [
        "2: storages.box.borg: must be a program's name or path"
    ],
    MAIN + "defaults: {storage: dsk}\n": ["3: defaults.storage: no storage `dsk`; did you mean disk?"],
    MAIN + "default: {}\n": ["3: default: is unknown here; did you mean defaults?"],
    MAIN + "secrets: {directory: /s, command: x}\n": [
        "3: secrets: is written as {directory: PATH} or {command: WORDS}"
    ],
    MAIN + "secrets: {command: pass insert}\n": ["3: secrets.command: must hold {app}, which becomes the app's name"],
    MAIN + "  spare: {kind: local, directory: /s}\n": [
        "apps/shop.yml:1: storage: is missing, and cloudbackup.yml has no default; known: disk, spare"
    ],
}


@pytest.mark.parametrize(("text", "expected"), APP_CASES.items())
def test_an_app(tmp_path: Path, text: str, expected: list[str]) -> None:
    assert faults(write(tmp_path, shop=text)) == [f"apps/shop.yml:{line}" for line in expected]


@pytest.mark.parametrize(("text", "expected"), MAIN_CASES.items())
def test_cloudbackup_yml(tmp_path: Path, text: str, expected: list[str]) -> None:
    lines = [line if line.startswith("apps/") else f"cloudbackup.yml:{line}" for line in expected]
    assert faults(write(tmp_path, text)) == lines


LITERALS = [
    "passphrase: hunter2\n",
    "passphrase: 'hunter2'\n",
    "passphrase: [hunter2]\n",
    "passphrase: {hunter2: hunter2}\n",
    "passphrase: {env: hunter2!}\n",
    "passphrase: {evn: hunter2}\n",
    "passphrase: {file: hunter2}\n",
    "passphrase: {env: A, file: hunter2}\n",
    'passphrase: {command: "hunter2 \'hunter2"}\n',
    "passphrase: *hunter2\n",
    "passphrase: !hunter2\n",
    "passphrase: !hunter2 x\n",
    "passphrase: !hunter2! x\n",
    "passphrase: !hunter2!x y\n",
    "passphrase: %hunter2\n",
    "passphrase: hunter2: hunter2\n",
    "passphrase: {hunter2: 1, hunter2: 2}\n",
    "passphrase: 'hunter2\n",
    "passphrase: |\n  hunter2\n",
    "passphrase hunter2\n",
    "passphrase=hunter2\n",
    "mariadb: {password: hunter2}\n",
    "mariadb: {password:hunter2}\n",
    "mariadb: {password=hunter2}\n",
    "mariadb: {user: x, pasword: hunter2}\n",
]


@pytest.mark.parametrize("text", LITERALS)
def test_a_literal_secret_is_refused_and_never_shown(tmp_path: Path, text: str) -> None:
    found = faults(write(tmp_path, shop="files: {paths: [/srv]}\n" + text))

    assert found
    assert not [line for line in found if "hunter2" in line]


def test_a_literal_secret_is_told_with_file_and_line(tmp_path: Path) -> None:
    text = "files: {paths: [/srv]}\npassphrase: hunter2\nmariadb:\n  password: 12345\n"

    assert faults(write(tmp_path, shop=text)) == [
        f"apps/shop.yml:2: passphrase: {SECRET_FORM}",
        f"apps/shop.yml:4: mariadb.password: {SECRET_FORM}",
    ]


def test_the_error_itself_and_its_causes_hold_no_secret(tmp_path: Path) -> None:
    folder = write(tmp_path, shop="passphrase: hunter2\nfiles: {paths: [/srv]}\n")

    with pytest.raises(InventoryError) as caught:
        load(folder)

    assert "hunter2" not in "".join(traceback.format_exception(caught.value))
    assert caught.value.exit_code == 2


def test_all_faults_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    write(tmp_path, MAIN + "escrow: keys\n", shop=APP + "hots: a\nhost: b\nhost: c\nmax_age: 1\n", blog="a: [\n")
    (tmp_path / "apps" / "Wiki.yml").write_text("passphrase: x\nhost: local\n")

    assert [line.split(": ")[0] for line in faults(tmp_path)] == [
        "apps/Wiki.yml",
        "apps/Wiki.yml:1",
        "apps/blog.yml:2",
        "apps/shop.yml:3",
        "apps/shop.yml:5",
        "apps/shop.yml:6",
        "cloudbackup.yml:3",
    ]


def test_a_fault_of_the_defaults_is_told_once(tmp_path: Path) -> None:
    write(tmp_path, MAIN + "defaults: {storage: dsk}\n", shop=APP, blog=APP)

    assert len(faults(tmp_path)) == 1


@pytest.mark.parametrize("name", ["Shop", "two words", "-x", "$(id)", "a..b", "a\nb", "it's", "x" * 65, "records"])
def test_a_name_that_no_app_may_have(tmp_path: Path, name: str) -> None:
    write(tmp_path)
    (tmp_path / "apps" / f"{name}.yml").write_text(APP + "host: local\n")

    (fault,) = faults(tmp_path)

    assert fault.startswith(f"apps/{name}.yml: the file's name is the app's name: ")


def test_the_first_contact_is_one_sentence(tmp_path: Path) -> None:
    for folder in (tmp_path / "gone", tmp_path):
        with pytest.raises(NoInventoryError) as caught:
            load(folder)
        assert caught.value.what == f"there is no inventory in {folder} yet"
        assert caught.value.remedy.startswith("`inv init` makes a first one; ")
    (tmp_path / "apps").mkdir()
    with pytest.raises(NoInventoryError):
        load(tmp_path)


def test_what_is_missing_of_a_begun_inventory_is_named(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "cloudbackup.yml").unlink()
    assert faults(tmp_path) == ["cloudbackup.yml: does not exist: `inv init` makes a first one"]


def test_the_other_ending_is_named(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "cloudbackup.yml").rename(tmp_path / "cloudbackup.yaml")
    (tmp_path / "apps" / "shop.yml").rename(tmp_path / "apps" / "shop.yaml")

    assert faults(tmp_path) == [
        "apps/shop.yaml: is not read: name it shop.yml",
        "cloudbackup.yaml: is not read: name it cloudbackup.yml",
    ]


def test_files_that_are_no_text(tmp_path: Path) -> None:
    write(tmp_path, shop=b"host: a\nhost: \xe4\n", blog=b"host: a\nb: \x00\n", wiki=b"x" * 1_000_001)
    (tmp_path / "apps" / "folder.yml").mkdir()
    (tmp_path / "apps" / "link.yml").symlink_to("nowhere")

    assert faults(tmp_path) == [
        "apps/blog.yml:2: holds a character that YAML does not allow",
        "apps/folder.yml: cannot be read: Is a directory",
        "apps/link.yml: does not exist",
        "apps/shop.yml:2: is not UTF-8 here: save the file in that encoding",
        "apps/wiki.yml: is larger than 1 MB: this is not an inventory file",
    ]


def test_a_home_that_is_not_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", lambda _uid: (_ for _ in ()).throw(KeyError()))

    assert all("no home is known" in line for line in faults(write(tmp_path)))
