"""A real Prometheus, with the examples' own configuration and rules, watches the lab."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import yaml

from lab import mariadb, process
from lab.lab import Lab
from lab.packages import find
from tests.integration.fleet.support import CHECKOUT, Operator, eventually
from tests.integration.remote.support import free_port

EXAMPLES = CHECKOUT / "examples" / "prometheus"
PATIENCE = 60  # seconds for what takes two on an idle machine


@dataclass(frozen=True)
class Watched:
    """The lab's operator, with one app more that was never backed up; the exporter; Prometheus' address."""

    operator: Operator
    exporter: subprocess.Popen[str]
    prometheus: str

    def alerts(self) -> set[tuple[str, str]]:
        """Return what fires now: each alert's name, with app and source or the storage."""
        alerts = ask(self.prometheus, "/api/v1/alerts")["data"]["alerts"]
        return {(a["labels"]["alertname"], about(a["labels"])) for a in alerts if a["state"] == "firing"}

    def fires(self, *alert: str) -> bool:
        """Tell whether an alert fires before long."""
        return eventually(lambda: alert in self.alerts(), PATIENCE)

    def clears(self, *alert: str) -> bool:
        """Tell whether an alert ends before long, while Prometheus answers."""
        return eventually(lambda: alert not in self.alerts() and bool(self.answer("up")), PATIENCE)

    def answer(self, query: str) -> list[Any]:
        """Return what Prometheus answers to a query; nothing while it does not answer. Asserts that it understands it."""
        said = ask(self.prometheus, "/api/v1/query?" + urlencode({"query": query}))
        assert said.get("status") != "error", (query, said)
        result: list[Any] = said["data"].get("result", [])
        return result


def about(labels: dict[str, str]) -> str:
    return " ".join(labels[name] for name in ("app", "source") if name in labels) or labels.get("storage", "")


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
def watched(lab: Lab, all_well: None, tmp_path: Path) -> Iterator[Watched]:
    operator = Operator(lab.inventory).copy(tmp_path / "inventory")
    app = yaml.safe_load((operator.inventory / "apps/blog.yml").read_text())
    del app["mariadb"]
    (operator.inventory / "apps/new.yml").write_text(yaml.safe_dump(app))
    operator.done("borg.init", "--app", "new")
    port, own = free_port(), free_port()
    exporter = operator.start("report.serve", "--port", str(port), "--interval", "1")
    words = [f"--config.file={quick(tmp_path, port)}", f"--storage.tsdb.path={tmp_path / 'tsdb'}"]
    words += [f"--web.listen-address=127.0.0.1:{own}", "--log.level=error"]
    prometheus = subprocess.Popen([find("prometheus") or "", *words], cwd=tmp_path)
    yield Watched(operator, exporter, f"127.0.0.1:{own}")
    for each in (prometheus, exporter):
        each.terminate()
        each.wait(30)
    shutil.rmtree(lab.box.home() / "cloudbackup/new")


def quick(folder: Path, port: int) -> Path:
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


def check_dashboard(watched: Watched) -> None:
    """Assert that each of the dashboard's queries is one, and finds something where all its metrics have samples."""
    dashboard = json.loads((EXAMPLES / "grafana-dashboard.json").read_text())
    given = {"$app": "shop|.*", "$storage": ".*", "$__range": "1h"}
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    for name, value in given.items():
        queries = [query.replace(name, value) for query in queries]
    assert all(panel["description"] for panel in dashboard["panels"])
    found = [query for query in queries if watched.answer(query)]
    for query in queries:
        there = [bool(watched.answer(name)) for name in re.findall(r"\bcloudbackup_\w+(?!\w*=)", query)]
        assert query in found or not all(there), query
    assert len(found) > len(queries) / 2


def test_faults_of_the_lab_make_alerts_fire_and_their_end_clears_them(lab: Lab, watched: Watched) -> None:
    assert watched.fires("CloudbackupNeverRan", "new files")
    check_dashboard(watched)
    quiet = {("CloudbackupNeverRan", "new files"), ("CloudbackupKeyNotEscrowed", "new")}
    assert {each for each in watched.alerts() if each[0] != "CloudbackupNeverProven"} <= quiet

    shop = lab.apps["shop"]
    assert shop.server
    mariadb.stop(shop.server, shop.home)
    assert watched.operator.inv("backup", "--app", "shop").returncode == 3
    assert watched.fires("CloudbackupFailed", "shop mariadb")
    assert ("CloudbackupFailed", "shop files") not in watched.alerts()
    mariadb.start(shop.server, shop.home, {process.MARKER: str(lab.folder)})
    watched.operator.done("backup", "--app", "shop")
    assert watched.clears("CloudbackupFailed", "shop mariadb")

    lab.box.faults.refuse_logins()
    assert watched.fires("CloudbackupUnknown", "shop mariadb")
    assert watched.fires("CloudbackupStorageDown", "box")
    lab.box.faults.clear()
    assert watched.clears("CloudbackupUnknown", "shop mariadb")
    assert watched.clears("CloudbackupStorageDown", "box")

    watched.exporter.terminate()
    said, _ = watched.exporter.communicate(timeout=30)
    assert (watched.exporter.returncode, said.splitlines()[-1]) == (0, "cloudbackup: ended")
    assert watched.fires("CloudbackupExporterDown", "")
