"""Builds the project's own Dockerfile, on a machine that has no container engine and reaches no registry of images.

buildah builds it in a chroot, on a Debian that debootstrap makes under the name of the base image. How this machine
reaches its package indexes is handed in from outside, for the time of the build alone: the Dockerfile knows nothing of it.
"""

import json
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).parents[2]
CACHE = Path("/var/tmp/cloudbackup-images")
SUITES = {"12": "bookworm", "13": "trixie"}
SERIES = {"12": "10.11", "13": "11.8"}
CERTIFICATES = "/etc/machine-certificates.crt"


def run(*words: str, **options: Any) -> str:
    """Run a program that must succeed; return its standard output."""
    done: subprocess.CompletedProcess[str] = subprocess.run(
        words, capture_output=True, text=True, check=False, **options
    )
    assert done.returncode == 0, (
        f"{shlex.join(words)} ended with {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    )
    return done.stdout


def buildah(*words: str) -> str:
    """Run buildah on a store of our own, the machine's images left alone."""
    store = ("--root", str(CACHE / "store"), "--runroot", str(CACHE / "run"), "--storage-driver", "overlay")
    return run("buildah", *store, *words).strip()


@dataclass(frozen=True)
class Image:
    """A built image: a container of it, where its files are mounted, its configuration as the OCI has it, its bytes."""

    release: str
    container: str
    root: Path
    config: dict[str, Any]
    size: int


def build(release: str, target: str) -> Image:
    """Build a target of the Dockerfile (none: the last one) for one Debian release, and mount a container of it."""
    _ensure_base(release)
    name = f"localhost/cloudbackup-test:{release}{'-' if target else ''}{target}"
    buildah(
        "build",
        *("--isolation", "chroot", "--network", "host", "--pull-never", "--layers", "--format", "docker"),
        *("--build-arg", f"DEBIAN={release}", "--tag", name, *(("--target", target) if target else ())),
        *(f"--build-arg=BASE_{each}=localhost/debian:{release}-slim" for each in SUITES),  # no registry is reached
        *_machine_settings(),
        str(CHECKOUT),
    )
    config = json.loads(buildah("inspect", "--type", "image", name))["Docker"]["config"]
    container = buildah("from", "--pull-never", name)
    root = Path(buildah("mount", container))
    return Image(release, container, root, config, _size(root))


def forget(image: Image) -> None:
    """Remove the container, not the image: the next build starts from its layers."""
    buildah("rm", image.container)


def _ensure_base(release: str) -> None:
    """Have a minimal Debian under the name of the base image. It lacks what Docker's own image trims off."""
    name = f"localhost/debian:{release}-slim"
    if name in buildah("images", "--format", "{{.Name}}:{{.Tag}}").split():
        return
    suite = SUITES[release]
    archive = CACHE / f"{suite}.tar"
    if not archive.exists():
        folder = CACHE / suite
        shutil.rmtree(folder, ignore_errors=True)
        run("debootstrap", "--variant=minbase", suite, str(folder))
        run("tar", "-C", str(folder), "--exclude=./var/cache/apt/archives/*.deb", "-cf", str(archive) + ".part", ".")
        Path(str(archive) + ".part").rename(archive)
        shutil.rmtree(folder)
    container = buildah("from", "scratch")
    buildah("add", container, str(archive), "/")
    buildah("config", "--cmd", "bash", container)
    buildah("commit", "--rm", container, name)


def _machine_settings() -> list[str]:
    """Return the options that mount pip's settings of this machine, and the folders and files that these name."""
    said = run(sys.executable, "-m", "pip", "config", "list")
    # What the environment says wins over a file, in pip as here.
    found = {name: value for where in ("global", "install", ":env:") for name, value in _settings(said, where)}
    lines, mounts = ["[global]"], []
    for name, value in found.items():
        if name == "cert":
            mounts.append(f"{Path(value).resolve()}:{CERTIFICATES}:ro")
            lines.append(f"cert = {CERTIFICATES}")
            continue
        for path in re.findall(r"(?:file://)?(/[^\s\\]+)", value.replace("\\n", " ")):
            place = Path("/".join(path.split("/")[:3]))
            if place.is_dir():
                mounts.append(f"{place}:{place}:ro")
        lines.append(f"{name} = " + value.replace("\\n", "\n    "))
    settings = CACHE / "pip.conf"
    settings.write_text("\n".join(lines) + "\n")
    mounts.append(f"{settings}:/etc/pip.conf:ro")
    return [word for mount in sorted(set(mounts)) for word in ("--volume", mount)]


def _settings(said: str, where: str) -> list[tuple[str, str]]:
    values = re.findall(rf"^{where}\.([\w-]+)='(.*)'$", said, re.MULTILINE)
    return [(name, value) for name, value in values if name not in ("config-file", "user")]


def _size(root: Path) -> int:
    return int(run("du", "--summarize", "--one-file-system", "--block-size=1", str(root)).split()[0])
