# -*- coding: utf-8 -*-
from __future__ import absolute_import

import io
import os
import tempfile
import unittest

from iobeam.command import readings, repeats
from tests.command import tables
from tests.support import mock

try:
    import tracemalloc
except ImportError:  # 2.7
    tracemalloc = None

A = 1613681183000  # 2021-02-18 21:46:23 in Berlin, ms


class FilesTest(tables.TableTest):
    """Files as people's loggers write them, and what is right."""

    def file(self, name):
        path = os.path.join(tables.FILES, name)
        return readings.inspect(name, lambda: io.open(path, "rb"),
                                readings.Settings())

    def series(self, name):
        """{column: [(ms, value)]} of a file."""
        found = {}
        for moment, row in tables.rowsOf(self.file(name)):
            for column in row:
                found.setdefault(column, []).append((moment, row[column]))
        return found

    def test_european_excel(self):
        self.assertEqual({
            u"Temperatur °C": [(1612385183000, 21.5), (1612385243000, 21.6)],
            u"Feuchte": [(1612385183000, 60)]},
            self.series("european-excel.csv"))

    def test_channel_feed(self):
        found = self.series("channel-feed.csv")
        self.assertEqual([("entry_id", 3), ("field1", 2), ("field2", 2)],
                         [(name, len(found[name])) for name in sorted(found)])
        self.assertEqual((1613684783000, 1), found["entry_id"][0])

    def test_datalogger_with_four_headers(self):
        found = self.series("datalogger-four-headers.dat")
        self.assertEqual([("AirTC_Avg", 1), ("RECORD", 2), ("RH", 2)],
                         [(name, len(found[name])) for name in sorted(found)])
        self.assertEqual([(1613678400000, 21.5)], found["AirTC_Avg"])

    def test_home_history(self):
        reading = self.file("home-history.csv")
        self.assertEqual("last_changed", reading.timeColumn)
        self.assertEqual([("entity_id", "string"), ("state", "number")],
                         reading.kinds())
        self.assertEqual([21.5, 21.6], [
            value for _, value in self.series("home-history.csv")["state"]])
        self.assertEqual(3, reading.rows)

    def test_no_column_called_time(self):
        self.assertEqual([(1350990600000, 1), (1350991200000, 2),
                          (1350991800000, 3)],
                         self.series("no-column-called-time.csv")["t"])

    def test_date_and_clock(self):
        self.assertEqual({"t": [(A, 21.5), (1613727983000, 21.6)]},
                         self.series("date-and-clock.csv"))
        self.assertEqual("day,clock",
                         self.file("date-and-clock.csv").timeColumn)

    def test_day_or_month(self):
        with self.assertRaises(readings.InDoubt) as caught:
            self.file("day-or-month.csv")
        self.assertIn("--time-format", str(caught.exception))

    def test_frame_index(self):
        self.assertEqual([(A, 21.5), (A + 60000, 21.6)],
                         self.series("frame-index.csv")["t"])

    def test_sentinel_first(self):
        found = self.series("sentinel-first.csv")
        self.assertEqual([(1700000060000, 21.5), (1700000120000, 21.6)],
                         found["temperature"])
        self.assertEqual([60, 61, 62],
                         [value for _, value in found["humidity"]])

    def test_two_devices(self):
        groups = [group for batch in self.file("two-devices.csv").batches()
                  for group in batch.groups]
        self.assertEqual([("a", [(1700000000000000, {"t": 1})]),
                          ("b", [(1700000000000000, {"t": 2})])],
                         [(group.device, group.rows) for group in groups])


