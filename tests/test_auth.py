from __future__ import absolute_import

import contextlib
import threading

from iobeam import auth, errors, iobeam
from iobeam.http import call as calls
from iobeam.utils import utils
from tests import support
from tests.support import FakeRequester, FakeResponse, makeToken, mock, refusal

NOW = 1449234660
DAY = 86400
MINUTE = 60


@contextlib.contextmanager
def at(moment):
    """Let the wall clock say `moment`."""
    with mock.patch.object(utils.time, "time", lambda: moment):
        yield


def tokenUntil(exp, **claims):
    return makeToken(dict({"pid": 1, "exp": exp}, **claims))


class KeeperTest(support.TestCase):
    """A keeper whose clocks stand still, and whose backend is a list."""

    def setUp(self):
        self.asked = []  # tokens that were to be refreshed
        self.answers = []
        self.adopted = []
        self.saved = []
        self.inFile = None
        self.ticks = 1000.0  # the monotonic clock

    def refresh(self, token):
        self.asked.append(token)
        found = self.answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    def keeper(self, token, *answers):
        self.answers += answers
        return auth.TokenKeeper(
            token, 1, self.refresh, self.adopted.append, self,
            lambda: self.ticks)

    # what the keeper asks of the files

    def readToken(self):
        return self.inFile

    def saveToken(self, *saved):
        self.saved.append(saved)


