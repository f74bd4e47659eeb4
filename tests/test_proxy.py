from __future__ import absolute_import

import threading

from iobeam.http import request
from tests import loopback, proxy, support

CUT = "no answer"


class ProxyTest(support.TestCase):
    def setUp(self):
        self.server = loopback.Loopback()
        self.addCleanup(self.server.close)
        self.proxy = proxy.Proxy(self.server.port)
        self.addCleanup(self.proxy.close)
        self.proxy.hangSeconds = 0.1
        settings = request.Settings()
        settings.retries = 0
        self.requester = request.Requester(self.proxy.url, settings)
        self.addCleanup(self.requester._session.close)

    def ask(self, number=1):
        """Send a row; return the status of the answer."""
        body = {"project_id": 1, "device_id": "dev", "timefmt": "usec",
                "sources": {"fields": ["time", "v"],
                            "data": [[number, number]]}}
        req = self.requester.post(self.requester.makeEndpoint("imports"))
        req.setBody(body).setParam("fmt", "table").token("t")
        try:
            req.execute()
        except request.ConnectionError:
            return CUT
        return req.getResponseCode() if req.isAccepted() else (
            "page" if req.getResponseCode() == 200 else "status")

    def applied(self):
        return [row.values["v"] for row in self.server.applied]

    def test_each_fault_does_what_its_name_says(self):
        for name, outcome, arrived in (
                ("pass", 200, (1,)), ("cut-before", CUT, (0,)),
                ("cut-amid", CUT, (0,)), ("cut-after", CUT, (0,)),
                ("close-after", CUT, (0,)), ("lose", CUT, (1,)),
                ("lose-in-order", CUT, (1,)), ("cut-answer", CUT, (1,)),
                ("delay", 200, (1,)), ("delay-answer", 200, (1,)),
                ("hang", CUT, (0, 1)), ("repeat", 200, (2,)),
                ("repeat-later", 200, (1,)), ("interim", 200, (1,)),
                ("status", "status", (0, 1)), ("portal", "page", (0, 1)),
                ("trickle", 200, (1,)), ("close-idle", 200, (1,)),
                ("half-close", 200, (1,))):
            self.server.applied = []
            self.proxy.strays = []
            self.proxy.script = [name]
            self.assertEqual(outcome, self.ask(), name)
            self.assertIn(len(self.applied()), arrived, name)
            self.assertEqual([], self.proxy.script)
            self.requester._session.close()
        self.assertEqual(set(proxy.FAULTS), set(self.proxy.counts))

    def test_a_stray_comes_behind_the_next_request(self):
        self.proxy.script = ["repeat-later", "pass", "pass"]
        for number in (1, 2, 3):
            self.assertEqual(200, self.ask(number))
        self.assertEqual([1, 2, 1, 3], self.applied())

    def test_the_same_seed_picks_the_same_faults(self):
        def faults(seed):
            self.proxy.seed = seed
            found = [self.proxy.faultOf(number) for number in range(200)]
            return [(name, pick.random()) for name, pick in found]

        self.assertEqual(faults(5), faults(5))
        self.assertNotEqual(faults(5), faults(6))
        self.assertEqual(set(proxy.FAULTS),
                         set(name for name, _ in faults(5)))

    def test_it_is_quiet_when_nothing_is_underway(self):
        self.proxy.script = ["delay-answer"]
        sender = threading.Thread(target=self.ask)
        sender.start()
        self.server.waitFor(lambda: self.server.applied)
        self.proxy.waitForQuiet()
        self.assertEqual(0, self.proxy._underway)
        sender.join(5)
        self.assertFalse(sender.is_alive())

    def test_a_calm_proxy_passes_everything_on(self):
        self.proxy.isCalm = True
        self.assertEqual([200] * 20, [self.ask(k) for k in range(20)])
        self.assertEqual({"pass": 20}, dict(self.proxy.counts))

    def test_a_backend_that_is_gone_is_a_502(self):
        self.proxy.target = loopback.freePort()
        self.proxy.isCalm = True
        self.assertEqual("status", self.ask())
        self.proxy.target = self.server.port
        self.assertEqual(200, self.ask())

    def test_nothing_is_left_behind(self):
        with loopback.noLeaks(self):
            with proxy.Proxy(self.server.port) as between:
                between.isCalm = True
                requester = request.Requester(between.url)
                requester.get(requester.makeEndpoint("ping")).execute()
                requester._session.close()
