"""`app.kubernetes --output`: a folder for `kubectl apply --kustomize`, with a file for each app."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from tasks.app import manifests, metrics_pod
from tasks.app.manifests import Options
from tasks.app.pod_inventory import object_name
from tasks.app.pod_rights import pods_namespace
from tasks.errors import CloudbackupError, UsageError
from tasks.files import write_whole
from tasks.inventory.inventory import Inventory
from tasks.inventory.models import App

ALL = "inv app.kubernetes --all"
KUSTOMIZATION, METRICS, APPS = "kustomization.yaml", "metrics.yaml", "apps"
CENTRAL = "cloudbackup"  # the namespace of what needs none of an app's
OURS = "# Written by `inv app.kubernetes`.\n"


@dataclass(frozen=True)
class Folder:
    """Where the files go. `tell` gets lines for a person."""

    place: Path
    tell: Callable[[str], None]

    def one(self, inventory: Inventory, name: str, options: Options, words: str) -> None:
        """Write one app's file; `words` are the options that it was made with. Raises UsageError."""
        self._require_ours()
        self._write(f"{APPS}/{name}.yaml", manifests.stream(inventory, name, options, f"inv app.kubernetes {words}"))
        self._kustomization(inventory)

    def all(self, inventory: Inventory, options: Options, monitoring: str) -> None:
        """Write all apps' files, and that of the metrics. What an app's own command wrote stays as it is.

        Raises UsageError for the apps that need more options, after the others are written.
        """
        self._require_ours()
        lacking = []
        for app in inventory.apps.values():
            name, file = f"{APPS}/{app.name}.yaml", self.place / APPS / f"{app.name}.yaml"
            if file.exists() and f"`{ALL}`" not in file.read_text(encoding="utf-8").partition("\n")[0]:
                self.tell(f"{file} stays: its first line names the command that writes it")
                continue
            try:
                self._write(name, manifests.stream(inventory, app.name, _placed(options, app), ALL))
            except UsageError as error:
                lacking.append(f"{error.what}; {error.remedy}" if error.remedy else error.what)
        readable = metrics_pod.readable(inventory)
        try:
            text = metrics_pod.stream(inventory, readable, options.image, options.namespace or CENTRAL, monitoring)
            self._write(METRICS, text)
        except UsageError as error:
            lacking.append(f"metrics: {error.what}")
        for name in sorted(set(inventory.apps) - set(readable)):
            self.tell(f"{name} is not in the metrics: its storage is a directory in a volume")
        self._kustomization(inventory)
        if lacking:
            raise UsageError(
                "\n".join(dict.fromkeys(lacking)),
                f"write each: `inv app.kubernetes --output {shlex.quote(str(self.place))} --app NAME` and options",
            )

    def _require_ours(self) -> None:
        file = self.place / KUSTOMIZATION
        if file.exists() and not file.read_text(encoding="utf-8").startswith(OURS):
            raise UsageError(f"{file} was not written by this task", "name another folder with --output")

    def _kustomization(self, inventory: Inventory) -> None:
        """List the files of the inventory's apps, and name those of others."""
        there = sorted(file.stem for file in (self.place / APPS).glob("*.yaml"))
        for name in there:
            if name not in inventory.apps:
                file = self.place / APPS / f"{name}.yaml"
                self.tell(f"{file} is of no app of the inventory: `kubectl delete --filename` it, and delete it")
        files = [f"{APPS}/{name}.yaml" for name in there if name in inventory.apps]
        files += [METRICS] if (self.place / METRICS).exists() else []
        listed = "".join(f"  - {file}\n" for file in files)
        self._write(
            KUSTOMIZATION,
            f"{OURS}apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n{listed}",
        )

    def _write(self, name: str, text: str) -> None:
        file = self.place / name
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CloudbackupError(f"{file.parent} cannot be made: {error.strerror}") from error
        write_whole(file, text, "the manifest")
        self.tell(str(file))


def _placed(options: Options, app: App) -> Options:
    """Return the options with the app's namespace: its pods' or its own; of an app elsewhere the central one."""
    if options.namespace:
        return options
    own = pods_namespace(app) or object_name(app.name).removeprefix("cloudbackup-")
    return replace(options, namespace=own if app.is_local else CENTRAL)
