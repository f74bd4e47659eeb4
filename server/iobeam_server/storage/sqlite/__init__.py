"""SQLite: one file. What is this engine's own; imports the catalogue and `storage.base`."""
