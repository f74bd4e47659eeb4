"""Who has put himself between this library and the network.

Test suites replace parts of `requests` (requests_mock, responses, mock.patch),
and so do programs that watch their traffic. What goes past the replaced part
would not be seen; so each attempt asks here first.
"""
from __future__ import absolute_import

import operator

import requests
from requests import adapters, api, sessions
from requests.packages.urllib3 import connection, connectionpool

from iobeam.http.heads import client

# In one look each, since this is asked for every request.
_SESSION = ("send", "request", "post", "get", "get_adapter")
OF_SESSIONS = frozenset(_SESSION + ("HTTPAdapter.send",))
_NAMED = frozenset(["request", "post", "get", "requests.post", "requests.get",
                    "Session"])  # what programs call themselves
_ofSession = operator.itemgetter(*_SESSION)
_ofModule = operator.itemgetter("post", "get", "Session")
_ofAdapter = operator.itemgetter("send")
_COUNT = len(_SESSION) + 4

# The class itself, also while `requests.Session` is something else.
Session = sessions.SessionRedirectMixin.__subclasses__()[0]

_known = (None,) * _COUNT  # the parts as `requests` has them


def _look():
    return (_ofSession(Session.__dict__) + _ofModule(requests.__dict__)
            + (_ofAdapter(adapters.HTTPAdapter.__dict__),))


def isNothing():
    """Tell whether `requests` is as it was installed."""
    found = _look()
    return all(map(operator.is_, found, _known)) or _learn(found)


def _learn(found):
    """Note the parts once they are all the ones of the package.

    A double may be in place before this module is imported, so that what is
    there at first proves nothing: a function tells where it was defined.
    """
    global _known
    if not all(map(_isOwn, found)):
        return False
    _known = found
    return True


def _isOwn(part):
    """Tell whether it was defined in the files of `requests`."""
    return part is Session or _fileOf(part) in _FILES


def _fileOf(part):
    return getattr(getattr(part, "__code__", None), "co_filename", None)


# Functions that nobody has a reason to replace tell the names of the files.
_FILES = frozenset(function.__code__.co_filename for function in (
    sessions.merge_setting, api.options,
    adapters.HTTPAdapter.__dict__["__init__"]))
_FILES_BELOW = frozenset(function.__code__.co_filename for function in (
    connectionpool.connection_from_url, connection.HTTPConnection.__init__,
    client.HTTPConnection.__init__))


def isNothingBelow(poolClass, connectionClass):
    """Tell whether the same goes for what `requests` has urllib3 do.

    Programs that trace calls put themselves there, and around http.client.

    Args:
        poolClass (type), connectionClass (type): of urllib3.
    """
    found = ((poolClass.urlopen,) + _ofConnection(connectionClass)
             + _ofConnection(client.HTTPConnection))
    key = poolClass, connectionClass
    if found != _below.get(key):
        if not all(_fileOf(part) in _FILES_BELOW for part in found):
            return False
        _below[key] = found
    return True


_ofConnection = operator.attrgetter(
    "request", "putrequest", "putheader", "endheaders", "send", "getresponse")
_below = {}  # (class of pools, class of connections) to the parts they have


def names():
    """Return the names of the replaced parts of `requests.Session` (set).

    With "Session" for the class as a whole, and ``requests.post`` and
    ``requests.get`` under these names.
    """
    found = _look()
    shown = _SESSION + ("requests.post", "requests.get", "Session",
                        "HTTPAdapter.send")
    return set(name for name, part in zip(shown, found) if not _isOwn(part))


def namesOf(session):
    """The same for what a program's own session has of its own."""
    if not isinstance(session, Session):
        return set(_SESSION)
    mine = set(name for name in _SESSION if name in vars(session))
    for name in _SESSION:
        owner = next(kind for kind in type(session).__mro__
                     if name in vars(kind))
        if owner is not Session:
            mine.add(name)
    if (session.hooks or {}).get("response"):
        mine.add("send")  # which calls the hooks
    return mine | names()


def isCalledByName(replaced):
    """Tell whether the replaced parts are such as a program calls itself."""
    return bool(_NAMED & replaced)
