"""The contracts, held against the fakes and against the real requester."""
from __future__ import absolute_import

from iobeam import testing
from iobeam.http import request
from tests import contract, contracts, loopback, support


class RealMixin(object):
    """Runs a contract on the real requester, against a loopback server."""

    def setUp(self):
        self.server = loopback.Loopback()
        self.addCleanup(self.server.close)
        self.made = []
        self.addCleanup(self.closeAll)

    def closeAll(self):
        for requester in self.made:
            requester.close()

    def requester(self, *answers):
        self.server.script(*[
            (0, status, {}, "" if body is None else body)
            for status, body in answers])
        self.made.append(request.Requester(self.server.url))
        return self.made[-1]

    def recorded(self):
        return self.server.requests


class FakeRequesterTest(contracts.FakeMixin, contracts.RequesterContract,
                        support.TestCase):
    pass


class FakeServicesTest(contracts.FakeMixin, contracts.ServicesContract,
                       support.TestCase):
    pass


class TestingMixin(object):
    """Runs a contract on what users get for their tests."""

    def setUp(self):
        self.backend = testing.FakeBackend()

    def requester(self, *answers):
        self.backend.fail(*answers)
        return self.backend

    def recorded(self):
        return self.backend.requests


class TestingRequesterTest(TestingMixin, contracts.RequesterContract,
                           support.TestCase):
    pass


class TestingServicesTest(TestingMixin, contracts.ServicesContract,
                          support.TestCase):
    pass


class FakeBackendTest(contract.BackendContract, support.TestCase):
    """The live server's side of it: server/tests/test_contract.py."""

    project, otherProject = 7, 8

    def connect(self):
        self.backend = self.requester = testing.FakeBackend()
        self.backend.knowsDevices = True

    def token(self, permissions=7, project=None, device=None, **claims):
        if device is not None:
            claims["did"] = device
        return testing.makeToken(project or self.project, pms=permissions,
                                 **claims)

    def userToken(self):
        return testing.makeToken(0, uid=5)


class RealRequesterTest(RealMixin, contracts.RequesterContract,
                        support.TestCase):
    def test_other_methods_are_refused(self):
        req = self.ask()
        req.method = "PUT"
        self.assertRaises(ValueError, req.execute)
        self.assertEqual([], self.recorded())


class RealServicesTest(RealMixin, contracts.ServicesContract,
                       support.TestCase):
    pass


class OneRequestServicesTest(contracts.OneRequestMixin,
                             contracts.ServicesContract, support.TestCase):
    # such doubles keep the headers of the request before
    test_tokens = None
