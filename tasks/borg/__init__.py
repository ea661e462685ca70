"""borg."""
