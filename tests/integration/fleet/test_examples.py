"""The examples at work on a lab: their own scripts, commands and files, with the lab's addresses and paths in them."""

import os
import shutil
import stat
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.lab import Lab
from tests.integration.fleet.support import CHECKOUT, Operator, eventually

EXAMPLES = CHECKOUT / "examples"
# What the service grants to root, and nothing else: reading what belongs to others, and what ssh wants of root.
READING_ONLY = ("setpriv", "--bounding-set", "-all,+dac_read_search,+setgid", "--no-new-privs", "--")


def lab_values(lab: Lab, file: str) -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load((lab.inventory / file).read_text())
    return values


def run(*words: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, env=dict(environment), cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


@pytest.fixture
def home(lab: Lab, tmp_path: Path) -> Path:
    """Return a home whose key may append to shop's repository, as that of the app's host may."""
    home = tmp_path / "home"
    shutil.copytree(lab.apps["shop"].home / ".ssh", home / ".ssh")
    return home


def test_the_local_example_backs_up_its_own_host(lab: Lab, saved: str, operator: Operator, home: Path) -> None:
    """`host: local`: the example's own script and inventory, as root who may read everything and no more."""
    local = operator_with(EXAMPLES / "local-backup/inventory", home.parent / "etc")
    box, shop = lab_values(lab, "cloudbackup.yml")["storages"]["box"], lab_values(lab, "apps/shop.yml")

    def places(values: dict[str, Any]) -> None:
        values["storages"]["box"].update({key: box[key] for key in ("host", "port", "user", "key", "host_key")})
        values.update({"escrow": str(home / "keys"), "cache": str(home / "cache")})

    def paths(values: dict[str, Any]) -> None:
        values["passphrase"], values["files"]["paths"] = shop["passphrase"], shop["files"]["paths"]
        values["mariadb"] = {"defaults_file": shop["mariadb"]["defaults_file"]}

    local.change("cloudbackup.yml", places)
    local.change("apps/shop.yml", paths)
    before = set(operator.archives("shop"))
    environment = {**local.environment(), "HOME": str(home), "TZ": zone_of_three_oclock()}
    limits = READING_ONLY if os.geteuid() == 0 else ()
    example = str(EXAMPLES / "local-backup/nightly")
    done = run(*limits, example, environment=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(set(operator.archives("shop")) - before) == 2
    assert "2 of 2 saved" in done.stdout
    assert "last saved" in done.stdout  # the report's head
    done = run(*limits, example, environment=environment)
    assert (done.returncode, "saved in" in done.stdout) == (0, False), done.stdout + done.stderr
    local.change("apps/shop.yml", lambda values: values["files"].update(paths=["/no/such/path"]))
    done = run(*limits, example, environment={**environment, "TZ": zone_of_three_oclock()})
    assert done.returncode == 3, done.stdout + done.stderr
    operator.done("backup", "--app", "shop", "--source", "files")


def zone_of_three_oclock() -> str:
    """Return a time zone in which 03:00, when the example's backup is due, is the second that begins next; wait for it."""
    due = int(time.time()) + 1
    assert eventually(lambda: time.time() > due)
    ahead = 3 * 3600 - due % 86400  # of UTC; a zone's name has the sign the other way round
    hours, rest = divmod(abs(ahead), 3600)
    return f"LAB{'-' if ahead >= 0 else '+'}{hours:02}:{rest // 60:02}:{rest % 60:02}"


def operator_with(inventory: Path, copy: Path) -> Operator:
    return Operator(inventory).copy(copy)


# Takes what the header of `app.kubernetes` gives to kubectl, and makes the folder that a pod would see.
KUBECTL = """
kubectl() {
  [ "$1 $2 $3" = "create secret generic" ] || return 9
  folder=$SECRETS/$4; mkdir -p "$folder"; shift 4
  for word; do
    name=${word#--from-*=}; value=${name#*=}; name=${name%%=*}
    case $word in
      --from-file=*) cat <"$value" >"$folder/$name" ;;
      --from-literal=*) printf %s "$value" >"$folder/$name" ;;
      *) return 9 ;;
    esac
  done
}
set -e
"""


def test_the_manifests_of_an_app_run_as_they_are_printed(lab: Lab, saved: str, operator: Operator, home: Path) -> None:
    """`app.kubernetes` of an app on a host of its own: Secrets by its own commands, then the pods' own arguments.

    The container's root is this machine here; tests/images runs pods in the built image.
    """
    text = operator.done("app.kubernetes", "--app", "blog")
    commands = [line[6:] for line in text.splitlines() if line.startswith("#     ")]
    secrets = home.parent / "made"
    made = run(
        "bash",
        "-c",
        KUBECTL + "\n".join(commands),
        environment={**os.environ, "SECRETS": str(secrets), "HOME": "/root"},
    )
    assert made.returncode == 0, made.stderr
    objects = [each for each in yaml.safe_load_all(text) if each]
    pod = home.parent / "pod"
    for name, place in (("ssh", ".ssh"), ("secrets", "cloudbackup/secrets")):
        shutil.copytree(secrets / f"cloudbackup-blog-{name}", pod / "home" / place)
    for file in (pod / "home").rglob("*"):
        file.chmod(0o700 if file.is_dir() else stat.S_IRUSR)
    (pod / "inventory/apps").mkdir(parents=True)
    for each in objects:
        for name, content in each.get("data", {}).items():
            (pod / "inventory" / ("apps" if name == "blog.yml" else "") / name).write_text(content)
    environment = {
        **operator.environment(),
        "HOME": str(pod / "home"),
        "INVOKE_INVENTORY": str(pod / "inventory"),
    }
    before = set(operator.archives("blog"))
    for each in objects:
        if each["kind"] == "CronJob":
            (container,) = each["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
            done = run(*started(container), environment=environment)
            assert done.returncode == 0, done.stdout + done.stderr
    assert len(set(operator.archives("blog")) - before) == 2
    assert operator.report()["blog", "mariadb"]["proven"]


def started(container: dict[str, Any]) -> list[str]:
    """Return what a container of a pod runs, here: arguments for the image's entry point, or a line for a shell."""
    inv = str(CHECKOUT / "inv")
    if "command" not in container:
        return [inv, *container["args"]]
    init, command = container["command"][:3], container["command"][3:]
    assert init == ["/usr/bin/tini", "-g", "--"]
    return [word.replace("/opt/cloudbackup/inv", inv) for word in (*command, *container["args"])]


def pipeline(name: str) -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load((EXAMPLES / "ci" / name).read_text())
    return values


@pytest.fixture
def workspace(lab: Lab, saved: str, tmp_path: Path) -> Path:
    """Return a new CI machine's folder: a private repository with an inventory, beside it an empty home."""
    for folder in ("home", "work/page"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "work/page").rmdir()
    (tmp_path / "work/cloudbackup").symlink_to(CHECKOUT)
    repository = operator_with(lab.inventory, tmp_path / "work/inventory")
    repository.change(
        "cloudbackup.yml",
        lambda values: values["storages"]["box"].update(key="~/.ssh/id_ed25519") or values.pop("cache"),
    )
    night = {"backup": "03:00", "check": "never", "verify": "never", "prune": "never"}
    repository.change("cloudbackup.yml", lambda values: values.update(schedule=night))
    for app in ("shop", "blog"):

        def change(values: dict[str, Any], app: str = app) -> None:
            values["ssh"]["key"] = "~/.ssh/id_ed25519"
            values["passphrase"] = {"file": f"~/cloudbackup/secrets/{app}"}

        repository.change(f"apps/{app}.yml", change)
    return tmp_path


def passphrases(lab: Lab) -> str:
    secrets = lab.folder / "operator/secrets"
    return "".join(f"{app}={(secrets / app).read_text()}" for app in ("shop", "blog"))


def in_ci(workspace: Path, lines: str, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a job's lines as both systems do: bash that ends at the first failure; `options` are more for bash."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(workspace / "home"),
        "INVOKE_INVENTORY": str(workspace / "work/inventory"),
        "BORG_SELFTEST": "disabled",
        **variables,
    }
    words = ("bash", "-e", *options, "-c", lines)
    return subprocess.run(
        words,
        cwd=workspace / "work",
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def break_blog(workspace: Path) -> None:
    """Let each backup of the blog's files fail."""
    operator = Operator(workspace / "work/inventory")
    operator.change("apps/blog.yml", lambda values: values["files"].update(paths=["/no/such/path"]))


def test_the_pipeline_of_github_backs_up_and_reports(lab: Lab, workspace: Path, operator: Operator) -> None:
    jobs = pipeline("github-actions.yml")["jobs"]
    steps = {step["name"]: step["run"] for job in jobs.values() for step in job["steps"] if "name" in step}
    secrets = {"SSH_KEY": lab.operator_key.read_text(), "PASSPHRASES": passphrases(lab)}
    made = in_ci(workspace, steps["Put the keys where the inventory expects them"], **secrets)
    assert made.returncode == 0, made.stderr
    part = jobs["backup"]["strategy"]["matrix"]["part"][0]
    back_up = steps["Do what is due"].replace("${{ matrix.part }}", part)
    before = len(operator.archives("blog"))
    saved = in_ci(workspace, back_up, TZ=zone_of_three_oclock())
    assert (saved.returncode, "2 of 2 saved" in saved.stdout) == (0, True), saved.stdout + saved.stderr
    assert len(operator.archives("blog")) == before + 2
    summary, page = workspace / "summary.md", workspace / "work/page/index.html"
    output = workspace / "output"
    files = {"GITHUB_STEP_SUMMARY": str(summary), "GITHUB_OUTPUT": str(output)}
    reported = in_ci(workspace, steps["Report"], **files)
    assert reported.returncode == 0, reported.stdout + reported.stderr
    assert output.read_text() == "made=yes\n"
    assert "| blog" in summary.read_text()
    assert "blog" in page.read_text()

    shutil.rmtree(page.parent)
    summary.unlink()
    break_blog(workspace)
    assert in_ci(workspace, back_up, TZ=zone_of_three_oclock()).returncode == 3
    assert jobs["report"]["if"] == "always()"  # the run goes on to the report, keeps it, and publishes it if it is to
    *_, kept, published = jobs["report"]["steps"]
    assert [step["with"]["path"] for step in (kept, published)] == ["page", "page"]
    assert "CLOUDBACKUP_PAGE" not in kept["if"]
    for job in (kept, published, jobs["page"]):
        assert job["if"].startswith("${{ !cancelled() && ")
    for job in (published, jobs["page"]):
        assert "vars.CLOUDBACKUP_PAGE == 'yes'" in job["if"]
    assert in_ci(workspace, steps["Report"], **files).returncode == 3
    assert "none of the paths to back up exists" in summary.read_text()
    assert "none of the paths to back up exists" in page.read_text()
    operator.done("backup", "--app", "blog", "--source", "files")


def test_the_pipeline_of_gitlab_backs_up_and_reports(lab: Lab, workspace: Path, operator: Operator) -> None:
    jobs = pipeline("gitlab-ci.yml")
    # A variable's last line lacks its end when nobody typed one.
    (workspace / "key").write_text(lab.operator_key.read_text().rstrip("\n"))
    (workspace / "passphrases").write_text("".join(reversed(passphrases(lab).splitlines(keepends=True))).rstrip("\n"))
    variables = {
        "CLOUDBACKUP_SSH_KEY": str(workspace / "key"),
        "CLOUDBACKUP_PASSPHRASES": str(workspace / "passphrases"),
        "CI_NODE_TOTAL": str(jobs["backup"]["parallel"]),
    }

    def job(name: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run one job in a home of its own, as each has a container of its own."""
        shutil.rmtree(workspace / "home")
        (workspace / "home").mkdir()
        lines = "\n".join([*jobs["default"]["before_script"], *jobs[name]["script"]])
        lines = lines.replace("/opt/cloudbackup/", "cloudbackup/")
        return in_ci(workspace, lines, "-o", "pipefail", **variables, **more)

    saved = job("backup", CI_NODE_INDEX="2", TZ=zone_of_three_oclock())
    assert (saved.returncode, "2 of 2 saved" in saved.stdout) == (0, True), saved.stdout + saved.stderr
    for name in ("report", "pages", "verdict"):
        done = job(name)
        assert done.returncode == 0, (name, done.stdout, done.stderr)
    table, page = workspace / "work/report.md", workspace / "work/public/index.html"
    assert "| shop" in table.read_text()
    assert "shop" in page.read_text()
    assert jobs["variables"]["INVOKE_INVENTORY"] == "$CI_PROJECT_DIR/inventory"

    break_blog(workspace)
    assert job("backup", CI_NODE_INDEX="1", TZ=zone_of_three_oclock()).returncode == 3
    assert [jobs[name]["when"] for name in ("report", "verdict")] == ["always", "always"]
    assert jobs["pages"]["rules"] == [{"if": '$CLOUDBACKUP_PAGE == "yes"', "when": "always"}]
    assert [job(name).returncode for name in ("report", "verdict")] == [0, 3]
    assert "none of the paths to back up exists" in table.read_text()
    assert "none of the paths to back up exists" in page.read_text()
    assert jobs["report"]["artifacts"]["paths"] == ["public", "report.md"]
    operator.done("backup", "--app", "blog", "--source", "files")
