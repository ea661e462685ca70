"""Loads a dump of slapd into a folder of its own by slapadd, and looks into it. Runs alone on a host, behind walls.

    python3 -I -S -c PROGRAM JSON

JSON: `file`, the dump of `ldap_dump.sh`; `scratch`, a private folder; `suffix` of the database; `verify`, filters that
must each find an entry; `patience`, seconds that loading may take.

The server's schema is in the dump's comments. Standard output is one line of JSON: `fault` and `remedy`, or `said`;
`walls`, those behind which it ran. Standard library only, Python 3.8 and later.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

from tasks.sources.dumps.host.judgement import FaultError, answer

if TYPE_CHECKING:
    from collections.abc import Sequence

CONFIG = b"# cloudbackup config: "
MODULES = ("/usr/lib/ldap", "/usr/lib64/openldap", "/usr/lib/openldap", "/usr/libexec/openldap")
MODULE = re.compile(r"[A-Za-z0-9_-]+(?:\.la|\.so)?")  # a name alone, which no path precedes
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/nonexistent"}
ROOM = 1 << 30  # bytes that a database may have beyond four times its dump; the file takes only what is used


def judge(plan: dict[str, object]) -> str:
    """Return what was found in a dump that is good. Raises FaultError."""
    file, scratch, suffix = str(plan["file"]), str(plan["scratch"]), str(plan["suffix"])
    patience, filters = float(str(plan["patience"])), plan["verify"]
    assert isinstance(filters, list)
    if shutil.which("slapadd", path=ENVIRONMENT["PATH"]) is None:
        raise FaultError("slapadd is not installed", "install the package slapd there, or drill elsewhere with --to")
    config, data = os.path.join(scratch, "config"), os.path.join(scratch, "data")
    for folder in (config, data):
        os.mkdir(folder, 0o700)
    settings = os.path.join(scratch, "config.ldif")
    with open(settings, "w", encoding="utf-8") as target:
        target.write(configuration(file, suffix, data))
    run(("slapadd", "-n", "0", "-F", config, "-l", settings), patience, "its schema cannot be read")
    run(("slapadd", "-F", config, "-b", suffix, "-l", file), patience, "slapadd does not take it")
    there, expected = entries(config, suffix, patience), counted(file)
    if there != expected or not there:
        raise FaultError(f"{there} of the dump's {expected} entries were restored")
    for each in filters:
        if not entries(config, suffix, patience, str(each)):
            raise FaultError(f"`{each}` finds no entry in the restored data")
    asked = f", {len(filters)} filter{'' if len(filters) == 1 else 's'} found entries" if filters else ""
    return f"slapadd restored {there:,} entr{'y' if there == 1 else 'ies'}{asked}"


def configuration(file: str, suffix: str, data: str) -> str:
    """Return the configuration of a database in `data`, with the modules and schema that a dump names."""
    modules, schema = ["back_mdb"], []
    for entry in described(file):
        name = re.match(r"dn: (.*)", entry)
        modules += re.findall(r"^olcModuleLoad: (?:\{\d+\})?(.+)$", entry, re.MULTILINE)
        if name and name[1].endswith("cn=schema,cn=config"):
            schema.append(entry)
    if not schema:
        raise FaultError("the dump does not have the server's schema")
    folder = next((each for each in MODULES if os.path.isdir(each)), "")
    loaded = list(dict.fromkeys(re.sub(r"\.(la|so)$", "", each) for each in modules if MODULE.fullmatch(each)))
    size = ROOM + 4 * os.path.getsize(file)
    named = f"olcModulePath: {folder}" + "".join(f"\nolcModuleLoad: {each}" for each in loaded)
    database = (
        "dn: olcDatabase={1}mdb,cn=config\nobjectClass: olcDatabaseConfig\nobjectClass: olcMdbConfig\n"
        f"olcDatabase: {{1}}mdb\nolcSuffix: {suffix}\nolcDbDirectory: {data}\nolcDbMaxSize: {size}\n"
    )
    first = ["dn: cn=config\nobjectClass: olcGlobal\ncn: config"]
    if folder:
        first.append(f"dn: cn=module{{0}},cn=config\nobjectClass: olcModuleList\ncn: module{{0}}\n{named}")
    return "\n\n".join([*first, *schema, database])


def described(file: str) -> list[str]:
    """Return the entries of the configuration that a dump begins with."""
    lines = []
    with open(file, "rb") as dump:
        for line in dump:
            if not line.startswith(CONFIG):
                break
            lines.append(line[len(CONFIG) :].decode("utf-8", "replace").rstrip("\n"))
    return [entry for entry in "\n".join(lines).split("\n\n") if entry.strip()]


def counted(file: str) -> int:
    """Return the number of entries in a dump."""
    with open(file, "rb") as dump:
        return sum(line.startswith((b"dn: ", b"dn:: ")) for line in dump)


def entries(config: str, suffix: str, patience: float, wanted: str = "") -> int:
    """Return the number of entries in the restored data that a filter finds, all without one. Raises FaultError."""
    words = ("slapcat", "-F", config, "-b", suffix, "-o", "ldif-wrap=no", *(("-a", wanted) if wanted else ()))
    said = run(words, patience, f"`{wanted}` cannot be asked" if wanted else "slapcat cannot read the restored data")
    return len(re.findall(rb"^dn::? ", said, re.MULTILINE))


def run(words: Sequence[str], patience: float, context: str) -> bytes:
    """Run a program of slapd's; return its standard output. Raises FaultError."""
    try:
        done = subprocess.run(
            words, env=ENVIRONMENT, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, timeout=patience,
            check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise FaultError(f"{context}: {words[0]} took more than {patience:.0f} s") from None
    if done.returncode:
        lines = [line.strip() for line in done.stderr.decode("utf-8", "replace").splitlines() if line.strip()]
        telling = [line for line in lines if not line.startswith(("Closing DB", "_"))]
        raise FaultError(f"{context}: {'; '.join((telling or lines or ['it does not say why'])[-2:])[-400:]}")
    return done.stdout


if __name__ == "__main__":
    answer(judge)
