"""Wiring: one root collection. What `inv --list` shows is put together here and nowhere else."""

from pathlib import Path

from invoke.collection import Collection

from tasks import app, bench, borg, fleet, lab, report, storagebox

mariadb = Collection("mariadb")
mariadb.add_task(fleet.mariadb_backup)
mariadb.add_task(fleet.mariadb_binlog)
mariadb.add_task(fleet.mariadb_restore)
mariadb.add_task(fleet.mariadb_verify)

laboratory = Collection("lab")
for each in (lab.up, lab.down, lab.status, lab.audit):
    laboratory.add_task(each)

ns = Collection(fleet.backup, fleet.restore, fleet.verify, fleet.prune, fleet.check, lab.demo, lab.test)
for room in (app, bench, borg, report, storagebox):
    ns.add_collection(Collection.from_module(room))
ns.add_collection(mariadb)
ns.add_collection(laboratory)
ns.configure({"inventory": str(Path(__file__).parents[1] / "inventory")})
