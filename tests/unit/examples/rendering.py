"""What `kubectl kustomize` makes of the examples, kept so that tests without kubectl see it.

`python -m tests.unit.examples.rendering` writes it anew, with a kubectl of 1.27 or later (kustomize 5).
"""

import hashlib
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.unit.examples.objects import KUBERNETES

PLACES = {name: f"overlays/{name}" for name in ("shop", "blog", "fleet", "fleet-operator")}
RENDERED = Path(__file__).parent / "rendered"
KUBECTL = ("kubectl", "kustomize")


def sources() -> str:
    """Return the digest of all that the renderings are made from."""
    digest = hashlib.sha256()
    for file in sorted(file for file in KUBERNETES.rglob("*") if file.suffix in (".yaml", ".yml")):
        digest.update(f"{file.relative_to(KUBERNETES)}\n".encode() + file.read_bytes())
    return digest.hexdigest()


def render(place: str, kubectl: Sequence[str] = KUBECTL) -> str:
    """Return what kubectl makes of one kustomization."""
    done = subprocess.run(
        [*kubectl, str(KUBERNETES / PLACES[place])], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def kept(place: str) -> str:
    """Return the kept rendering of one kustomization."""
    return (RENDERED / f"{place}.yaml").read_text()


if __name__ == "__main__":
    for each in PLACES:
        (RENDERED / f"{each}.yaml").write_text(f"# made from {sources()}\n{render(each)}")
