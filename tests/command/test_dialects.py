# -*- coding: utf-8 -*-
"""Whatever dialect a table is written in, the table comes out, or a refusal."""
from __future__ import absolute_import

import csv
import datetime
import io
import unittest

from iobeam.command import dialect, moments, readings
from iobeam.utils import compat
from tests import support
from tests.command import tables
from tests.support import st

EPOCH = datetime.datetime(1970, 1, 1)
FORMS = {
    "iso": lambda t: t.strftime("%Y-%m-%dT%H:%M:%S"),
    "blank": lambda t: t.strftime("%Y-%m-%d %H:%M:%S"),
    "zulu": lambda t: t.strftime("%Y-%m-%dT%H:%M:%SZ"),
    "east": lambda t: (t + datetime.timedelta(hours=2)).strftime(
        "%Y-%m-%d %H:%M:%S+02:00"),
    "slashes": lambda t: t.strftime("%Y/%m/%d %H:%M:%S"),
    "dots": lambda t: t.strftime("%d.%m.%Y %H:%M:%S"),
    "days": lambda t: t.strftime("%d/%m/%Y %H:%M:%S"),
    "months": lambda t: t.strftime("%m/%d/%Y %I:%M:%S %p"),
    "sec": lambda t: str(int((t - EPOCH).total_seconds())),
    "msec": lambda t: str(int((t - EPOCH).total_seconds()) * 1000),
    "nsec": lambda t: str(int((t - EPOCH).total_seconds()) * 10 ** 9),
}


class Written(object):
    """A table, and the bytes of a file that holds it."""

    def __init__(self, times, names, columns, dialect):
        self.dialect = dialect
        decimal = dialect["decimal"]
        self.right = []
        rows = [[dialect["timeName"]] + names]
        if dialect["units"]:
            rows.append([""] + ["degC"] * len(names))
        for k, moment in enumerate(times):
            row = dict((name, column[k]) for name, column in zip(
                names, columns) if column[k] is not None)
            self.right.append((int((moment - EPOCH).total_seconds()) * 1000,
                               row))
            rows.append([FORMS[dialect["form"]](moment)] + [
                self.cell(column[k], decimal) for column in columns])
        if dialect["timeLast"]:
            rows = [row[1:] + row[:1] for row in rows]
        out = io.StringIO(newline="")
        if dialect["preamble"]:
            out.write(dialect["preamble"].replace("\n", dialect["end"]))
        csv.writer(out, delimiter=dialect["delimiter"],
                   lineterminator=dialect["end"],
                   # before 3.10, the csv module leaves a "\n" bare there
                   quoting=csv.QUOTE_ALL if dialect["end"] == "\r"
                   else dialect["quoting"]).writerows(rows)
        self.text = out.getvalue()

    def cell(self, value, decimal):
        if value is None:
            return self.dialect["gap"]
        if isinstance(value, float):
            return repr(value).replace(".", decimal)
        if isinstance(value, bool):
            return str(value).lower()
        return str(value)


def dialects():
    return st.fixed_dictionaries({
        "delimiter": st.sampled_from(",;\t|"),
        "decimal": st.sampled_from(".,"),
        "quoting": st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
        "end": st.sampled_from(["\n", "\r\n", "\r"]),
        "encoding": st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
        "form": st.sampled_from(sorted(FORMS)),
        "timeName": st.sampled_from(["time", "Timestamp", "Datum", "", "created_at"]),
        "gap": st.sampled_from(["", "NaN", "n/a", "-"]),
        "units": st.booleans(), "timeLast": st.booleans(),
        "preamble": st.sampled_from(
            ["", "", "# made by a logger\n", "#\n# 5, 6; 7\n", "Station X\n",
             "\n", "Logger\nSerial 12\n\n"]),
    })


def names():
    return st.lists(st.text(u"abcxyzäé_ °", min_size=1, max_size=6).map(
        lambda text: u"c" + u" ".join(text.split())), min_size=1, max_size=5,
        unique_by=lambda name: name.lower())


def columns(length):
    word = st.text(u"abcxyzäé ,;|\"'#.5-\n", max_size=8).map(
        lambda text: u"w" + text)
    kinds = [st.integers(-10 ** 18, 10 ** 18),
             st.floats(allow_nan=False, allow_infinity=False), st.booleans(),
             word]
    return st.one_of([st.lists(st.one_of(st.none(), kind, kind, kind),
                               min_size=length, max_size=length)
                      for kind in kinds])


