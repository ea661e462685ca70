"""Storages: where repositories and records lie, and how borg reaches them. One module for each kind."""
