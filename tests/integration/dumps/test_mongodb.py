"""MongoDB's tools get the server's address by a descriptor alone. Programs of the tests' stand for them: Debian has none."""

from pathlib import Path

import pytest

from tests.integration.dumps.conftest import MakeShop

ADDRESS = "mongodb://backup:it's%20secret@127.0.0.1/"
TOOL = """#!/bin/bash
printf '%s\\n' "$0 $*" >>{log}
for word; do case $word in --config=*) cat "${{word#*=}}" >{log}.config ;; esac; done
{work}
"""


def test_the_address_stands_in_no_command_line(
    make_shop: MakeShop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools, log = tmp_path / "tools", tmp_path / "log"
    tools.mkdir()
    for name, work in (("mongodump", "echo documents"), ("mongorestore", f"cat >{log}.restored")):
        (tools / name).write_text(TOOL.format(log=log, work=work))
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tools), prepend=":")
    (tmp_path / "address").write_text(ADDRESS)
    shop = make_shop(shop={"mongodb": {"database": "shop", "uri": {"file": str(tmp_path / "address")}}})
    shop.done("backup", "--app", "shop")
    assert Path(f"{log}.config").read_text() == "uri: 'mongodb://backup:it''s%20secret@127.0.0.1/'\n"
    shop.done("restore", "--app", "shop", "--yes")
    assert Path(f"{log}.restored").read_text() == "documents\n"
    said = log.read_text()
    assert "mongodump --config=/dev/fd/4 --archive --quiet --db=shop" in said
    assert "secret@" not in said
    assert "nothing judges it" in shop.done("verify", "--app", "shop", "--scratch", str(tmp_path))
