"""The report as Prometheus reads it."""

import json
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tasks.records.record import Outcome, Record
from tasks.report.board import Board
from tasks.report.formats import Look, write
from tasks.report.rows import Expected, LeftOut, Report
from tests.unit.report.test_formats import BOX, FAILED, FILES, MISSING, NOW, OK, REPORT, UNKNOWN

KEY = "cloudbackup_key_escrowed"
CHECKOUT = Path(__file__).parents[3]
WANTED = tuple(Expected(row.app, row.host, row.storage, row.source, timedelta(hours=26)) for row in REPORT.apps)


def samples(report: Report) -> dict[str, dict[tuple[str, ...], float]]:
    """Return the value of each sample by metric and by its labels' values in their order."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(write(report, "prometheus", Look()) + "\n"):
        assert family.documentation
        for sample in family.samples:
            labels = tuple(value for name, value in sorted(sample.labels.items()) if name not in ("storage", "kind"))
            found.setdefault(sample.name.removeprefix("cloudbackup_"), {})[labels] = sample.value
    return found


def test_what_is_known_of_a_source() -> None:
    found = samples(REPORT)
    shop = ("shop", "mariadb")

    assert found["last_success_timestamp_seconds"][shop] == OK.last.timestamp()  # type: ignore[union-attr]
    assert found["age_seconds"][shop] == 600
    assert (found["size_bytes"][shop], found["stored_bytes"][shop]) == (38_100_000_000, 212_000_000)
    assert (found["duration_seconds"][shop], found["archives"][shop]) == (7.2, 17)
    assert found["last_proof_timestamp_seconds"][shop] == OK.proven.timestamp()  # type: ignore[union-attr]
    assert found["recoverable_until_timestamp_seconds"] == {shop: OK.recoverable_until.timestamp()}  # type: ignore[union-attr]
    assert (found["left_out_files"][shop], found["verdict_accepted"][shop]) == (0, 0)
    assert found["report_timestamp_seconds"][()] == NOW.timestamp()


def test_the_newest_runs() -> None:
    def run(hours: float, action: str, outcome: Outcome = "ok", source: str | None = "files") -> Record:
        return Record("shop", action, NOW - timedelta(hours=hours), outcome, source, duration_seconds=hours)

    runs = [
        run(50, "backup", "failed"),
        run(30, "verify"),
        run(29, "verify", "failed"),
        run(26, "backup"),
        run(2, "backup", source="mariadb"),
        run(20, "check", "warning", None),
        run(10, "prune", source=None),
        run(-999, "check", "failed", None),  # a forged time
    ]
    found = samples(Report(NOW, (FILES, OK), records={("box", "shop"): runs}))
    files, mariadb = ("shop", "files"), ("shop", "mariadb")

    def hours(name: str) -> dict[tuple[str, ...], float]:
        return {labels: (NOW.timestamp() - value) / 3600 for labels, value in found[name].items()}

    assert hours("last_attempt_timestamp_seconds") == {files: 26, mariadb: 2}
    assert hours("last_failure_timestamp_seconds") == {files: 50}
    assert hours("last_drill_timestamp_seconds") == {files: 29}
    assert (found["last_drill_success"], found["last_drill_duration_seconds"]) == ({files: 0}, {files: 29})
    assert (hours("last_check_timestamp_seconds"), found["last_check_success"]) == ({("shop",): 20}, {("shop",): 1})
    assert hours("last_prune_timestamp_seconds") == {("shop",): 10}


def test_what_is_not_known_has_no_sample() -> None:
    found = samples(Report(NOW, (UNKNOWN, MISSING)))

    assert set(found) == {"build_info", "report_timestamp_seconds", "status", "archives"}
    assert found["archives"] == {("mail", "files"): 0}


def test_an_archive_that_is_not_good_is_no_success() -> None:
    poor = replace(OK, status="incomplete", last_good=NOW - timedelta(days=3), incomplete=LeftOut(7))
    found = samples(Report(NOW, (poor, replace(FILES, status="incomplete", last_good=None, incomplete=LeftOut(1)))))
    shop = ("shop", "mariadb")

    assert (found["age_seconds"][shop], found["left_out_files"][shop]) == (3 * 86400, 7)
    assert ("shop", "files") not in found["last_success_timestamp_seconds"]
    assert found["status"]["shop", "incomplete", "mariadb"] == 1


def test_the_status_is_a_state_set() -> None:
    found = samples(REPORT)["status"]

    on = {(app, source): state for (app, state, source), value in found.items() if value}
    assert on == {(row.app, row.source): row.status for row in REPORT.apps}
    assert len(found) == 8 * len(REPORT.apps)


def test_what_the_inventory_wants_has_a_sample_though_it_never_ran() -> None:
    keys = {("box", "shop"): True, ("vault", "shop"): False, ("box", "mail"): False}
    report = Report(NOW, (UNKNOWN,), configured=WANTED, escrowed=keys)
    found = samples(report)

    assert found["configured"][("mail", "files")] == 1
    assert found["max_age_seconds"][("mail", "files")] == 26 * 3600
    assert [line for line in write(report, "prometheus", Look()).splitlines() if line.startswith(KEY)] == [
        KEY + '{app="mail",storage="box"} 0.0',
        KEY + '{app="shop",storage="box"} 1.0',
        KEY + '{app="shop",storage="vault"} 0.0',
    ]


def test_storages() -> None:
    text = write(REPORT, "prometheus", Look())
    assert 'cloudbackup_storage_used_bytes{kind="storagebox",storage="box"} 6.12e+11' in text
    assert 'cloudbackup_storage_up{kind="ssh",storage="vault"} 0.0' in text


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb", "ü{}"])
def test_odd_names_break_no_line(name: str) -> None:
    report = Report(NOW, (replace(FAILED, app=name), FILES), (replace(BOX, storage=name),))

    assert (name, "mariadb") in samples(report)["age_seconds"]


def emitted() -> set[str]:
    """Return the names of all metrics that there are."""
    board = Board()
    runs = [Record("shop", "backup", NOW, "failed", "files")]
    runs += [Record("shop", action, NOW, "ok", "files", 1.0) for action in ("verify", "check", "prune")]
    board.put(replace(REPORT, configured=WANTED, escrowed={("box", "shop"): True}, records={("box", "shop"): runs}), 1)
    text = generate_latest(board.registry).decode()
    return {sample.name for family in text_string_to_metric_families(text) for sample in family.samples}


def test_the_documentation_names_each_metric_and_no_other() -> None:
    documented = re.findall(r"^\| `(cloudbackup_\w+)` \|", (CHECKOUT / "docs/report.md").read_text(), re.MULTILINE)

    assert set(documented) == emitted()


@pytest.mark.parametrize("name", ["cloudbackup.rules.yml", "cloudbackup.rules.test.yml", "grafana-dashboard.json"])
def test_the_examples_name_only_metrics_that_there_are(name: str) -> None:
    text = (CHECKOUT / "examples/prometheus" / name).read_text()

    labels = {"cloudbackup_status"}
    named = set(re.findall(r"\bcloudbackup_\w+", text))
    assert named - labels
    assert named <= emitted()


def test_the_dashboard_is_whole() -> None:
    dashboard = json.loads((CHECKOUT / "examples/prometheus/grafana-dashboard.json").read_text())

    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    variables = {variable["name"] for variable in dashboard["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps([panels, dashboard["links"]]))) - {"__range"}  # Grafana's own
    assert used == variables
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        assert panel["targets"]
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
