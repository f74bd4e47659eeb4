"""What a client keeps on disk about itself: the device id, and its token.

``iobeam_device_id`` holds the bare id, as 0.11.0 and other clients read it;
``iobeam_state.json`` says which project and backend it belongs to, and holds
the refreshed token. Both are written to a temporary file, fsynced and renamed.
"""
from __future__ import absolute_import

import errno
import hashlib
import io
import json
import os
import tempfile

from iobeam.errors import Error
from iobeam.utils import compat, files, utils

_ID_FILE = "iobeam_device_id"
_STATE_FILE = "iobeam_state.json"


class Identity(object):
    """The files of one client in a folder.

    Args:
        path (str): an absolute folder.
        projectId (int), baseUrl (str): what the state must have been
            written for.
        token (str): the builder's; a stored token must descend from it.
    """

    def __init__(self, path, projectId, baseUrl, token):
        self.path = path
        self._projectId = projectId
        self._baseUrl = baseUrl
        self._tokenHash = hashlib.sha256(
            compat.toText(token).strip().encode("utf-8")).hexdigest()
        self._unsaved = None
        self._warned = False

    def checkFolder(self):
        """See that the folder exists and takes files, before registering.

        Raises:
            Error: it does not.
        """
        if not os.path.isdir(self.path):
            raise Error("saveToDisk: the folder {} does not exist; create it"
                        .format(self.path))
        try:
            handle, name = tempfile.mkstemp(prefix=".iobeam", dir=self.path)
            os.close(handle)
            os.remove(name)
        except EnvironmentError as error:
            raise Error("saveToDisk: the folder {} cannot be written: {}"
                        .format(self.path, error))

    def readDeviceId(self):
        """Return the id on disk, or None.

        Raises:
            Error: the file is there and cannot be read: to register anew
                would make a second device of this one.
        """
        file = os.path.join(self.path, _ID_FILE)
        try:
            with io.open(file, "rb") as opened:
                raw = opened.read()
        except EnvironmentError as error:
            # a folder that cannot be searched looks empty, and is not
            if error.errno in (errno.ENOENT, errno.ENOTDIR) \
                    and not os.path.lexists(file):
                return None
            raise Error("the device id {} cannot be read: {}".format(
                file, error))
        try:
            deviceId = str(raw.decode("utf-8-sig").strip())
            utils.checkValidDeviceId(deviceId)
        except ValueError as error:
            utils.getLogger().warning(
                "%s holds no valid device id (%s) and is not used", file,
                utils.shorten(str(error)))
            return None
        state = self._readState()
        project = state.get("device_project_id", state.get("project_id"))
        if state.get("device_id") == deviceId and project != self._projectId:
            utils.getLogger().warning(
                "%s holds the device id of project %s and is not used", file,
                project)
            return None
        return deviceId

    def saveDeviceId(self, deviceId):
        """Keep the id; if the disk does not take it, warn and keep trying.

        What is on disk already is not written again, and is looked at each
        time: a file that somebody removed or changed is mended.
        """
        self._unsaved = deviceId
        self.saveUnsaved()

    def saveUnsaved(self):
        """Try again to save an id that the disk did not take."""
        if self._unsaved is None:
            return
        try:
            if not self._holds(self._unsaved):
                files.writeFile(self.path, _ID_FILE, self._unsaved, 0o644)
            state = self._readState()
            owner = {"device_id": self._unsaved,
                     "device_project_id": self._projectId}
            if any(state.get(name) != fact for name, fact in owner.items()):
                self._updateState(owner)
            self._unsaved = None
            self._warned = False
        except EnvironmentError as error:
            if not self._warned:  # not at every call
                utils.getLogger().warning(
                    "the device id %s could not be saved (%s); the next call "
                    "tries again", self._unsaved, error)
            self._warned = True

    def _holds(self, deviceId):
        """Tell whether the file of the id holds exactly this one."""
        try:
            with io.open(os.path.join(self.path, _ID_FILE), "rb") as opened:
                return opened.read() == compat.toText(deviceId).encode("utf-8")
        except EnvironmentError:
            return False  # writing it says what is wrong

    def readToken(self):
        """Return (token, received at) that descend from ours, or None."""
        state = self._readState()
        token, received = state.get("token"), state.get("token_received")
        if (state.get("project_id") == self._projectId
                and state.get("base_url") == self._baseUrl
                and state.get("token_sha256") == self._tokenHash
                and isinstance(token, compat.TEXTS)
                and compat.isNumber(received)):
            return token, received
        return None

    def saveToken(self, token, received):
        """Keep a refreshed token for the next start; failing is a warning."""
        try:
            self._updateState({"token": token, "token_received": received,
                               "token_sha256": self._tokenHash})
        except EnvironmentError as error:
            utils.getLogger().warning(
                "the refreshed token could not be saved: %s", error)

    def _readState(self):
        try:
            with io.open(os.path.join(self.path, _STATE_FILE), "rb") as opened:
                state = compat.parse(json.loads,
                                     opened.read().decode("utf-8"))
        except (EnvironmentError, ValueError, RuntimeError):  # deep nesting
            return {}
        return state if isinstance(state, dict) else {}

    def _updateState(self, facts):
        state = self._readState()
        if (state.get("project_id") != self._projectId
                or state.get("base_url") != self._baseUrl):
            # Another project's token is of no use here; whose the device id
            # on disk is must stay known until it is replaced.
            kept = {"project_id": self._projectId, "base_url": self._baseUrl}
            if "device_id" in state:
                kept["device_id"] = state["device_id"]
                kept["device_project_id"] = state.get(
                    "device_project_id", state.get("project_id"))
            state = kept
        state.update(facts)
        files.writeFile(self.path, _STATE_FILE, json.dumps(
            state, sort_keys=True, indent=1), 0o600)
