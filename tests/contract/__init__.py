"""What any backend answers: `FakeBackend` here, a live iobeam-server in server/."""
from __future__ import absolute_import

from .asking import typed
from .client import ClientContract
from .devices import DevicesContract
from .imports import ImportsContract
from .queries import QueriesContract
from .tokens import TokensContract

__all__ = ["BackendContract", "typed"]


class BackendContract(DevicesContract, ImportsContract, QueriesContract,
                      TokensContract, ClientContract):
    """All of it; what a TestCase has to give stands in `asking`."""
