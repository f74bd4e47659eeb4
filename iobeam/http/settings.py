"""Every default of the HTTP side once, with its unit and its reason."""
from __future__ import absolute_import

# A mobile network may take seconds to wake up; beyond that nobody is there.
CONNECT_SECONDS = 10.0  # for one connection, however many addresses it has
# A backend under load answers late, but sends something within this.
READ_SECONDS = 30.0  # between two bytes of an answer
# A script that measures once a minute should not fall behind.
GIVE_UP_SECONDS = 60.0  # of a call without anything accepted
# Five attempts span up to 7.5 s of backoff: a restart of the backend.
RETRIES = 4  # repeats of one request
# Routers and NATs forget a connection that is silent; a new one costs less
# than a time-out on a dead one.
IDLE_SECONDS = 60.0  # after which a connection is not used again


class Settings(object):
    """How a requester talks; `ClientBuilder` has a method for each.

    Attributes:
        connectTimeout (float): seconds for one connection.
        readTimeout (float): seconds between two bytes of an answer.
        retries (int): repeats of one request.
        compress (bool or None): gzip bodies; None once the backend says that
            it takes them.
        session (requests.Session or None): one of the program's own.
    """

    def __init__(self, session=None):
        self.connectTimeout = CONNECT_SECONDS
        self.readTimeout = READ_SECONDS
        self.retries = RETRIES
        self.compress = None
        self.session = session
