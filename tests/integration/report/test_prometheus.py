"""The examples for Prometheus by its own tools. One at work: tests/integration/fleet/test_watched.py."""

import re
import subprocess

import yaml

from lab.packages import find
from tests.integration.fleet.support import CHECKOUT

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


def test_every_alert_leads_to_a_section_of_the_documentation() -> None:
    rules = yaml.safe_load((EXAMPLES / "cloudbackup.rules.yml").read_text())["groups"][0]["rules"]
    for rule in rules:
        file, _, anchor = rule["annotations"]["runbook_url"].partition("#")
        headings = re.findall(r"^#+ (.+)$", (CHECKOUT / file).read_text(), re.MULTILINE)
        assert anchor in {re.sub(r"[^a-z0-9 -]", "", each.lower()).replace(" ", "-") for each in headings}, rule


def test_the_example_configuration_is_valid() -> None:
    subprocess.run([promtool(), "check", "config", "prometheus.yml"], cwd=EXAMPLES, capture_output=True, check=True)


def promtool() -> str:
    path = find("promtool")
    assert path
    return path