class DialectTest(tables.TableTest):
    RIGHT = [(A, {u"t °C": 21.5, u"h": 60}), (A + 60000, {u"t °C": -1.25})]

    def test_separators_decimals_encodings_ends(self):
        for delimiter in u",;\t|":
            for decimal in u".,":
                for end in u"\n", u"\r\n", u"\r":
                    quote = u'"' if delimiter == decimal else u""
                    text = end.join(delimiter.join(row) for row in (
                        (u"time", u"t °C", u"h"),
                        (u"2021-02-18 21:46:23", quote + u"21.5".replace(
                            u".", decimal) + quote, u"60"),
                        (u"2021-02-18 21:47:23", quote + u"-1.25".replace(
                            u".", decimal) + quote, u""), u""))
                    for encoding in ("utf-8", "utf-8-sig", "utf-16",
                                     "windows-1252"):
                        self.assertEqual(self.RIGHT, self.read(
                            text, encoding), (text, encoding))

    def test_what_is_no_utf8_is_windows_1252_and_said(self):
        reading = self.inspect(u"time,a\n2021-02-18,\x80\n", "latin-1")
        self.assertEqual(("windows-1252", True),
                         (reading.encoding, reading.isFallback))
        self.assertEqual(u"€", tables.rowsOf(reading)[0][1]["a"])
        self.refused(b"time,a\n2021-02-18,\x81\n", "line 2")
        self.refused(b"time,a\n2021-02-18,\x81\n", "--encoding")
        self.assertEqual(u"\x81", tables.rowsOf(readings.inspect(
            "f", lambda: io.BytesIO(b"time,a\n2021-02-18,\x81\n"),
            readings.Settings(encoding="latin-1")))[0][1]["a"])

    def test_files_of_other_kinds_are_named(self):
        for content, words in ((b"PK\x03\x04\x14\0", "save it as CSV"),
                               (b"\x1f\x8b\x08\0", "zcat"),
                               (b"\xd0\xcf\x11\xe0", "workbook")):
            self.refused(content, words)

    def test_a_mark_though_the_encoding_is_given(self):
        content = u"time,a\n1700000000,1\n\x1a".encode("utf-8-sig")
        found = tables.rowsOf(readings.inspect(
            "f", lambda: io.BytesIO(content),
            readings.Settings(encoding="utf-8")))
        self.assertEqual([(1700000000000, {"a": 1})], found)

    def test_an_encoding_that_is_none(self):
        for name in ("hex", "nonsense"):
            with self.assertRaises(readings.InDoubt):
                readings.inspect("f", lambda: io.BytesIO(b"time,a\n"),
                                 readings.Settings(encoding=name))

    def test_utf16_without_a_mark_is_refused(self):
        self.refused(u"time,a\n2021-02-18,1\n", "--encoding utf-16-le",
                     encoding="utf-16-le")

    def test_nul_bytes_make_a_bad_row(self):
        text = u"time,a\n1700000000,1\n\0\0\0\n1700000001,2\n"
        self.assertEqual([1, 2], [row["a"] for _, row in self.read(text)])
        self.assertEqual([(3, "NUL bytes")], self.bad(text))

    def test_a_line_that_names_the_separator(self):
        self.assertEqual([(A, {"a": 1.5, "b,c": "x"})], self.read(
            u"sep=;\r\ntime;a;b,c\r\n2021-02-18 21:46:23;1,5;x\r\n"))

    def test_blanks_behind_separators(self):
        self.assertEqual([(A, {"a": 1, "b": "x"})], self.read(
            u'time, a, b\n2021-02-18 21:46:23, 1, "x"\n'))
        self.assertEqual([(A, {"b": " x "})], self.read(
            u'time,b\n2021-02-18 21:46:23, x \n'))

    def test_a_separator_of_ones_own(self):
        self.assertEqual([(A, {"b": 1, "c": 2})], self.read(
            u"time    b  c\n2021-02-18T21:46:23   1 2\n", delimiter=" "))
        self.assertEqual([(A, {"b": 1})], self.read(
            u"time:b\n1613681183:1\n", delimiter=":"))

    def test_two_separators_are_a_doubt(self):
        self.refused(u"time,x;y\n1613681183,1;2\n", "--delimiter")

    def test_comments(self):
        right = [(1700000000000, {"a": 1}), (1700000001000, {"a": 2})]
        for text in (
                u"# made by\ntime,a\n1700000000,1\n#x\n1700000001,2\n# end\n",
                u"time,a\n1700000000,1\n# rebooted, again\n1700000001,2\n",
                u"# made by\n# time, a\n1700000000,1\n1700000001,2\n"):
            self.assertEqual(right, self.read(text), text)
        self.assertEqual([u"#a", u"#b"], [row["tag"] for _, row in self.read(
            u"time,tag\n1700000000,#a\n1700000001,#b\n")])
        self.assertEqual([u"#a", u"#b", u"c"], [row["tag"] for _, row in self.read(
            u"tag,time,x\n#a,1700000000,1\n#b,1700000001,2\nc,1700000002,#\n")])

    def test_lines_before_the_header_and_units_behind_it(self):
        right = [(A, {"T": 5, "H": 6}), (A + 1000, {"T": 7, "H": 8})]
        rows = u"2021-02-18 21:46:23,5,6\n2021-02-18 21:46:24,7,8\n"
        for text in (
                u"Station: Cellar\nLogger: X, 1\n\nTime,T,H\n",
                u"Time,T,H\n,degC,%\n", u"Time,T,H\nTS,degC,%\n,Avg,Smp\n",
                u"Cellar,X1,2\nTime,T,H\n", u"a\nb\nc\nTime,T,H\n[s],[C],[%]\n"):
            self.assertEqual(right, self.read(text + rows), text)
        self.assertEqual(right, self.read(
            u"When,T,H\nTime,T,H\n" + rows, skip=1))

    def test_without_a_header(self):
        rows = u"2021-02-18 21:46:23,5\n2021-02-18 21:46:24,7\n"
        self.refused(rows, "--columns")
        self.assertEqual([5, 7], [row["T"] for _, row in self.read(
            rows, columns=[u"time", u"T"])])

    def test_separators_at_the_end_and_ragged_rows(self):
        self.assertEqual([{"a": 1}, {"a": 2}], [row for _, row in self.read(
            u"time;a;\n1700000000;1;\n1700000001;2;\n")])
        text = (u"time,a,b\n1700000000,1,2\n1700000001,1\n1700000002,1,2,3\n"
                u"1700000003,1,2,\n,,\n\n")
        self.assertEqual([1700000000000, 1700000003000],
                         [moment for moment, _ in self.read(text)])
        self.assertEqual([(3, "2 cells, where the header has 3"),
                          (4, "4 cells, where the header has 3")],
                         self.bad(text))

    def test_quotation_marks(self):
        self.assertEqual(
            [u'x\ny', u'5" pipe', u'a "b" c', u"z"],
            [row["a"] for _, row in self.read(
                u'time,a\n1700000000,"x\ny"\n1700000001,5" pipe\n'
                u'1700000002,"a ""b"" c"\n1700000003,z\n')])
        text = u'time,a\n1700000000,"open\n1700000001,z\n'
        self.assertEqual([u"z"], [row["a"] for _, row in self.read(text)])
        self.assertEqual([(2, "a quotation mark that is not closed")],
                         self.bad(text))

    def test_nothing(self):
        for text in (u"", u"\n\n", u"\ufeff", u"# only\n"):
            self.refused(text, "empty")
        reading = self.inspect(u"time,a\n")
        self.assertEqual((0, []), (reading.rows, list(reading.batches())))
        self.refused(u"hello world\n", "no rows")

    def test_names(self):
        self.refused(u"time,a,a\n1700000000,1,2\n", "more than once")
        self.refused(u"time,all\n1700000000,1\n", "reserved")
        self.assertEqual([{"a": 1}], [row for _, row in self.read(
            u"time,all,a\n1700000000,1,1\n", columns=[u"a"])])
        self.assertEqual([{"a b": 1}], [row for _, row in self.read(
            u'time," a\n b "\n1700000000,1\n')])
        self.refused(u"time,a\n1700000000,1\n", "time, a", columns=[u"b"])

    def test_a_column_called_time_that_is_none(self):
        reading = self.inspect(
            u"date,time,v\n2021-02-18 21:46:23,21:46:23,5\n")
        self.assertEqual(("date", ["v"]), (reading.timeColumn,
                                           reading.columns))
        self.assertEqual("time", self.inspect(
            u"timestamp,time,v\n1613681183,2021-02-18 21:46:23,5\n"
            ).timeColumn)

    def test_thousands_of_columns(self):
        names = u",".join(u"column{}".format(k) for k in range(40000))
        reading = self.inspect(u"time,{}\n".format(names) + u"".join(
            u"{},{}\n".format(1700000000 + k, u",".join([u"1"] * 40000))
            for k in range(2)))
        self.assertEqual((2, 40), (reading.rows, reading.parts))

    def test_a_column_without_a_name(self):
        reading = self.inspect(u",time,a\n0,1700000000,5\n1,1700000001,6\n")
        self.assertEqual([u"a"], reading.columns)
        self.assertIn("without a name", " ".join(reading.layout.notes))
        self.assertEqual("", self.inspect(
            u",a\n1700000000,5\n1700000001,6\n").timeColumn)

    def test_more_columns_than_a_store_takes(self):
        names = [u"c{}".format(k) for k in range(2500)]
        reading = self.inspect(u"time,{}\n1700000000,{}\n".format(
            u",".join(names), u",".join(map(str, range(2500)))))
        groups = [group for batch in reading.batches()
                  for group in batch.groups]
        self.assertEqual(([1000, 1000, 500], 3),
                         ([len(group.columns) for group in groups],
                          reading.parts))
        self.assertEqual(2499, groups[2].rows[0][1]["c2499"])


