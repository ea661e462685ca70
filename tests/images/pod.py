"""Runs the pods of Kubernetes' manifests: their image, command, environment, mounts and security context, as written.

What a cluster would add is added here: volumes for claims and emptyDir, ConfigMaps and Secrets as folders of links, and the
expansion of $(NAME) in commands.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.images.building import Image
from tests.images.container import Bind, Container

Object = dict[str, Any]


@dataclass
class Cluster:
    """A namespace. `claims` are folders by claim, `secrets` and `config_maps` hold files by name and key.

    `images` are by their name without a tag; `extra` are mounts that a pod gets from outside its manifest.
    """

    folder: Path
    images: Mapping[str, Image]
    claims: Mapping[str, Path] = field(default_factory=dict)
    secrets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    config_maps: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    extra: tuple[Bind, ...] = ()
    pods: int = 0

    def pod(self, spec: Object, given: Mapping[str, str] | None = None) -> tuple[Container, list[str]]:
        """Return a pod's container, ready to run, and its command. `given` is environment that the cluster sets."""
        self.pods += 1
        (container,) = spec["containers"]
        place = self.folder / f"pod-{self.pods}"
        place.mkdir()
        volumes = {volume["name"]: self._volume(volume, place) for volume in spec["volumes"]}
        binds = []
        for mount in container["volumeMounts"]:
            source, read_only = volumes[mount["name"]]
            binds.append(
                Bind(source / mount.get("subPath", ""), mount["mountPath"], read_only or mount.get("readOnly", False))
            )
        who, own = spec["securityContext"], container["securityContext"]
        environment = {**(given or {}), **{each["name"]: each["value"] for each in container.get("env", [])}}
        image = self.images[container["image"].rpartition(":")[0] or container["image"]]
        runs = Container(
            image,
            (*binds, *self.extra),
            environment,
            user=who["runAsUser"],
            capabilities=[name.lower() for name in own["capabilities"].get("add", [])],
            read_only=own["readOnlyRootFilesystem"],
            hostname=place.name,
        )
        assert who["runAsGroup"] == 0
        assert own["allowPrivilegeEscalation"] is False
        command = container.get("command", image.config["Entrypoint"])
        arguments = container.get("args", [] if "command" in container else image.config["Cmd"])
        return runs, [expanded(word, environment) for word in (*command, *arguments)]

    def _volume(self, volume: Object, place: Path) -> tuple[Path, bool]:
        """Return a volume's folder, and whether it is read-only as a whole."""
        folder = place / volume["name"]
        if "persistentVolumeClaim" in volume:
            claim = volume["persistentVolumeClaim"]
            return self.claims[claim["claimName"]], claim.get("readOnly", False)
        folder.mkdir()
        folder.chmod(0o777)
        if "emptyDir" in volume:
            return folder, False
        if "configMap" in volume:
            _project(folder, self.config_maps[volume["configMap"]["name"]], 0o644)
        else:
            _project(folder, self.secrets[volume["secret"]["secretName"]], volume["secret"]["defaultMode"])
        return folder, True


def _project(folder: Path, files: Mapping[str, str], mode: int) -> None:
    """Write files as kubelet does: each name is a link into a folder that a link names."""
    data = folder / "..2026_11_23"
    data.mkdir()
    (folder / "..data").symlink_to(data.name)
    for name, text in files.items():
        (data / name).write_text(text)
        (data / name).chmod(mode)
        (folder / name).symlink_to(f"..data/{name}")


def expanded(word: str, environment: Mapping[str, str]) -> str:
    """Return a word of a command with $(NAME) replaced, as Kubernetes does: what it does not know stays as it is."""

    def value(found: re.Match[str]) -> str:
        if found.group() == "$$":
            return "$"
        return environment.get(found.group(1), found.group())

    return re.sub(r"\$\$|\$\(([^)]*)\)", value, word)
