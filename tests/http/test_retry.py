from __future__ import absolute_import

import unittest

from iobeam.http import retry

NOW = 1479953045.0  # Thu, 24 Nov 2016 02:04:05 GMT

# (status, is it tried again?, may it have been carried out unseen?)
STATUSES = [
    (200, False, False), (201, False, False), (204, False, False),
    (301, False, False), (302, False, False), (307, False, False),
    (400, False, False), (401, False, False), (403, False, False),
    (404, False, False), (405, False, False), (406, False, False),
    (408, True, False), (409, False, False), (410, False, False),
    (411, False, False), (412, False, False), (413, False, False),
    (414, False, False), (415, False, False), (418, False, False),
    (421, False, False), (422, False, False), (423, False, False),
    (424, False, False), (425, True, False), (426, False, False),
    (428, False, False), (429, True, False), (431, False, False),
    (451, False, False), (500, True, False), (501, False, False),
    (502, True, True), (503, True, False), (504, True, True),
    (505, False, False), (507, False, False), (508, False, False),
    (511, False, False), (599, False, False),
]

# (header, seconds from NOW; None where it says nothing)
RETRY_AFTER = [
    (None, None), ("", None), ("   ", None), ("soon", None), ("-1", None),
    ("1.5", None), (u"\xb2", None), ("0x10", None), ("1 2", None),
    ("0", 0), ("1", 1), ("  7 ", 7), ("120", 120), ("000000000000005", 5),
    ("Thu, 24 Nov 2016 02:04:15 GMT", 10),
    ("Thu, 24 Nov 2016 02:04:05 GMT", 0),
    ("Thu, 24 Nov 2016 02:03:05 GMT", 0),  # gone by
    ("Thu, 24 Nov 2016 04:04:15 +0200", 10),
    ("Thursday, 24-Nov-16 02:04:15 GMT", 10),  # RFC 850, RFC 9110 5.6.7
    ("Thu Nov 24 02:04:15 2016", 10),  # asctime, the third old form
    ("Thu, 24 Nov 99999 02:04:15 GMT", None),
    ("Thu, 00 Foo 2016 02:04:15 GMT", None),
]


class StatusTest(unittest.TestCase):

    def test_every_status_of_the_table(self):
        for status, retried, doubtful in STATUSES:
            self.assertEqual(
                (status, retry.isRetried(status),
                 status in retry.DOUBTFUL_STATUSES),
                (status, retried, doubtful))

    def test_no_other_status_is_retried(self):
        listed = [status for status, retried, _ in STATUSES if retried]
        self.assertEqual([status for status in range(100, 600)
                          if retry.isRetried(status)], listed)

    def test_no_status_at_all_is_not_retried(self):
        self.assertFalse(retry.isRetried(None))


class RetryAfterTest(unittest.TestCase):

    def test_both_forms(self):
        for header, seconds in RETRY_AFTER:
            self.assertEqual((header, retry.retryAfter(header, NOW)),
                             (header, seconds))

    def test_endless_digits_are_a_long_time(self):
        for digits in (20, 400, 5000):
            self.assertGreater(retry.retryAfter("9" * digits, NOW), 1e8)


class BackoffTest(unittest.TestCase):

    def test_longest_waits_double_up_to_the_cap(self):
        longest = [retry.backoff(n, lambda: 1.0) for n in range(9)]
        self.assertEqual(longest, [0.5, 1, 2, 4, 8, 16, 30, 30, 30])
        self.assertEqual(retry.backoff(10 ** 6, lambda: 1.0), 30)

    def test_jitter_reaches_from_nothing_to_the_whole_wait(self):
        for random in (0.0, 0.25, 0.999):
            self.assertEqual(retry.backoff(2, lambda: random), 2 * random)

    def test_the_server_is_asked_first(self):
        self.assertEqual(retry.pause(0, "7", NOW, lambda: 1.0), 7)
        self.assertEqual(retry.pause(0, "0", NOW, lambda: 1.0), 0)
        self.assertEqual(retry.pause(1, None, NOW, lambda: 0.5), 0.5)
        self.assertEqual(retry.pause(1, "soon", NOW, lambda: 0.5), 0.5)


DATE = "Thu, 26 Nov 2026 02:00:00 GMT"
SERVERS_NOW = 1795658400.0


class ClockTest(unittest.TestCase):
    """Dates of an answer are held against its own Date."""

    def wait(self, after, date, clock):
        return retry.pause(0, after, retry.moment(date, clock), lambda: 0.0)

    def test_whatever_this_clock_says(self):
        for clock in (SERVERS_NOW, SERVERS_NOW - 3600, SERVERS_NOW + 3600,
                      0.0):
            self.assertEqual(3.0, self.wait("Thu, 26 Nov 2026 02:00:03 GMT",
                                            DATE, clock))
            self.assertEqual(5.0, self.wait("5", DATE, clock))

    def test_without_a_date_that_can_be_read_it_is_this_clock(self):
        for date in (None, "", "yesterday", "0", "Thu, 99 Foo 2026 02:00 GMT",
                     "\xb2", " ", ","):
            self.assertEqual(7.0, self.wait(
                "Thu, 26 Nov 2026 02:00:07 GMT", date, SERVERS_NOW), date)

    def test_the_three_forms_and_other_zones(self):
        for after in ("Thu, 26 Nov 2026 02:00:09 GMT",
                      "Thursday, 26-Nov-26 02:00:09 GMT",
                      "Thu Nov 26 02:00:09 2026",
                      "Thu, 26 Nov 2026 03:00:09 +0100"):
            self.assertEqual(9.0, self.wait(after, DATE, 0.0), after)

    def test_past_far_and_broken_ones(self):
        self.assertEqual(0.0, self.wait("Thu, 26 Nov 2026 01:00:00 GMT", DATE,
                                        0.0))
        self.assertGreater(self.wait("Fri, 31 Dec 9999 23:59:59 GMT", DATE,
                                     0.0), 10 ** 9)
        for after in ("Fri, 31 Dec 99999 23:59:59 GMT", "soon", "-5", "3.5",
                      " ", ",", "Thu, 31 Feb 2026 02:00:00 GMT"):
            self.assertEqual(0.0, self.wait(after, DATE, 0.0), after)


class AcceptEncodingTest(unittest.TestCase):
    def test_weights(self):
        for header, expected in (
                ("gzip", True), ("GZIP", True), ("x-gzip", True), ("*", True),
                ("deflate, gzip;q=0.5", True), ("gzip;q=1.000", True),
                ("gzip ; Q=0.001 , identity;q=0", True), ("*;q=0.1", True),
                ("*;q=0, gzip", True), ("gzip, *;q=0", True),
                ("gzip;q=0", False), ("gzip;q=0.000", False),
                ("gzip; q=0 , *", False), ("x-gzip;q=0", False),
                ("*;q=0", False), ("identity", False), ("", False),
                ("deflate, br", False), ("gzipped", False),
                ("identity;q=1, gzip;q=0", False), ("gzip;q=high", False),
                ("gzip;q=-1", False), ("gzip;q=2", False),
                ("gzip;q=0, gzip", False), (",,;", False)):
            self.assertEqual(expected, retry.takesGzip(header), header)


if __name__ == "__main__":
    unittest.main()
