"""The emergency lines of the README, run as they stand, with stock tools alone."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from lab import database, mariadb, tree
from lab.lab import Lab
from tests.integration.fleet.support import CHECKOUT, Operator


def emergency_lines() -> str:
    """Return the README's lines: where the repository is, the key brought back, the archives restored."""
    text = (CHECKOUT / "README.md").read_text()
    found = re.findall(r"<!-- a test runs these lines -->\n```bash\n(.*?)```", text, re.DOTALL)
    assert [any(words in block for block in found) for words in ("BORG_REPO", "key import", "extract")] == [True] * 3
    return "".join(found)


def with_values(lines: str, lab: Lab, archives: dict[str, str]) -> str:
    """Return the lines with this lab's address, archives and owner in place of the README's."""
    user = lab.apps["shop"].server.user
    lines = re.sub(
        r"BORG_REPO='[^']*'", f"BORG_REPO='ssh://u100001@127.0.0.1:{lab.box.port}/./cloudbackup/shop'", lines
    )
    lines = re.sub(r"ARCHIVE=shop-files-\S+", f"ARCHIVE={archives['files']}", lines)
    lines = re.sub(r"ARCHIVE=shop-mariadb-\S+", f"ARCHIVE={archives['mariadb']}", lines)
    return lines.replace("chown -R mysql:mysql", f"chown -R {user}")


def lose_key(config: Path) -> None:
    """Do what a stolen host can: put junk in the place of the key inside the repository."""
    config.write_text(re.sub(r"(?m)^key = .*\n(?:\t.*\n)*", "key = anVuaw==\n", config.read_text()))


def test_storage_passphrase_and_escrow_file_are_enough(lab: Lab, operator: Operator, saved: str) -> None:
    """An empty machine, stock tools, a repository whose own key is lost; no file of ours but the escrow copy."""
    app = lab.apps["shop"]
    operator.done("backup", "--app", "shop")
    files, rows = tree.fingerprint(app.files, excluding_caches=True), database.fingerprint(app.server)
    names = operator.archives("shop")
    archives = {source: [name for name in names if source in name][-1] for source in ("files", "mariadb")}
    place = lab.folder / "emergency"
    place.mkdir()
    known = f"[127.0.0.1]:{lab.box.port} {lab.box.host_key}\n"
    (place / "known_hosts").write_text(known)
    shutil.copy(lab.folder / "operator/escrow/box-shop.key", place)
    config = lab.box.home() / "cloudbackup/shop/config"
    sound = config.read_bytes()
    lose_key(config)
    assert "`borg key import`" in operator.inv("borg.list", "--app", "shop").stderr
    environment = {
        "PATH": os.environ["PATH"] + ":/usr/sbin",
        "HOME": str(place),
        "BORG_PASSPHRASE": (lab.folder / "operator/secrets/shop").read_text().strip(),
        "BORG_RSH": f"ssh -i {lab.operator_key} -o UserKnownHostsFile={place}/known_hosts",
    }
    script = "set -e -o pipefail\n" + with_values(emergency_lines(), lab, archives)
    try:
        done = subprocess.run(
            ["bash", "-c", script], cwd=place, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert archives["files"] in done.stdout
        assert config.read_bytes().split() == sound.split()
        restored = place / "files" / str(app.files).lstrip("/")
        assert tree.differences(files, tree.fingerprint(restored, excluding_caches=True)) == []
        with mariadb.serving(Path(place / "mysql")) as server:
            assert tree.differences(rows, database.fingerprint(server, "shop")) == []
    finally:
        shutil.rmtree(place)
