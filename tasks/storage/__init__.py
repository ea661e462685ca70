"""Storages: where repositories and records are kept, and how borg reaches them. One module per kind."""
