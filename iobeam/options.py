"""What a builder sets beyond the arguments that a client always had."""
from __future__ import absolute_import

import os

from iobeam import outbox
from iobeam.http import address, request, settings


class Options(object):
    """Each default once; `ClientBuilder` has a method for each attribute.

    Attributes:
        settings (Settings): how requests are made.
        giveUpAfter (float): seconds of a `send` without anything accepted.
        batchSize (int or None): values of a request; None: as the backend says.
        useServerTime (bool): "now" is the server's.
        buffer (tuple or None): folder and bytes of the disk buffer.
        autoFlush (int): rows in memory that are committed unasked.
    """

    def __init__(self):
        self.settings = settings.Settings()
        self.giveUpAfter = settings.GIVE_UP_SECONDS
        self.batchSize = None
        self.useServerTime = False
        self.buffer = None
        self.autoFlush = outbox.DEFAULT_AUTO_FLUSH

    def spool(self, requester):
        """Open the disk buffer for what goes to a requester's backend.

        Returns:
            Spool or None: None if there is to be none.

        Raises:
            SpoolError: its folder cannot be written.
        """
        if self.buffer is None:
            return None
        path, maxBytes = self.buffer
        if not os.access(path, os.W_OK | os.X_OK):
            raise request.SpoolError(
                "bufferToDisk: the folder {} cannot be written by this user; "
                "make it writable, or choose another".format(path))
        from iobeam.spool import buffer  # SQLite: for those who ask

        return buffer.Spool(path, maxBytes, baseUrl=address.backendOf(
            request.baseUrlOf(requester)))
