"""Which hosts `app.find` asks, and how."""

from pathlib import Path

from tasks.app.options import FindOptions
from tasks.app.uncovered import _asked
from tasks.storage.registry import load

MAIN = "storages: {disk: {kind: local, directory: /backup}}\ndefaults: {storage: disk}\n"
APP = "host: deploy@shop.example.org\npassphrase: {env: SHOP}\nfiles: {paths: [/srv]}\n"


def test_become_is_for_hosts_whose_app_does_not_say_it(tmp_path: Path) -> None:
    (tmp_path / "apps").mkdir()
    (tmp_path / "cloudbackup.yml").write_text(MAIN)
    (tmp_path / "apps" / "shop.yml").write_text(APP)
    (tmp_path / "apps" / "own.yml").write_text(APP.replace("shop.example", "own.example") + "become: doas\n")
    hosts = ("deploy@shop.example.org", "deploy@own.example.org")
    found = _asked(load(tmp_path), FindOptions(host=hosts, become="sudo"))
    assert [each.become and each.become.program for each in found] == ["sudo", "doas"]
    plain = _asked(load(tmp_path), FindOptions(host=hosts))
    assert [each.become and each.become.program for each in plain] == [None, "doas"]


def test_machines_behind_one_name_are_asked_each(tmp_path: Path) -> None:
    (tmp_path / "apps").mkdir()
    (tmp_path / "cloudbackup.yml").write_text(MAIN)
    for name, port in (("shop", ""), ("same", "ssh: {port: 22}\n"), ("other", "ssh: {port: 2222}\n")):
        (tmp_path / "apps" / f"{name}.yml").write_text(APP + port)
    inventory, host = load(tmp_path), ("deploy@shop.example.org",)
    assert [each.ssh.port for each in _asked(inventory, FindOptions())] == [22, 2222]
    assert [each.ssh.port for each in _asked(inventory, FindOptions(host=host))] == [22, 2222]
    assert [each.name for each in _asked(inventory, FindOptions(host=host, ssh_port=2222))] == ["other"]
    assert [each.ssh.port for each in _asked(inventory, FindOptions(host=host, ssh_port=23))] == [23]