class CellsTest(tables.TableTest):
    def test_gaps(self):
        for gap in (u"", u"nan", u"NaN", u"NA", u"n/a", u"NULL", u"None",
                    u"unavailable", u"Unknown", u"-", u"--", u"---"):
            self.assertEqual([None, 21.5, None], self.column([gap, u"21.5",
                                                              gap]), gap)
        self.assertEqual([None, 5], self.column([u"-999", u"5"],
                                                nulls=["-999"]))
        self.assertEqual([None, u"x"], self.column([u"unknown", u"x"]))

    def test_numbers(self):
        for cells, values in (
                ([u"1e-300", u"1E5"], [1e-300, 1e5]), ([u"+5", u"-5"], [5, -5]),
                ([u".5", u"5."], [0.5, 5.0]), ([u"0", u"0.0"], [0, 0]),
                ([u" 5 ", u"6"], [5, 6]),
                ([u"9007199254740993", u"0.5"], [9007199254740993, 0.5]),
                ([u"9223372036854775807"], [2 ** 63 - 1]),
                ([u"9223372036854775808"], [2.0 ** 63])):
            self.assertEqual(values, self.column(cells))

    def test_what_is_no_number_is_text(self):
        for cell in (u"0x1F", u"007", u"1_000", u"1,234.5", u"50%", u"inf",
                     u"-inf", u"1e999", u"1.2.3", u"on", u"off", u"--5", u"5-",
                     u"1 000", u"٣", u"00", u"-007", u"$5", u"1,234,567"):
            self.assertEqual([cell, u"5"], self.column([cell, u"5"]), cell)

    def test_booleans(self):
        self.assertEqual([True, False, True, None], self.column(
            [u"true", u"FALSE", u"True", u"nan"]))
        self.assertEqual([u"true", u"5"], self.column([u"true", u"5"]))

    def test_one_text_far_down_makes_all_of_a_column_text(self):
        cells = [str(k) for k in range(5000)] + [u"end"]
        self.assertEqual([u"0", u"4999", u"end"], [
            self.column(cells)[k] for k in (0, 4999, 5000)])

    def test_types_that_are_given(self):
        self.assertEqual([7, 8], self.column([u"007", u"8"],
                                             types={u"v": "number"}))
        self.assertEqual([u"7", None], self.column([u"7", u"nan"],
                                                   types={u"v": "string"}))
        self.assertEqual([True, False], self.column([u"1", u"false"],
                                                    types={u"v": "boolean"}))
        text = u"time,v\n1700000000,5\n1700000001,x\n"
        self.assertEqual([(3, 'v: "x" is no number')],
                         self.bad(text, types={u"v": "number"}))
        self.assertEqual([{"v": 5}], [row for _, row in self.read(
            text, types={u"v": "number"})])

    def test_cells_of_several_lines_are_text(self):
        for cell in u"1.5\n2.5", u"1,5\n2,5":
            self.assertEqual([cell, u"5"], self.column(
                [u'"{}"'.format(cell), u"5"]))

    def test_decimal_commas(self):
        self.assertEqual([1.5, None, 2.25, -5.0], self.column(
            [u"1,5", u"", u"2,25", u"-5"]))
        self.assertEqual([u"1,5", u"1,234,567"], self.column(
            [u"1,5", u"1,234,567"]))
        self.assertEqual([1.234, 2.345], self.column([u"1,234", u"2,345"]))
        tabs = u"time\tv\n1700000000\t1,234\n"
        self.refused(tabs, "--decimal")
        self.assertEqual([{"v": 1.234}], [row for _, row in self.read(
            tabs, decimal=",")])
        self.assertEqual([{"v": u"1,234"}], [row for _, row in self.read(
            tabs, decimal=".")])
        both = u"time;v;w\n1700000000;1,23;5.1\n"
        self.refused(both, "--decimal")
        self.assertEqual([{"v": 1.23, "w": u"5.1"}], [
            row for _, row in self.read(both, decimal=",")])
        self.assertEqual([u"1.234,5", u"5"], self.column([u"1.234,5", u"5"]))

    def test_long_form(self):
        reading = self.inspect(
            u"project_id,device_id,name,time,value\n"
            u'1,a,temp,1700000000000,1.5\n1,a,state,1700000000000,""\n'
            u'1,a,state,1700000001000,"unknown"\n1,b,on,1700000000000,true\n'
            u"1,b,temp,1700000000000,x\n1,,temp,1700000000000,x\n")
        groups = [group for batch in reading.batches()
                  for group in batch.groups]
        self.assertEqual(
            [("a", ["temp"], {"temp": u"1.5"}), ("a", ["state"], {"state": u""}),
             ("a", ["state"], {"state": u"unknown"}), ("b", ["on"], {"on": True}),
             ("b", ["temp"], {"temp": u"x"})],
            [(group.device, group.columns, row) for group in groups
             for _, row in group.rows])
        self.assertEqual([1.5], [row["temp"] for _, row in self.read(
            u"time,device_id,name,value\n1700000000,a,temp,1.5\n"
            u"1700000001,a,temp,nan\n")])


