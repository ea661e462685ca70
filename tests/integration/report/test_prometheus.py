"""The examples for Prometheus by its own tools, and a real Prometheus that watches real backups."""

import json
import re
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.lab.packages import find
from tests.integration.fleet.support import CHECKOUT, Operator, eventually
from tests.integration.local import local_inventory

EXAMPLES = CHECKOUT / "examples" / "prometheus"


def test_the_alert_rules_pass_their_own_tests() -> None:
    tests = ["cloudbackup.rules.test.yml", "cloudbackup.slow.test.yml"]

    done = subprocess.run(
        [promtool(), "test", "rules", *tests], cwd=EXAMPLES, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_rule_is_tested() -> None:
    rules = yaml.safe_load((EXAMPLES / "cloudbackup.rules.yml").read_text())["groups"][0]["rules"]
    tests = "".join(file.read_text() for file in EXAMPLES.glob("*.test.yml"))

    assert {rule["alert"] for rule in rules} == set(re.findall(r"alertname: (\w+)", tests))


def test_the_example_configuration_is_valid() -> None:
    subprocess.run([promtool(), "check", "config", "prometheus.yml"], cwd=EXAMPLES, capture_output=True, check=True)


def promtool() -> str:
    path = find("promtool")
    assert path
    return path


@dataclass(frozen=True)
class Watched:
    """An operator with two apps, one of them never backed up; the exporter; Prometheus' address."""

    operator: Operator
    fault: Path
    exporter: subprocess.Popen[str]
    prometheus: str

    def alerts(self) -> set[tuple[str, str | None]]:
        """Return name and app of what fires now."""
        alerts = ask(self.prometheus, "/api/v1/alerts")["data"]["alerts"]
        return {(a["labels"]["alertname"], a["labels"].get("app")) for a in alerts if a["state"] == "firing"}


def ask(address: str, path: str) -> Any:
    connection = HTTPConnection(address, timeout=10)
    try:
        connection.request("GET", path)
        return json.loads(connection.getresponse().read())
    except (OSError, ValueError):
        return {"data": {"alerts": []}}
    finally:
        connection.close()


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    fault = tmp_path / "in maintenance"
    operator = Operator(local_inventory(tmp_path, fault))
    operator.done("borg.init")
    operator.done("backup", "--app", "shop")
    port, own = free_port(), free_port()
    exporter = operator.start("report.serve", "--port", str(port), "--interval", "2")
    configuration = quick_rules(tmp_path, port)
    words = [f"--config.file={configuration}", f"--storage.tsdb.path={tmp_path / 'tsdb'}"]
    words += [f"--web.listen-address=127.0.0.1:{own}", "--log.level=error"]
    prometheus = subprocess.Popen([find("prometheus") or "", *words], cwd=tmp_path)
    yield Watched(operator, fault, exporter, f"127.0.0.1:{own}")
    for process in (prometheus, exporter):
        process.terminate()
        process.wait(30)


def quick_rules(folder: Path, port: int) -> Path:
    """Write a configuration with the example's rules, looked at each second, that wait for nothing."""
    rules = yaml.safe_load((EXAMPLES / "cloudbackup.rules.yml").read_text())
    for rule in rules["groups"][0]["rules"]:
        rule["for"] = "0s"
    (folder / "rules.yml").write_text(yaml.safe_dump(rules))
    configuration = yaml.safe_load((EXAMPLES / "prometheus.yml").read_text())
    configuration["global"] = {"evaluation_interval": "1s"}
    configuration["rule_files"] = ["rules.yml"]
    job = configuration["scrape_configs"][0]
    job |= {"scrape_interval": "1s", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(configuration))
    return file


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def test_a_fault_makes_the_alert_fire_and_its_end_clears_it(watched: Watched) -> None:
    failed = ("CloudbackupFailed", "shop")
    assert eventually(lambda: ("CloudbackupNeverRan", "new") in watched.alerts(), 40)
    assert {name for name, app in watched.alerts() if app == "shop"} == {"CloudbackupNeverProven"}

    watched.fault.touch()
    assert watched.operator.inv("backup", "--app", "shop").returncode == 4
    assert eventually(lambda: failed in watched.alerts(), 30)

    watched.fault.unlink()
    watched.operator.done("backup")
    assert eventually(lambda: not watched.alerts() & {failed, ("CloudbackupNeverRan", "new")}, 30)

    watched.exporter.terminate()
    said, _ = watched.exporter.communicate(timeout=30)
    assert (watched.exporter.returncode, said.splitlines()[-1]) == (0, "cloudbackup: ended")
    assert eventually(lambda: ("CloudbackupExporterDown", None) in watched.alerts(), 30)