class DueTest(KeeperTest):
    def test_a_token_of_the_builder_is_refreshed_in_its_last_day(self):
        new = tokenUntil(NOW + 30 * DAY)
        for left, due in ((DAY + 1, False), (DAY, True), (1, True),
                          (0, True), (-40 * DAY, True)):
            del self.asked[:], self.adopted[:]
            old = tokenUntil(NOW + left)
            with at(NOW):
                self.keeper(old, *[new] * due).check()
            self.assertEqual([old] * due, self.asked, left)
            self.assertEqual([new] * due, self.adopted, left)

    def test_a_refreshed_one_in_the_last_tenth_of_its_life(self):
        for life, margin in ((60 * DAY, DAY), (10 * DAY, DAY),
                             (5 * DAY, DAY // 2), (3600, 360), (10, 1)):
            first = tokenUntil(NOW + life, n=1)
            second = tokenUntil(NOW + 3 * life, n=2)
            keeper = self.keeper(tokenUntil(NOW), first, second)
            with at(NOW):
                keeper.check()
            del self.asked[:]
            with at(NOW + life - margin - 0.5):
                keeper.check()
            self.assertEqual([], self.asked, life)
            with at(NOW + life - margin):
                keeper.check()
            self.assertEqual([first], self.asked, life)

    def test_short_lived_ones_are_not_refreshed_at_every_call(self):
        # each is within the one day that holds for the builder's
        answers = [tokenUntil(NOW + 3600 * n) for n in range(1, 30)]
        keeper = self.keeper(tokenUntil(NOW), *answers)
        for minute in range(0, 180):
            self.ticks += MINUTE
            with at(NOW + MINUTE * minute):
                keeper.check()
        self.assertEqual(4, len(self.asked))

    def test_one_without_end_is_never_refreshed(self):
        keeper = self.keeper(makeToken({"pid": 1}))
        with at(2 ** 40):
            keeper.check()
        keeper = self.keeper(tokenUntil(NOW), makeToken({"pid": 1}))
        with at(2 ** 40):
            keeper.check()
            keeper.check()
        self.assertEqual(1, len(self.asked))

    def test_a_clock_that_is_wrong_asks_every_ten_minutes(self):
        # to it every token has expired already
        answers = [tokenUntil(NOW + DAY + n) for n in range(9)]
        keeper = self.keeper(tokenUntil(NOW), *answers)
        with at(NOW + 5000 * DAY):
            for seconds in range(0, 1860, 30):
                keeper.check()
                self.ticks += 30
        self.assertEqual(4, len(self.asked))

    def test_every_check_looks_at_the_clock_anew(self):
        keeper = self.keeper(tokenUntil(NOW), tokenUntil(NOW + 30 * DAY))
        for moment, asked in ((NOW - 2 * DAY, 0), (NOW - DAY, 1)):
            with at(moment):
                keeper.check()
            self.assertEqual(asked, len(self.asked))

    def test_white_space_around_a_new_one_is_stripped(self):
        new = tokenUntil(NOW + 30 * DAY)
        with at(NOW):
            self.keeper(tokenUntil(NOW), " {}\r\n".format(new)).check()
        self.assertEqual([new], self.adopted)
        self.assertEqual([(new, NOW)], self.saved)


class ProjectTest(KeeperTest):
    def test_another_projects_token_is_refused_before_any_request(self):
        for pid in (2, "1", 1.5, [1]):
            with self.assertRaisesRegex(ValueError, "not 1: check projectId"):
                self.keeper(tokenUntil(NOW, pid=pid)).check()
        self.assertEqual([], self.asked)

    def test_one_without_a_project_passes(self):
        for claims in ({"exp": support.FAR}, {"exp": support.FAR, "pid": None}):
            self.keeper(makeToken(claims)).check()

    def test_no_token_is_a_value_error(self):
        for token in ("dummy", "a.b.c", makeToken({"exp": "soon"}),
                      makeToken({"exp": True}), makeToken([1])):
            self.assertSays("invalid jwt token", self.keeper(token).check)

    def test_nesting_without_end_is_no_token(self):
        # RecursionError
        payload = support.base64.urlsafe_b64encode(b"[" * 200000)
        token = "a.{}.c".format(payload.decode("ascii"))
        self.assertSays("invalid jwt token", self.keeper(token).check)

    def test_every_shape_of_old_is_taken(self):
        for kid in (10, "ten", None):
            for padded in (False, True):
                for standard in (False, True):
                    self.keeper(makeToken(
                        {"pid": 1, "exp": support.FAR, "aud": "someone",
                         "nbf": support.FAR, "n": u"~~~???>>>"},
                        {"typ": "JWT", "alg": "HS256", "kid": kid},
                        padded, standard)).check()
        self.assertEqual([], self.asked)


BROKEN = [None, "", " \n", 5, {}, [], b"", "garbage", "<html></html>",
          tokenUntil(support.FAR, pid=2), makeToken([1]),
          makeToken({"pid": 1, "exp": "never"}),
          errors.UnauthorizedCodeError("no", 401),
          errors.UnauthorizedCodeError("no", 403),
          errors.UnknownCodeError("no", 400),
          errors.UnknownCodeError("no", 404),
          errors.UnknownCodeError("no", 422),
          errors.UnknownCodeError("no", 500),
          errors.UnknownCodeError("no", 302)]


class RefusedRefreshTest(KeeperTest):
    def test_it_never_stops_a_token_that_is_still_good(self):
        for left in (3600, -3600):  # nor an expired one: the clock may be wrong
            for broken in BROKEN:
                del self.asked[:]
                old = tokenUntil(NOW + left)
                keeper = self.keeper(old, broken)
                with at(NOW), self.warnings(count=1) as messages:
                    keeper.check()
                self.assertEqual([old], self.asked)
                self.assertEqual([], self.adopted)
                self.assertEqual([], self.saved)
                self.assertIn("the old one is used on", messages[0])
                self.assertNotIn(old, messages[0])

    def test_one_that_has_expired_is_no_use_while_the_old_one_has_not(self):
        with at(NOW), self.warnings(count=1):
            self.keeper(tokenUntil(NOW + 60), tokenUntil(NOW - 60)).check()
        self.assertEqual([], self.adopted)

    def test_by_a_clock_to_which_both_have_expired_the_new_one_is_used(self):
        # or the clock is right, and the tokens are those of an old test suite
        for exp in (NOW, NOW + 1, NOW - 1):
            new = tokenUntil(exp, n=1)
            with at(NOW + 5000 * DAY), self.warnings(count=0):
                self.keeper(tokenUntil(NOW), new).check()
            self.assertEqual(new, self.adopted[-1])

    def test_the_same_one_again_brings_nothing(self):
        old = tokenUntil(NOW)
        with at(NOW), self.warnings(count=1):
            self.keeper(old, " " + old).check()
        self.assertEqual([], self.adopted)

    def test_it_is_not_tried_again_for_ten_minutes(self):
        new = tokenUntil(NOW + 30 * DAY)
        keeper = self.keeper(tokenUntil(NOW + 60), "garbage", new)
        with at(NOW), self.warnings(count=1):
            for seconds in range(0, 600, 30):
                keeper.check()
                self.ticks += 30
            self.assertEqual([], self.adopted)
            keeper.check()
        self.assertEqual([new], self.adopted)

    def test_a_wall_clock_that_jumps_does_not_shorten_the_pause(self):
        keeper = self.keeper(tokenUntil(NOW + 60), "garbage")
        with self.warnings(count=1):
            for jump in (0, 3600, -3600, 5000 * DAY):
                with at(NOW + jump):
                    keeper.check()
        self.assertEqual(1, len(self.asked))

    def test_a_401_is_no_reason_to_ask_again(self):
        # each send of ten minutes asked twice
        old = tokenUntil(NOW)
        keeper = self.keeper(old, errors.UnauthorizedCodeError("no", 401))
        with at(NOW), self.warnings(count=1):
            keeper.check()
            self.assertFalse(keeper.renew(old))
        self.assertEqual(1, len(self.asked))

    def test_a_401_is_one_after_a_failure_that_passes(self):
        old, new = tokenUntil(NOW), tokenUntil(NOW + 30 * DAY)
        keeper = self.keeper(old, errors.UnknownCodeError("no", 503), new)
        with at(NOW), self.warnings(count=1):
            keeper.check()
            self.assertTrue(keeper.renew(old))
        self.assertEqual([new], self.adopted)

    def test_no_answer_raises_and_is_tried_again(self):
        old, new = tokenUntil(NOW), tokenUntil(NOW + 30 * DAY)
        for kind in (errors.ConnectionError, errors.TimeoutError):
            keeper = self.keeper(old, kind("gone"), new)
            with at(NOW), self.warnings(count=0):
                self.assertRaises(kind, keeper.check)
                keeper.check()
            self.assertEqual(new, self.adopted.pop())


class ForcedTest(KeeperTest):
    def test_the_backend_knows_better_than_the_clock(self):
        old, new = tokenUntil(NOW + 30 * DAY), tokenUntil(NOW + 31 * DAY)
        keeper = self.keeper(old, new)
        with at(NOW):
            self.assertTrue(keeper.renew(old))
        self.assertEqual(([old], [new]), (self.asked, self.adopted))
        self.assertEqual(1, keeper.refreshes)

    def test_a_refusal_of_an_older_token_only_needs_a_repeat(self):
        old, new = tokenUntil(NOW + 30 * DAY), tokenUntil(NOW + 31 * DAY)
        keeper = self.keeper(old, new)
        with at(NOW):
            self.assertTrue(keeper.renew(old))
            self.assertTrue(keeper.renew(old))
        self.assertEqual(1, len(self.asked))

    def test_at_most_one_in_ten_minutes(self):
        tokens = [tokenUntil(NOW + DAY * n) for n in (30, 31, 32)]
        keeper = self.keeper(*tokens)
        with at(NOW):
            self.assertTrue(keeper.renew(tokens[0]))
            self.ticks += 599
            self.assertFalse(keeper.renew(tokens[1]))
            self.ticks += 1
            self.assertTrue(keeper.renew(tokens[1]))
        self.assertEqual(tokens[:2], self.asked)

    def test_one_without_an_answer_does_not_count(self):
        # the next ten minutes had none, though the network was back
        old, new = tokenUntil(NOW + 30 * DAY), tokenUntil(NOW + 31 * DAY)
        keeper = self.keeper(old, errors.ConnectionError("gone"), new)
        with at(NOW):
            self.assertRaises(errors.ConnectionError, keeper.renew, old)
            self.assertTrue(keeper.renew(old))

    def test_a_refused_one_is_no_reason_to_repeat(self):
        old = tokenUntil(NOW + 30 * DAY)
        keeper = self.keeper(old, errors.UnauthorizedCodeError("no", 401))
        with at(NOW), self.warnings(count=1):
            self.assertFalse(keeper.renew(old))


class StoredTest(KeeperTest):
    def test_one_of_an_earlier_run_is_used_by_its_own_rule(self):
        stored = tokenUntil(NOW + 3600)
        self.inFile = (stored, NOW)
        keeper = self.keeper(tokenUntil(NOW - DAY),
                             tokenUntil(NOW + 30 * DAY))
        with at(NOW + 3000):
            keeper.check()
        self.assertEqual(([], [stored]), (self.asked, self.adopted))
        with at(NOW + 3300):
            keeper.check()
        self.assertEqual([stored], self.asked)

    def test_one_that_has_expired_later_than_ours_is_refreshed(self):
        # the builder's was, which the backend no longer takes
        stored = tokenUntil(NOW - DAY)
        self.inFile = (stored, NOW - 31 * DAY)
        keeper = self.keeper(tokenUntil(NOW - 60 * DAY),
                             tokenUntil(NOW + 30 * DAY))
        with at(NOW):
            keeper.check()
        self.assertEqual([stored], self.asked)

    def test_one_that_is_no_use_is_left(self):
        for stored in ("garbage", "", tokenUntil(support.FAR, pid=2),
                       tokenUntil(NOW - 1)):
            self.inFile = (stored, NOW)
            with at(NOW):
                self.keeper(tokenUntil(NOW + 2 * DAY)).check()
            self.assertEqual([], self.adopted, stored)

    def test_it_is_read_once(self):
        self.inFile = (tokenUntil(NOW + 30 * DAY), NOW)
        keeper = self.keeper(tokenUntil(NOW))
        with at(NOW):
            keeper.check()
            keeper.check()
        self.assertEqual(1, len(self.adopted))


class ThreadsTest(KeeperTest):
    def allAtOnce(self, function, count=8):
        """What `count` threads got from it, all before any has an answer."""
        asks, goOn = threading.Event(), threading.Event()
        plain = self.refresh

        def refresh(token):
            asks.set()
            self.assertTrue(goOn.wait(60))
            return plain(token)

        function.__self__._refresh = refresh
        found = []

        def run():
            with calls.Call(10):
                found.append(function(*self.args))

        threads = [threading.Thread(target=run) for _ in range(count)]
        for thread in threads:
            thread.start()
        self.assertTrue(asks.wait(60))
        goOn.set()
        for thread in threads:
            thread.join(60)
        return found

    def test_many_callers_cause_one_refresh(self):
        self.args = ()
        with at(NOW):
            self.allAtOnce(self.keeper(tokenUntil(NOW), tokenUntil(
                NOW + 30 * DAY)).check)
        self.assertEqual(1, len(self.asked))

    def test_many_callers_cause_one_refused_refresh(self):
        self.args = ()
        with at(NOW), self.warnings(count=1):
            self.allAtOnce(self.keeper(tokenUntil(NOW), "garbage").check)
        self.assertEqual(1, len(self.asked))

    def test_many_401_cause_one_refresh(self):
        old = tokenUntil(NOW + 30 * DAY)
        self.args = (old,)
        with at(NOW):
            found = self.allAtOnce(self.keeper(old, tokenUntil(
                NOW + 31 * DAY)).renew)
        self.assertEqual(([True] * 8, 1), (found, len(self.asked)))

    def test_many_401_cause_one_refused_refresh(self):
        old = tokenUntil(NOW + 30 * DAY)
        self.args = (old,)
        with at(NOW), self.warnings(count=1):
            found = self.allAtOnce(self.keeper(old, "garbage").renew)
        self.assertEqual(([False] * 8, 1), (found, len(self.asked)))

    def test_who_waits_does_so_within_its_limit(self):
        keeper = self.keeper(tokenUntil(NOW))
        with at(NOW), support.heldElsewhere(keeper._gate), calls.Call(0.05):
            self.assertRaises(errors.TimeoutError, keeper.check)
        self.assertEqual([], self.asked)

    def test_a_failed_refresh_leaves_the_lock_free(self):
        keeper = self.keeper(tokenUntil(NOW), KeyboardInterrupt(),
                             tokenUntil(NOW + 30 * DAY))
        keeper._refresh = mock.Mock(side_effect=[
            KeyboardInterrupt, tokenUntil(NOW + 30 * DAY)])
        with at(NOW), calls.Call(1):
            self.assertRaises(KeyboardInterrupt, keeper.check)
            keeper.check()
        self.assertEqual(1, len(self.adopted))


class ClientTest(support.TestCase):
    """The same seen from outside: what goes out with which token."""

    def client(self, token, *script):
        self.requester = FakeRequester(*script)
        return iobeam.ClientBuilder(1, token).setBackend(self.requester) \
            .setDeviceId("dev").build()

    def bearers(self, path="imports"):
        return [sent.headers["Authorization"][len("Bearer "):]
                for sent in self.requester.requests if sent.path == path]

    def test_a_refreshed_one_reaches_every_service(self):
        old, new = tokenUntil(NOW), tokenUntil(support.FAR)
        client = self.client(old, FakeResponse(201, {"token": new}))
        self.requester.script += [
            FakeResponse(201, {"device_id": "d"}), FakeResponse(200, {}),
            FakeResponse(200, {"server_timestamp": 5})]
        client.registerDevice("d")
        client.createDataStore(["a"]).add(1, {"a": 1})
        client.send()
        client._deviceService.getTimestamp()
        self.assertEqual(new, client.projectToken)
        for path in ("devices", "imports", "devices/timestamp"):
            self.assertEqual([new], self.bearers(path))

    def test_an_expired_one_that_stays_is_tried_and_a_401_raises(self):
        old = tokenUntil(NOW)
        with self.warnings(count=1):
            client = self.client(old, refusal(401, 1))
        client.createDataStore(["a"]).add(1, {"a": 1})
        self.requester.default = refusal(401, 1)
        self.assertRaises(errors.UnauthorizedError, client.send)
        self.assertEqual([old], self.bearers())
        self.assertEqual(2, len(self.requester.requests))
        self.requester.default = FakeResponse(200, {})
        self.assertTrue(client.send())

    def test_a_401_amid_a_send_refreshes_once_and_repeats(self):
        old, new = tokenUntil(support.FAR - 1), tokenUntil(support.FAR)
        client = self.client(old, FakeResponse(200, {}), refusal(401, 1),
                             FakeResponse(200, {"token": new}))
        store = client.createDataStore(["a"])
        store.addRows([(k, {"a": k}) for k in range(3000)])
        self.assertTrue(client.send())
        self.assertEqual([old, old, new, new], self.bearers())
        self.assertEqual(1, client.stats()["refreshes"])
        self.assertEqual(0, len(store))
