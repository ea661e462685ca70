"""Wiring: one root collection. What `inv --list` shows is put together here and nowhere else."""

from invoke.collection import Collection

ns = Collection()
ns.configure({"inventory": "inventory"})