class DevicesTest(tables.TableTest):
    def test_repeated_times_are_counted(self):
        for days, count in ((u"1 1 2", 1), (u"1 2 1", 1), (u"2 1 1 1", 2),
                            (u"1 2 3", 0), (u"3 2 1", 0), (u"1 3 2", 0)):
            reading = self.inspect(u"date,v\n" + u"".join(
                u"2021-02-{:02d},{}\n".format(int(day), k)
                for k, day in enumerate(days.split())))
            self.assertEqual(count, reading.repeated, days)

    def test_a_text_that_tells_them_apart_is_a_doubt(self):
        for text in (u"2021-02-18,A,1\n2021-02-18,B,2\n",
                     u"2021-02-18,A,1\n2021-02-19,A,2\n2021-02-17,A,1\n"
                     u"2021-02-18,B,1\n2021-02-19,B,2\n"):
            self.refused(u"date,symbol,v\n" + text, "--device-column symbol")
            found = self.inspect(u"date,symbol,v\n" + text,
                                 deviceColumn=u"symbol")
            self.assertEqual((["v"], 0), (found.columns, found.repeated))
            self.assertEqual({"A", "B"}, set(
                group.device for batch in found.batches()
                for group in batch.groups))
        for text in (u"2021-02-18,A,1\n2021-02-18,A,2\n",
                     u"2021-02-18,A,1\n2021-02-18,,2\n"):
            self.assertEqual(1, self.inspect(u"date,symbol,v\n"
                                             + text).repeated)

    def test_numbers_with_an_odd_word_tell_nothing_apart(self):
        rows = [u"2021-02-{:02d},{}.5,1\n".format(day, day)
                for day in range(1, 20)]
        text = u"date,isig,v\n" + u"".join(rows) + u"2021-02-20,nil,1\n" \
            + u"2021-02-20,7.5,2\n"
        reading = self.inspect(text)
        self.assertEqual((1, [("isig", "string"), ("v", "number")],
                          [("isig", "nil")]),
                         (reading.repeated, reading.kinds(),
                          reading.oddCells()))
        self.assertEqual([], self.inspect(text, nulls=[u"nil"]).oddCells())
        # ids are texts, whatever they look like
        ids = text.replace(u"nil", u"007").replace(u"isig", u"id")
        self.refused(ids, "--device-column id")
        self.refused(text.replace(u"nil", u"8"), "--device-column isig",
                     types={u"isig": "string"})

    def test_ids_that_are_none(self):
        text = u"time,s,v\n1700000000,sensor.a,1\n1700000000,sensor_a,2\n"
        self.assertEqual([(3, "device sensor_a would have the id of sensor.a: "
                              "sensor_a")], self.bad(text, deviceColumn=u"s"))
        self.assertEqual(1, len(self.bad(
            u"time,device_id,v\n1700000000,a.b,1\n1700000001,a,1\n")))


