"""A host's own key appends to its own repository, and does nothing else."""

from dataclasses import replace
from pathlib import Path

import pytest

from tasks.borg.client.compact import compact
from tasks.borg.client.delete import delete
from tasks.borg.client.list import archives
from tasks.borg.client.runner import BorgError
from tasks.errors import AppError
from tasks.remote.script import Script, quote
from tasks.remote.ssh import SshHost
from tasks.storage.ssh import SshServer, host_key_path
from tests.contract.bench import Bench, Sides
from tests.contract.kinds import kinds_with
from tests.contract.support import QUICK


@kinds_with("keys")
def test_setting_up_again_changes_nothing(bench: Bench) -> None:
    file = bench.account_keys
    before = file.read_bytes()
    inventory = (bench.inventory / "cloudbackup.yml").read_bytes()
    bench.set_up()
    assert file.read_bytes() == before
    assert (bench.inventory / "cloudbackup.yml").read_bytes() == inventory


@kinds_with("keys")
def test_another_apps_repository_is_refused(shop: Sides, blog: Sides) -> None:
    url = blog.operator.url
    other = replace(shop.host, url=url, environment={**shop.host.environment, "BORG_REPO": url})
    with pytest.raises(BorgError, match="reach another repository only"):
        archives(other, how=QUICK)


@kinds_with("keys")
def test_there_is_no_shell_and_no_way_through(bench: Bench, shop: Sides) -> None:
    server = server_of(shop)
    config, key = server.config, host_key_path(str(bench.app("shop").home), shop.app)
    words = [*server.ssh_words(key), "-p", str(config.port)]
    account = f"{config.user}@{config.host}"
    for command in ("touch was-here; id", "cat .ssh/authorized_keys", "df -k"):
        output = shop.host.host.run(Script(quote([*words, account, command])), timeout=60)
        assert not any(sign in output.text for sign in ("uid=", "ssh-ed25519", "Mounted on"))
    through = Script(quote([*words, "-W", f"127.0.0.1:{bench.app('shop').port}", account]))
    output = shop.host.host.run(through, timeout=60)
    assert not output.ok
    assert b"SSH-" not in output.stdout
    back = ["ssh", "-o", "ClearAllForwardings=no", *words[1:], "-o", "ExitOnForwardFailure=yes"]
    back += ["-R", "0:127.0.0.1:9", account]
    output = shop.host.host.run(Script(quote(back)), timeout=60)
    assert (output.code, "forwarding failed" in output.error_text) == (255, True), output.error_text
    assert not list(bench.place.home.rglob("was-here"))


@kinds_with("keys")
def test_there_are_no_files(bench: Bench, shop: Sides) -> None:
    key = Path(host_key_path(str(bench.app("shop").home), shop.app))
    attacker = SshHost(replace(server_of(shop).target(), key=key))
    try:
        with pytest.raises(AppError):
            attacker.files().names(".")
    finally:
        attacker.close()


@kinds_with("keys")
def test_deleting_and_compacting_from_the_host_frees_nothing(bench: Bench, blog: Sides) -> None:
    made = blog.save()
    data = bench.repository("blog") / "data"
    before = {path: path.read_bytes() for path in data.rglob("*") if path.is_file()}
    delete(blog.host, [made.archive], QUICK)
    compact(blog.host, QUICK)
    assert all(path.read_bytes().startswith(content) for path, content in before.items())


def server_of(sides: Sides) -> SshServer:
    server = sides.storage
    assert isinstance(server, SshServer)
    return server
