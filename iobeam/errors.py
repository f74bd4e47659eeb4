"""Every exception of the library. Imports nothing.

``except Error`` means "anything this library says about the outside"; a wrong
argument is a ValueError at the call that received it. Each class can be built
from its message alone, so that pickle and copy work; further facts are
attributes.
"""


class Error(Exception):
    """Root of what the library raises about the world outside.

    Attributes:
        statusCode (int or None): HTTP status of the answer, if there was one.
        apiErrors (tuple of dict): the ``errors`` of its body, may be empty.
        cause (Exception or None): what `requests` raised, where there was no
            answer. Copies and pickles leave it out, as Python does.
    """

    cause = None

    def __init__(self, message="", statusCode=None, apiErrors=()):
        Exception.__init__(self, message)
        self.statusCode = statusCode
        self.apiErrors = tuple(apiErrors)


class UnauthorizedError(Error):
    """The backend does not accept the token: 401, 403, none set, expired."""

    @staticmethod
    def noTokenSet():
        """Make the error for a call without a token; the caller raises it.

        It is a ValueError as well: which of the two 0.11.0 raised depended on
        the call.
        """
        return combine(UnauthorizedError, ValueError)("no token set.")


class UnknownCodeError(Error):
    """An answer that is neither success nor a refusal with a class of its own.

    Args:
        reqOrMessage (Request or str): the executed request, whose status and
            body make the message, or the message itself.
    """

    def __init__(self, reqOrMessage="", statusCode=None, apiErrors=()):
        if hasattr(reqOrMessage, "getResponseCode"):
            req = reqOrMessage
            statusCode = req.getResponseCode()
            # a double may know only what a Request of 0.11.0 did
            if hasattr(req, "getApiErrors"):
                apiErrors = req.getApiErrors()
            details = (req.describeAnswer() if hasattr(req, "describeAnswer")
                       else req.getResponse())
            message = "Received unexpected code: {}\nDetails: {}".format(
                statusCode, details)
        else:
            message = reqOrMessage
        Error.__init__(self, message, statusCode, apiErrors)


class UnauthorizedCodeError(UnauthorizedError, UnknownCodeError):
    """A 401 or 403 in places where 0.11.0 raised UnknownCodeError."""


class DuplicateNameError(UnknownCodeError):
    """The device name is taken in this project (code 151)."""


class DuplicateIdError(Error):
    """The device id is taken in this project (code 150)."""

    def __init__(self, message="Device ID already registered.",
                 statusCode=None, apiErrors=()):
        Error.__init__(self, message, statusCode, apiErrors)


class SpoolError(Error):
    """The disk buffer cannot be written, and the rows stay in memory; or read."""


class ConnectionError(Error):
    """No answer: the backend could not be reached, or hung up.

    What is raised is also the `requests` exception of the failure. The name is
    a builtin on Python 3: write ``request.ConnectionError``.
    """


class TimeoutError(Error):
    """No answer in time. Also the `requests` exception of the failure."""


class SendError(Error):
    """Not everything that was pending has been accepted.

    It is also an instance of its cause: UnauthorizedError, or ConnectionError
    or TimeoutError and with them the `requests` exception.

    Attributes:
        accepted (int): rows accepted by this call.
        pending (int): rows still waiting, in memory and in the disk buffer.
        rejected (list of RejectedRow): rows the backend refused for good.
        inDoubt (int): pending rows that may have reached the backend; they are
            sent again, which its upsert makes harmless.
        statusCode (int or None): status of the answer that ended the call.
        apiErrors (tuple of dict): the ``errors`` of that answer.
    """

    def __init__(self, message="", statusCode=None, apiErrors=(), accepted=0,
                 pending=0, rejected=(), inDoubt=0):
        Error.__init__(self, message, statusCode, apiErrors)
        self.accepted = accepted
        self.pending = pending
        self.rejected = list(rejected)
        self.inDoubt = inDoubt


def _rebuild(bases, args, state):
    error = combine(*bases)(*args)
    error.__dict__.update(state)
    return error


def _reduce(self):
    state = dict(self.__dict__)
    for name in ("cause", "__cause__"):  # it may hold a socket
        state.pop(name, None)
    return _rebuild, (type(self)._parts, self.args, state)


def combine(*bases):
    """Give the exception class that is an instance of all of `bases`.

    A base that another one already implies is left out; one class alone is
    returned as it is. Made classes are kept, so the same bases give the same
    class, and their instances can be pickled.
    """
    parts = []
    for base in bases:
        for part in getattr(base, "_parts", (base,)):
            if not any(issubclass(known, part) for known in parts):
                parts = [known for known in parts
                         if not issubclass(part, known)] + [part]
    parts = tuple(parts)
    if len(parts) == 1:
        return parts[0]
    if parts not in _combined:
        _combined[parts] = type(parts[0].__name__, parts, {
            "__module__": parts[0].__module__, "__init__": parts[0].__init__,
            "__str__": Exception.__str__, "__reduce__": _reduce,
            "_parts": parts, "__doc__": parts[0].__doc__})
    return _combined[parts]


_combined = {}
