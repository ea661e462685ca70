"""An OpenLDAP database is saved under writes, loaded into a folder of its own in a drill, and put back while slapd is stopped."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import packages
from tasks.sources.dumps.ldap import LDAP
from tests.integration.dumps.conftest import MakeShop
from tests.integration.fleet.support import Operator

SUFFIX = "dc=example,dc=org"
TOOLS = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
ADMIN = f"cn=admin,{SUFFIX}"
CONFIG = """\
dn: cn=config
objectClass: olcGlobal
cn: config

dn: cn=module{{0}},cn=config
objectClass: olcModuleList
cn: module{{0}}
olcModulePath: /usr/lib/ldap
olcModuleLoad: {{0}}back_mdb
olcModuleLoad: {{1}}memberof

dn: cn=schema,cn=config
objectClass: olcSchemaConfig
cn: schema

include: file:///etc/ldap/schema/core.ldif
include: file:///etc/ldap/schema/cosine.ldif
include: file:///etc/ldap/schema/inetorgperson.ldif

dn: cn=shop,cn=schema,cn=config
objectClass: olcSchemaConfig
cn: shop
olcAttributeTypes: ( 1.3.6.1.4.1.99999.1 NAME 'shopCard' SUP name )
olcObjectClasses: ( 1.3.6.1.4.1.99999.2 NAME 'shopUser' SUP top AUXILIARY MAY shopCard )

dn: olcDatabase={{1}}mdb,cn=config
objectClass: olcDatabaseConfig
objectClass: olcMdbConfig
olcDatabase: {{1}}mdb
olcSuffix: {suffix}
olcDbDirectory: {folder}/data
olcDbNoSync: TRUE
olcRootDN: {admin}
olcRootPW: pw

dn: olcOverlay=memberof,olcDatabase={{1}}mdb,cn=config
objectClass: olcOverlayConfig
objectClass: olcMemberOf
olcOverlay: memberof
"""


class Server:
    """A server in a folder of its own, which only its socket reaches."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.config = folder, folder / "config"
        self.address = f"ldapi://{str(folder / 's').replace('/', '%2F')}"
        self.process: subprocess.Popen[bytes] | None = None
        for each in (self.config, folder / "data"):
            each.mkdir()
        text = CONFIG.format(suffix=SUFFIX, folder=folder, admin=ADMIN)
        words = [str(packages.find("slapadd")), "-n", "0", "-F", str(self.config)]
        subprocess.run(words, input=text, text=True, check=True, capture_output=True)

    def start(self) -> None:
        words = [str(packages.find("slapd")), "-F", str(self.config), "-h", self.address, "-d", "0"]
        self.process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not self.found("(objectClass=*)", base="", scope="base"):
            assert self.process.poll() is None
            time.sleep(0.05)

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
            self.process = None

    def change(self, tool: str, text: str) -> None:
        words = [tool, "-H", self.address, "-x", "-D", ADMIN, "-w", "pw"]
        subprocess.run(words, input=text, text=True, check=True, capture_output=True)

    def found(self, wanted: str, base: str = SUFFIX, scope: str = "sub") -> list[str]:
        words = ["ldapsearch", "-H", self.address, "-x", "-LLL", "-o", "ldif-wrap=no", "-b", base, "-s", scope]
        done = subprocess.run([*words, wanted, "1.1", "shopCard"], capture_output=True, text=True, check=False)
        return [line for line in done.stdout.splitlines() if line.startswith(("dn:", "shopCard:"))]


def person(number: int) -> str:
    return (
        f"dn: cn=user {number},{SUFFIX}\nobjectClass: inetOrgPerson\nobjectClass: shopUser\ncn: user {number}\n"
        f"sn: Äé {number}\nshopCard: card {number}\ndescription: {'long ' * 40}\n\n"
    )


@pytest.fixture
def server() -> Iterator[Server]:
    folder = Path(tempfile.mkdtemp(prefix="ld-", dir="/var/tmp"))
    server = Server(folder)
    try:
        server.start()
        server.change(
            "ldapadd", f"dn: {SUFFIX}\nobjectClass: domain\ndc: example\n\n" + "".join(map(person, range(300)))
        )
        group = f"dn: cn=staff,{SUFFIX}\nobjectClass: groupOfNames\ncn: staff\nmember: cn=user 7,{SUFFIX}\n"
        server.change("ldapadd", group)
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


@pytest.fixture
def shop(make_shop: MakeShop, server: Server) -> Operator:
    filters = ["(shopCard=card 299)", f"(memberOf=cn=staff,{SUFFIX})"]
    return make_shop(users={"ldap": {"suffix": SUFFIX, "config": str(server.config), "verify": filters}})


