"""The inventory: what is backed up, and where to. `loading` reads it; `models` says what it holds."""
