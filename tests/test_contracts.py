"""The contracts, held against the fakes and against the real requester."""
from __future__ import absolute_import

from iobeam import testing
from iobeam.http import request
from tests import contracts, loopback, support


class RealMixin(object):
    """Runs a contract on the real requester, against a loopback server."""

    def setUp(self):
        self.server = loopback.Loopback()
        self.addCleanup(self.server.close)
        self.made = []
        self.addCleanup(self.closeAll)

    def closeAll(self):
        for requester in self.made:
            requester._session.close()

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
