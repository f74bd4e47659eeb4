"""A backend that speaks the iobeam REST API, on SQLite."""

__version__ = "1.0.0"
