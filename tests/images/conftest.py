"""The built images, a lab whose Storage Box they use, and a MariaDB server of each release in a container of its own."""

import random
import shlex
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from lab.lab import Lab, scratch_folder
from lab.plan import AppPlan
from tests.images import building
from tests.images.building import Image
from tests.images.container import Bind, Container
from tests.images.database import Database
from tests.integration.fleet.support import make_ready


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    folder = scratch_folder()
    folder.chmod(0o755)
    lab = Lab.start(folder, (AppPlan("shop", megabytes=2, files_megabytes=1), AppPlan("blog", megabytes=2)))
    make_ready(lab)
    yield lab
    lab.remove()
    shutil.rmtree(folder)


@pytest.fixture(scope="session", params=building.SUITES)
def release(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def image(release: str) -> Iterator[Image]:
    """Return the image that is built unless a target is named."""
    built = building.build(release, "")
    yield built
    building.forget(built)


@pytest.fixture(scope="session")
def with_kubectl(release: str) -> Iterator[Image]:
    built = building.build(release, "kubernetes")
    yield built
    building.forget(built)


@pytest.fixture(scope="session")
def kubectl() -> Iterator[Image]:
    """Return an image whose kubectl knows today's kustomize: Debian 13's is 1.32, Debian 12's 1.20."""
    built = building.build("13", "kubernetes")
    yield built
    building.forget(built)


@pytest.fixture(scope="session")
def database(image: Image, lab: Lab) -> Iterator[Database]:
    """Return a running server of the image's release."""
    folder = lab.folder / f"database-{image.release}"
    for name in ("data", "run", "tmp"):
        (folder / name).mkdir(parents=True)
        shutil.chown(folder / name, 999, 999)
    binds = (
        Bind(folder / "data", "/var/lib/mysql"),
        Bind(folder / "run", "/run/mysqld"),
        Bind(folder / "tmp", "/tmp"),
    )
    server = Database(Container(image, binds, user=999, hostname="mariadb-0"), folder / "data", free_port())
    try:
        server.make()
        yield server
    finally:
        server.stop()


def free_port() -> int:
    """Return a port that nobody listens on, and that no outgoing connection will be given (ip_local_port_range)."""
    while True:
        with socket.socket() as tried, suppress(OSError):
            tried.bind(("127.0.0.1", port := random.randrange(20_000, 32_000)))  # noqa: S311
            return port


@pytest.fixture(scope="session")
def exec_stand_in(lab: Lab, database: Database) -> tuple[Bind, ...]:
    """Return what stands in for `kubectl exec`: a program of that name, which enters the server's container over SSH."""
    folder = lab.folder / f"stand-in-{database.container.image.release}"
    folder.mkdir()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "key"], check=True)
    (folder / "key").chmod(0o444)
    host = lab.apps["shop"]
    enter = folder / "enter"
    enter.write_text(f'#!/bin/sh\nexec {shlex.join(database.root().words("sh", "-c"))} "$SSH_ORIGINAL_COMMAND"\n')
    enter.chmod(0o755)
    with (host.home / ".ssh/authorized_keys").open("a") as file:
        file.write(f'command="{enter}",restrict {(folder / "key.pub").read_text()}')
    program = folder / "kubectl"
    program.write_text(STAND_IN.format(port=host.port, known=f"[127.0.0.1]:{host.port} {host.host_key}"))
    program.chmod(0o755)
    return (
        Bind(program, "/usr/bin/kubectl", read_only=True),
        Bind(folder / "key", "/run/stand-in-key", read_only=True),
    )


STAND_IN = """\
#!/bin/sh
[ "$1 $2 $3 $4 $5 $6" = "exec -i mariadb-0 -c mariadb --" ] || {{ echo "stand-in for kubectl: not known: $*" >&2; exit 9; }}
shift 6
line=
for word; do line="$line '$(printf %s "$word" | sed "s/'/'\\\\\\\\''/g")'"; done
exec ssh -i /run/stand-in-key -o BatchMode=yes -o IdentitiesOnly=yes -o UserKnownHostsFile=/dev/null \\
    -o "KnownHostsCommand=/bin/echo {known}" -p {port} root@127.0.0.1 "$line"
"""


@pytest.fixture(scope="session")
def files() -> Iterator[Path]:
    """Return a volume with the files of an app, which www-data owns and nobody else may read."""
    folder = scratch_folder()
    for name in ("index.php", "uploads/a.jpg", "uploads/ü b.txt"):
        file = folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(name.encode() * 1000)
        file.chmod(0o600)
        shutil.chown(file, 33, 33)
    (folder / "uploads").chmod(0o700)
    shutil.chown(folder / "uploads", 33, 33)
    shutil.chown(folder, 33, 33)
    yield folder
    shutil.rmtree(folder)
