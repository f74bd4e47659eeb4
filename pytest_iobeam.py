"""The pytest fixture ``iobeamBackend``.

A module of its own outside of the package, so that pytest, which loads it at
every start, imports nothing of iobeam before a test asks for the fixture.
"""
import pytest


@pytest.fixture
def iobeamBackend():
    """A fresh `iobeam.testing.FakeBackend` that every client talks to."""
    from iobeam import testing

    with testing.installed() as backend:
        yield backend
