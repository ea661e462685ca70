"""`find`: in which archives a file is, in which versions; what cannot be looked through is said."""

import json
import os
from pathlib import Path

from tests.integration.fleet.support import Operator
from tests.integration.fleet.test_choice import forge
from tests.integration.local import after_the_newest_archive, local_inventory


def test_versions_of_a_file_are_found_newest_first(tmp_path: Path) -> None:
    data = tmp_path / "data"
    operator = Operator(local_inventory(tmp_path, tmp_path / "fault"))
    (operator.inventory / "apps/new.yml").unlink()
    operator.done("borg.init")
    (data / "conf.d").mkdir()
    one, gone, evil = data / "conf.d" / "app.conf", data / "gone.conf", data / "evil\x1b[2J\n.conf"
    one.write_text("first")
    gone.write_text("gone")
    evil.write_text("evil")
    os.utime(one, (1_700_000_000, 1_700_000_000))
    operator.done("backup")
    gone.unlink()
    after_the_newest_archive(tmp_path)
    operator.done("backup")
    one.write_text("again")  # the same size, and by a trick the same time
    os.utime(one, (1_700_000_000, 1_700_000_000))
    after_the_newest_archive(tmp_path)
    operator.done("backup")
    first, second, third = operator.archives("shop")

    told = operator.done("find", "app.conf")
    assert told.splitlines()[0] == str(one)
    assert f"in 3 archives, newest {third}" in told
    assert f"inv restore --app shop --path {one} --archive {third}" in told
    kept = sorted((tmp_path / "cache" / "entries").rglob("*/*/*"))
    assert (len(kept), {each.stat().st_mode & 0o777 for each in kept}) == (3, {0o600})
    told = operator.done("find", str(gone)[:-4] + "*")
    assert f"{gone}  (not in the newest archive)" in told
    assert f"in 1 archive, newest {first}" in told
    told = operator.done("find", "*.conf")
    assert ("\x1b" in told, "evil\\x1b[2J\\n.conf" in told, "shop: 3 paths in 3 archives" in told) == (
        False,
        True,
        True,
    )

    kept[0].write_bytes(b"broken")  # it is listed anew
    (app,) = json.loads(operator.done("find", "conf.d/app.conf", "--checksum", "--format", "json"))
    newest, oldest = app["files"][0]["versions"]
    assert (newest["archives"], newest["size"]) == ([third], 5)
    assert (oldest["archives"], oldest["changed"]) == (
        [second, first],
        "2023-11-14T22:13:20Z",
    )
    assert newest["sha256"] != oldest["sha256"]
    assert [(each["name"], each["known"]) for each in app["archives"]] == [(third, True), (second, True), (first, True)]

    forge(tmp_path, "odd [name]")
    told = operator.done("find", "no-such")
    assert "shop: nothing by the name no-such in 4 archives" in told
    assert "1 archive among them no record knows" in told
    for words in (("find",), ("find", "--ap", "shop"), ("find", "[z-a]"), ("find", "/")):
        end = operator.inv(*words)
        assert (end.returncode, "Traceback" in end.stderr) == (2, False), (words, end.stderr)
    assert "--checksum" in operator.done("find", "--help")
    next((tmp_path / "storage").rglob("shop/config")).unlink()
    end = operator.inv("find", "app.conf")
    assert end.returncode != 0, end.stdout