@st.composite
def tablesOfAnyDialect(draw):
    start = draw(st.datetimes(datetime.datetime(2001, 9, 10),
                              datetime.datetime(2030, 1, 1))).replace(
                                  microsecond=0)
    steps = draw(st.lists(st.integers(1, 10 ** 6), min_size=1, max_size=12))
    times = []
    for step in steps:
        start += datetime.timedelta(seconds=step)
        times.append(start)
    found = draw(names())
    return Written(times, found, [draw(columns(len(times))) for _ in found],
                   draw(dialects()))


def isOtherText(content, text):
    """True if those bytes are UTF-8 too, of another text: nobody can tell."""
    try:
        return content.decode("utf-8") != text
    except UnicodeDecodeError:
        return False


def same(one, other):
    if isinstance(one, str) or isinstance(other, str):
        return type(one) is type(other) and one.splitlines() == \
            other.splitlines()
    return isinstance(one, bool) == isinstance(other, bool) and one == other


class LineSplitterTest(unittest.TestCase):

    def test_an_end_of_line_in_two_pieces_is_one(self):
        for encoding, pieces in [
                ("utf-8", [b"a\r", b"\nb\r\n"]),
                ("utf-8", [b"a\r", b"", b"\nb\r\n"]),
                ("utf-16-le", [b"a\0\r\0", b"\n", b"\0b\0\r\0\n\0"]),
                ("utf-8", [b"a\r", b"\n", b"b\r", b"", b"\n"])]:
            splitter = dialect.LineSplitter(encoding)
            lines = [line for piece in pieces for line in splitter.split(piece)]
            lines += splitter.split(b"", True)
            self.assertEqual([u"a", u"b"], [line.strip() for line in lines])


@unittest.skipIf(support.hypothesis is None or compat.PY2,
                 "needs hypothesis, and csv of Python 3")
class PropertyTest(tables.TableTest):
    refused = read = 0

    @classmethod
    def tearDownClass(cls):
        # a reader that refuses everything would never be wrong
        assert cls.read > 2 * cls.refused, (cls.read, cls.refused)

    @support.given(tablesOfAnyDialect() if support.hypothesis else None)
    def test_the_table_comes_out_or_a_refusal(self, written):
        support.note((written.text, written.dialect))
        try:
            content = written.text.encode(written.dialect["encoding"])
        except UnicodeEncodeError:
            return
        if written.dialect["encoding"] == "cp1252" and isOtherText(
                content, written.text):
            return
        try:
            reading = readings.inspect(
                "f", lambda: io.BytesIO(content), readings.Settings(
                    zone=moments.zoneOf("UTC")))
        except readings.InDoubt:
            PropertyTest.refused += 1
            return
        PropertyTest.read += 1
        found = tables.rowsOf(reading)
        bad = [bad for batch in reading.batches() for bad in batch.bad]
        self.assertEqual([], bad)
        self.assertEqual([moment for moment, _ in written.right],
                         [moment for moment, _ in found])
        for (_, right), (_, row) in zip(written.right, found):
            self.assertEqual(sorted(right), sorted(row))
            for name in right:
                self.assertTrue(same(right[name], row[name]),
                                (name, right[name], row[name]))

    @support.given(tablesOfAnyDialect() if support.hypothesis else None,
                   st.lists(st.integers(0, 60), max_size=40))
    def test_a_pipe_gives_what_a_file_gives(self, written, sizes):
        encoding = "utf-8" if written.dialect["encoding"] == "cp1252" \
            else written.dialect["encoding"]
        content = written.text.encode(encoding)
        support.note((content, written.dialect))
        settings = readings.Settings(zone=moments.zoneOf("UTC"))
        try:
            right = tables.rowsOf(readings.inspect(
                "f", lambda: io.BytesIO(content), settings))
        except readings.InDoubt:
            return
        splitter = dialect.LineSplitter(encoding)
        reading = readings.inspectHead("f", splitter.split(content, True),
                                       settings, encoding)
        splitter, found, start = dialect.LineSplitter(encoding), [], 0
        for size in sizes + [len(content)]:
            piece = content[start:start + size]
            start += size
            found.extend(reading.further(splitter.split(piece), False))
        found.extend(reading.further(splitter.split(b"", True), True))
        self.assertEqual([], [bad for batch in found for bad in batch.bad])
        self.assertEqual(right, tables.rowsOfBatches(found))
