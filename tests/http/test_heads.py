"""What is read of a head without http.client is what http.client reads."""
from __future__ import absolute_import

import io
import unittest

from iobeam.http import heads
from iobeam.utils import compat
from tests.support import example, given, st

ORDINARY = (b"HTTP/1.1 200 OK\r\nDate: Sat, 28 Nov 2026 10:00:00 GMT\r\n"
            b"Content-Length: 2\r\nContent-Type: application/json\r\n\r\n")


class _Sock(object):
    """A socket that has nothing but this head to read."""

    def __init__(self, head):
        self._head = head

    def makefile(self, *_):
        return io.BytesIO(self._head)


def asHttpClientReads(head):
    found = heads.client.HTTPResponse(_Sock(head), method="POST")
    found.begin()
    return found


class HeadsTest(unittest.TestCase):
    TAKEN = (
        ORDINARY,
        ORDINARY.replace(b"OK", b""),
        ORDINARY.replace(b"200 OK", b"503 Service Unavailable "),
        ORDINARY.replace(b"\r\n\r\n", b"\r\nConnection: Keep-Alive\r\n\r\n"),
        ORDINARY.replace(b"\r\n\r\n", b"\r\nA: 1\r\nA: 2 \r\na: x: y\r\n\r\n"),
        ORDINARY.replace(b"json", b"json; charset=utf-8"),
        ORDINARY + ORDINARY,
    )
    LEFT = (
        b"", b"HTTP/1.1 200 OK\r\n\r\n", ORDINARY[:-2], ORDINARY[1:],
        ORDINARY.replace(b"1.1", b"1.0"),
        ORDINARY.replace(b" OK", b""),
        ORDINARY.replace(b"200", b"100"),
        ORDINARY.replace(b"200", b"204"),
        ORDINARY.replace(b"200", b"304"),
        ORDINARY.replace(b"200", b"2000"),
        ORDINARY.replace(b"\r\n", b"\n"),
        ORDINARY.replace(b"Content-Length", b"Content-Lengths"),
        ORDINARY.replace(b": 2\r", b": +2\r"),
        ORDINARY.replace(b": 2\r", b": 2, 2\r"),
        ORDINARY.replace(b": 2\r", b": 2 \r"),
        ORDINARY.replace(b": 2\r", b": 2\r\nContent-length: 2\r"),
        ORDINARY.replace(b": 2\r", b":\r"),
        ORDINARY.replace(b": 2\r", b": " + b"9" * 30 + b"\r"),
        ORDINARY.replace(b"Date: ", b"Date : "),
        ORDINARY.replace(b"Date: ", b" Date: "),
        ORDINARY.replace(b"Date: ", b"Date:  "),
        ORDINARY.replace(b"Date: ", b"Date:\t"),
        ORDINARY.replace(b"GMT", b"GMT\r\n folded"),
        ORDINARY.replace(b"GMT", b"GMT\x0b"),
        ORDINARY.replace(b"GMT", b"GMT\xe9"),
        ORDINARY.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
        ORDINARY.replace(b"\r\n\r\n",
                         b"\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ORDINARY.replace(b"\r\n\r\n", b"\r\nA: 1" * 60 + b"\r\n\r\n"),
    )

    def check(self, head):
        """Compare what is taken, if it is; returns whether it was.

        But for what the parser of mail finds amiss in a mail's body, of which
        there is none.
        """
        found = heads.takeOrdinary(head)
        if found is None:
            return False
        status, reason, fields, length, rest = found
        self.assertTrue(head.endswith(rest))
        read = asHttpClientReads(head)
        self.assertEqual((read.status, read.reason, read.length),
                         (status, reason, length))
        self.assertEqual((11, False, False),
                         (read.version, read.will_close, read.chunked))
        if compat.PY2:
            for name in set(name.lower() for name, _ in fields):
                self.assertEqual(read.msg.getheader(name), ", ".join(
                    value.strip() for other, value in fields
                    if other.lower() == name))
            return True
        self.assertEqual(read.headers.items(), fields)
        message = heads.messageOf(fields)
        self.assertEqual(read.headers.items(), message.items())
        self.assertIs(type(read.headers), type(message))
        return True

    def test_ordinary_ones_are_taken(self):
        for head in self.TAKEN:
            self.assertTrue(self.check(head), head)
        self.assertEqual(b"{}x", heads.takeOrdinary(ORDINARY + b"{}x")[-1])

    def test_the_rest_is_left_to_http_client(self):
        for head in self.LEFT:
            self.assertIsNone(heads.takeOrdinary(head), head)

    @given(st.lists(st.tuples(
        st.sampled_from(["Date", "content-length", "Connection", "Set-Cookie",
                         "transfer-encoding", "X", "From", "Content-Type"]),
        st.sampled_from(["2", "close", "keep-alive", "chunked", "a: b", "0",
                         "multipart/mixed", "text/html; charset=\"x\"", "=?x?=",
                         "(a) <b@c>,"]) | st.text(max_size=5)), max_size=4),
        st.integers(100, 599), st.binary(max_size=4))
    def test_of_any_head(self, fields, status, rest):
        self.check(u"HTTP/1.1 {} Reason\r\n{}\r\n".format(status, u"".join(
            u"{}: {}\r\n".format(*field) for field in
            fields + [("Content-Length", 7)])).encode("utf-8") + rest)

    @given(st.integers(0, len(ORDINARY)), st.integers(0, 6),
           st.sampled_from([b"\r\n", b"\n", b":", b" ", b"\t", b"\0", b"\xff",
                            b"\r\nA: 1", b",", b"1"]) | st.binary(max_size=3))
    @example(0, 0, b"")
    def test_of_one_that_was_tampered_with(self, place, cut, put):
        self.check(ORDINARY[:place] + put + ORDINARY[place + cut:])


if __name__ == "__main__":
    unittest.main()
