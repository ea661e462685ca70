"""Programs of the storages that run on hosts."""
