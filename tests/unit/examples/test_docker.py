"""The Dockerfile and compose.yaml, read; tests/images builds and runs them."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from tasks.version import VERSION
from tests.unit.examples.objects import CHECKOUT

DOCKERFILE = (CHECKOUT / "Dockerfile").read_text()
EXAMPLE = CHECKOUT / "examples/docker-backup"


def test_compose_keeps_to_its_published_schema() -> None:
    words = (sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec")
    done = subprocess.run(
        (*words, str(EXAMPLE / "compose.yaml")), capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_backups_of_compose_are_locked_in() -> None:
    values = yaml.safe_load((EXAMPLE / "compose.yaml").read_text())
    series = values["services"]["db"]["image"]
    assert (series, values["x-backup"]["build"]["args"]["DEBIAN"]) == ("mariadb:11.8", "13")
    for name in ("nightly", "backup", "restore"):
        # Of what container engines give by themselves, and nothing with which a container is left.
        assert set(values["services"][name]["cap_add"]) == {
            "CHOWN",
            "DAC_OVERRIDE",
            "FOWNER",
            "KILL",
            "SETGID",
            "SETUID",
        }
        service = values["services"][name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        data = [volume for volume in service["volumes"] if re.match(r"(files|database):", volume)]
        assert all(volume.endswith(":ro") for volume in data) or name == "restore"
    declared = set(values["secrets"])
    assert all(set(service.get("secrets", ())) <= declared for service in values["services"].values())
    for script in ("nightly", "put-back", "backup-account.sh"):
        assert subprocess.run(("sh", "-n", str(EXAMPLE / script)), check=False).returncode == 0


def test_what_the_dockerfile_copies_is_what_dockerignore_lets_in() -> None:
    ignored = (CHECKOUT / ".dockerignore").read_text().split("\n")
    assert "*" in ignored
    let_in = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    copied = {
        word for words in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE) for word in words.split()[:-1]
    }
    assert {Path(word).parts[0] for word in copied} == let_in
    assert all((CHECKOUT / word).exists() for word in copied)


def test_what_the_image_is_begun_with_answers(tmp_path: Path) -> None:
    """The packages are installed by `inv` before the rest of the project is copied: so much must do for it."""
    begun = DOCKERFILE.split("RUN ./inv --version")[0]
    for words in re.findall(r"^COPY (?!--from)(.+)$", begun, re.MULTILINE):
        *names, target = words.split()
        (tmp_path / target).mkdir(exist_ok=True)
        for name in names:
            shutil.copy(CHECKOUT / name, tmp_path / target)
    words = (sys.executable, "-P", "tasks/program.py", "--search-root", str(tmp_path), "--version")
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert VERSION in done.stdout


def test_the_image_is_made_small_and_for_a_user_other_than_root() -> None:
    users = re.findall(r"^USER (.+)$", DOCKERFILE, re.MULTILINE)
    assert users[-1] == "10001:0"
    assert (
        DOCKERFILE.count("apt-get install")
        == DOCKERFILE.count("--no-install-recommends")
        == DOCKERFILE.count("rm -rf /var/lib/apt/lists/*")
    )
    for word in ("HEALTHCHECK", "ENTRYPOINT", "org.opencontainers.image.licenses", "ARG DEBIAN=13"):
        assert word in DOCKERFILE