def test_a_directory_is_saved_proven_and_put_back(shop: Operator, server: Server, tmp_path: Path) -> None:
    assert "users: OpenLDAP begins to write" in shop.done("app.check", "--app", "shop")
    shop.done("backup", "--app", "shop")
    said = shop.done("verify", "--app", "shop", "--scratch", str(tmp_path))
    assert "slapadd restored 302 entries, 2 filters found entries" in said
    assert "judged behind walls" in said
    assert shop.report()["shop", "users"]["proven"]
    before = server.found("(objectClass=*)")
    server.change("ldapdelete", f"cn=user 9,{SUFFIX}\n")
    end = shop.inv("restore", "--app", "shop", "--yes")
    assert (end.returncode, "slapd runs (process" in end.stdout) == (4, True), end.stdout
    server.stop()
    owner = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else os.geteuid()
    os.chown(server.folder / "data" / "data.mdb", owner, -1)
    said = shop.done("restore", "--app", "shop", "--yes")
    assert f"what was there is in {server.folder}/data/before-" in said
    assert (server.folder / "data" / "data.mdb").stat().st_uid == owner
    server.start()
    assert server.found("(objectClass=*)") == before
    server.stop()

    (archive,) = shop.archives("shop")
    lines = [
        'borg extract --stdout "::$ARCHIVE" > users.ldif',
        'slapadd -F "$CONFIG" -b dc=example,dc=org -l users.ldif',
    ]
    documented = (Path(__file__).parents[3] / "docs" / "sources.md").read_text()
    assert all(f"    {line}\n" in documented for line in lines)
    (server.folder / "data" / "data.mdb").unlink()
    environment = {
        "BORG_REPO": str(tmp_path / "storage" / "shop"),
        "BORG_PASSPHRASE": "a passphrase",
        "BORG_BASE_DIR": str(tmp_path / "stock"),
        "ARCHIVE": archive,
        "CONFIG": str(server.config),
        "PATH": f"{shop.environment()['PATH']}:/usr/sbin",
    }
    subprocess.run(
        ["bash", "-ec", "\n".join(lines)], cwd=tmp_path, check=True, capture_output=True,
        env={**shop.environment(), **environment},
    )  # fmt: skip
    server.start()
    assert server.found("(objectClass=*)") == before


def test_what_is_cut_leaves_no_archive_and_what_is_damaged_is_neither_proven_nor_put_back(
    shop: Operator, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = packages.find("slapcat")
    tools = tmp_path / "tools"
    tools.mkdir()
    harmed = tools / "slapcat"
    monkeypatch.setenv("PATH", str(tools), prepend=":")

    def harm(how: str) -> None:
        harmed.write_text(
            f'#!/bin/bash\nset -o pipefail\ncase "$*" in *-b*) {real} "$@" {how};; *) exec {real} "$@"; esac\n'
        )
        harmed.chmod(0o755)

    for how in ("| head -c 9000; exit 1", "| head -c 9000; kill -9 $PPID"):
        harm(how)
        end = shop.inv("backup", "--app", "shop")
        assert (end.returncode, shop.archives("shop")) == (4, []), end.stdout
    harm("| sed 's/^shopCard/shopCrad/'")
    shop.done("backup", "--app", "shop")
    harmed.unlink()
    end = shop.inv("verify", "--app", "shop", "--scratch", str(tmp_path))
    assert (end.returncode, "shopCrad" in end.stdout) == (4, True), end.stdout
    before = server.found("(objectClass=*)")
    server.stop()
    end = shop.inv("restore", "--app", "shop", "--yes")
    assert (end.returncode, "shopCrad" in end.stdout, "nothing was changed" in end.stdout) == (4, True, True), (
        end.stdout
    )
    assert [each.name for each in (server.folder / "data").iterdir()] == ["data.mdb"]
    server.start()
    assert server.found("(objectClass=*)") == before

    def another(app: dict[str, Any]) -> None:
        app["dumps"]["users"]["ldap"]["suffix"] = "dc=other"

    shop.change("apps/shop.yml", another)
    end = shop.inv("backup", "--app", "shop")
    assert (end.returncode, 'no backend for "dc=other"' in end.stdout) == (4, True), end.stdout


def test_a_slapd_conf_with_two_databases(tmp_path: Path) -> None:
    """Each dump is of its suffix alone, with operational attributes, and loads where the entries are gone."""
    text = "include /etc/ldap/schema/core.schema\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\n"
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        text += f'database mdb\nsuffix "dc={name}"\ndirectory {tmp_path / name}\n'
    config = tmp_path / "slapd.conf"
    config.write_text(text)
    own = "entryUUID: 11111111-1111-1111-1111-111111111111\ncreateTimestamp: 20200101000000Z\n"
    for name in ("one", "two"):
        entry = f"dn: dc={name}\nobjectClass: dcObject\nobjectClass: organization\no: {name}\ndc: {name}\n{own}"
        words = ["slapadd", "-f", str(config), "-b", f"dc={name}"]
        subprocess.run(words, input=entry, text=True, check=True, capture_output=True, env=TOOLS)
    product = LDAP(suffix="dc=two", config=str(config))
    dumped = subprocess.run(product.dump(), capture_output=True, text=True, check=True, env=TOOLS).stdout
    assert (dumped.count("\ndn: "), "\ndn: dc=two\n" in dumped, own.splitlines()[0] in dumped) == (1, True, True)
    assert "# cloudbackup config: cn: {0}core\n" in dumped
    loaded = subprocess.run(product.load(), input=dumped, capture_output=True, text=True, check=False, env=TOOLS)
    assert loaded.returncode == 0, loaded.stderr
    again = subprocess.run(product.dump(), capture_output=True, text=True, check=True, env=TOOLS).stdout
    entries = [text.partition("\ndn: ")[2] for text in (dumped, again)]
    assert entries[0] == entries[1] != ""
    assert not list(Path("/var/tmp").glob("cloudbackup-ldap-*"))
