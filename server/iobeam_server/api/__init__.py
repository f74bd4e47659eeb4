"""The REST API: one resource per file; decode, authorise, call, encode."""
