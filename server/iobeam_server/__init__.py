"""A backend that speaks the iobeam REST API, on SQLite or PostgreSQL."""

__version__ = "1.0.0"
