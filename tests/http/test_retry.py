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


if __name__ == "__main__":
    unittest.main()
