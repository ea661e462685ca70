"""A dump of a database of OpenLDAP's slapd: LDIF by its own slapcat, while the server goes on."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field, WithJsonSchema

from tasks.inventory.values import HostPath, Line, Words, matching
from tasks.remote.program import Program
from tasks.remote.script import quote
from tasks.sources.dumps.host import judgement, ldap_judge
from tasks.sources.dumps.product import Judge, Product

JUDGE = Program(ldap_judge, (judgement,))
HOST = Path(__file__).parent / "host"
END = r"\n# cloudbackup: whole\n\Z"  # written by `ldap_dump.sh`
SUFFIX = r"[A-Za-z][^\x00-\x1f*()\\]*=[^\x00-\x1f*()\\]+"
Suffix = Annotated[
    str, matching(SUFFIX, "the suffix of a database: dc=example,dc=org"), WithJsonSchema({"type": "string"})
]


class LDAP(Product):
    """One database of a slapd, with the schema that its entries need."""

    title = "OpenLDAP"
    tells = True

    suffix: Suffix = Field(description="the database's suffix: dc=example,dc=org")
    config: HostPath | None = Field(
        None, description="slapd's folder slapd.d, or its file slapd.conf; where slapcat looks unless given"
    )
    verify: tuple[Line, ...] = Field(
        (), description="filters that must each find an entry in a restored copy: (uid=anna)"
    )

    @property
    def ends(self) -> str:
        """Return how a whole dump ends."""
        return END

    def tools(self) -> Sequence[str]:
        """Return what runs slapcat, which is not in everybody's PATH."""
        return ("sh",)

    def dump(self) -> Words:
        """Return the script that writes the schema, as comments, and the entries."""
        return self._script("ldap_dump.sh")

    def by_hand(self) -> str:
        """Return slapcat's command."""
        return quote((*self.exec, "slapcat", *self._config(), "-b", self.suffix))

    def load(self) -> Words:
        """Return the script that puts the entries into the stopped server's folder, the old files kept."""
        return self._script("ldap_load.sh")

    def judge(self) -> Judge:
        """Return the program that loads a dump into a folder of its own."""
        return Judge(JUDGE, {"suffix": self.suffix, "verify": list(self.verify)})

    def _script(self, name: str) -> Words:
        text = "".join((HOST / each).read_text("utf-8") for each in ("ldap_config.sh", name))
        return ("sh", "-c", text, "sh", self.suffix, *self._config())

    def _config(self) -> Words:
        if self.config is None:
            return ()
        return ("-f" if self.config.endswith(".conf") else "-F", self.config)