class MemoryTest(tables.TableTest):
    @unittest.skipIf(tracemalloc is None, "needs tracemalloc")
    def test_it_does_not_grow_with_the_file(self):
        peaks = []
        for count in 20000, 100000:
            with tempfile.TemporaryFile() as file:
                file.write(b"time,a,b\n")
                for k in range(count):
                    file.write("{},{}.5,{}\n".format(
                        1500000000 + k, k % 100, k % 7).encode("ascii"))
                file.flush()

                def opener():
                    found = io.open(os.dup(file.fileno()), "rb")
                    found.seek(0)
                    return found

                tracemalloc.start()
                reading = readings.inspect("f", opener, readings.Settings())
                for _ in reading.batches():
                    pass
                peaks.append(tracemalloc.get_traced_memory()[1])
                tracemalloc.stop()
            self.assertEqual(count, reading.rows)
        self.assertLess(peaks[1], 1.2 * peaks[0])


class RepeatsTest(tables.TableTest):
    def test_those_of_a_pipe(self):
        seen = repeats.Seen()
        self.assertEqual([4], list(seen.look([
            (1, ("a",)), (3, ("b",)), (2, (None,)), (1, ("a",)), (3, ("c",)),
            (3, (None,)), (2, ("b",)), (4, ())])))
        self.assertEqual(4, seen.count)
        self.assertEqual([], list(seen.look([(4, ()), (5, ())])))
        self.assertEqual(5, seen.count)

    def test_a_pipe_without_an_end_takes_no_more_and_more_memory(self):
        with mock.patch.object(repeats, "_PART", 100):
            seen = repeats.Seen()
            for start in range(0, 1000, 50):
                self.assertEqual([], list(seen.look(
                    (k, ("a",)) for k in range(start, start + 50))))
            self.assertEqual([0], list(seen.look([(999, ("b",))])))
            self.assertEqual([], list(seen.look([(0, ("b",))])))
            self.assertLessEqual(len(seen._known) + len(seen._older), 200)

    def test_many_in_no_order_are_counted_on_disk(self):
        records = [(k * 7919 % 1000, ("a" if k < 1500 else "b", None))
                   for k in range(3000)]
        with mock.patch.object(repeats, "_PART", 100):
            self.assertEqual((2000, set([0])),
                             repeats.recount(iter(records), 3000))
        self.assertEqual((2000, set([0])),
                         repeats.recount(iter(records), 3000))
