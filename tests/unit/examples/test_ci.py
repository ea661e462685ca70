"""The pipelines keep to the schemas that their makers publish."""

import subprocess
import sys

import pytest
import yaml

from tests.unit.examples.objects import CHECKOUT

CI = CHECKOUT / "examples/ci"
SCHEMAS = {"github-actions.yml": "vendor.github-workflows", "gitlab-ci.yml": "vendor.gitlab-ci"}


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_pipeline_keeps_to_its_published_schema(name: str) -> None:
    words = (sys.executable, "-m", "check_jsonschema", "--builtin-schema", SCHEMAS[name], str(CI / name))
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_both_jobs_of_github_prepare_the_same_way() -> None:
    jobs = yaml.safe_load((CI / "github-actions.yml").read_text())["jobs"]
    assert jobs["backup"]["steps"][:4] == jobs["report"]["steps"][:4]
