"""Wiring: one root collection. What `inv --list` shows is put together here and nowhere else."""

from invoke import Collection

ns = Collection()
ns.configure({"inventory": "inventory"})
