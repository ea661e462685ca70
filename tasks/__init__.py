"""Wiring: the root collection. Everything that `inv --list` shows is added here and nowhere else."""

from importlib.util import find_spec
from pathlib import Path

from invoke.collection import Collection

from tasks import app, borg, fleet, report, schedule, storagebox
from tasks import mariadb as database

mariadb = Collection("mariadb")
mariadb.add_task(fleet.mariadb_backup)
mariadb.add_task(fleet.mariadb_binlog)
mariadb.add_task(database.mariadb_dump)
mariadb.add_task(database.mariadb_open)
mariadb.add_task(fleet.mariadb_restore)
mariadb.add_task(fleet.mariadb_verify)

ns = Collection(fleet.backup, fleet.restore, fleet.find, fleet.verify, fleet.prune, fleet.check)
ns.add_task(app.init)
ns.add_task(schedule.nightly)
ns.add_collection(Collection("schedule", schedule.show_schedule, schedule.install_schedule))
apps = (
    app.add_app,
    app.import_app,
    app.remove_app,
    app.rename_app,
    app.move_app,
    app.list_apps,
    app.check_apps,
    app.find_containers,
    app.print_manifests,
)
ns.add_collection(Collection("app", *apps))
for room in (borg, report, storagebox):
    ns.add_collection(Collection.from_module(room))
ns.add_collection(mariadb)

if find_spec("lab") is not None:  # the container image does not include it
    from lab import bench
    from lab import tasks as lab

    ns.add_task(lab.demo)
    ns.add_task(lab.test)
    ns.add_collection(Collection("lab", lab.up, lab.down, lab.status, lab.audit))
    ns.add_collection(Collection.from_module(bench))

ns.configure({"inventory": str(Path(__file__).parents[1] / "inventory")})
