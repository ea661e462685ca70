"""The inventory: what is backed up, and to which storage. `loading` reads it; `models` describes its content."""
