# -*- coding: utf-8 -*-
from __future__ import absolute_import

import unittest

from iobeam.command import moments
from tests.command import tables

A = 1613681183000  # 2021-02-18 21:46:23 in Berlin, ms
HOUR = 3600000  # ms


class FormsTest(tables.TableTest):
    def test_forms(self):
        for cell, moment in (
                ("2021-02-18T21:46:23", A), ("2021-02-18 21:46:23", A),
                ("2021-02-18 21:46", A - 23000), ("2021-02-18T20:46:23Z", A),
                ("2021-02-18 20:46:23 UTC", A),
                ("2021-02-18 22:46:23+02", A), ("2021-02-18 22:46:23+0200", A),
                ("2021-02-18T22:46:23+02:00", A),
                ("2021-02-18 16:16:23 -04:30", A),
                ("2021-02-18T20:46:23.250Z", A + 250),
                ("2021-02-18T20:46:23.123456789Z", A + 123.456),
                ("2021/02/18 21:46:23", A), ("2021/2/18 21:46:23", A),
                ("18.02.2021 21:46:23", A), ("18.2.2021 21:46:23", A),
                ("18.02.2021, 21:46:23", A), ("18/02/2021 21:46:23", A),
                ("02/18/2021 21:46:23", A), ("2/18/2021 9:46:23 PM", A),
                ("18/02/2021 9:46:23pm", A), ("2/18/2021 9:46:23 p.m.", A),
                ("2/18/2021 12:00 AM", A - 78383000),
                ("2/18/2021 12:00 PM", A - 35183000),
                ("2021-02-17 24:00", A - 78383000),
                ("2021-02-18", A - 78383000), ("20210218", A - 78383000),
                ("19580329", -371178000000), ("19580329120000", -371134800000),
                ("20210218T204623Z", A), ("20210218214623", A),
                ("202102182146", A - 23000),
                ("1613681183", A), ("1613681183.5", A + 500),
                ("1613681183000", A), ("1613681183000000", A),
                ("1613681183000000000", A)):
            self.assertEqual([moment], self.times([cell]), cell)

    def test_what_is_no_time_is_refused(self):
        for cell in ("soon", "5", "0", "2021", "44245.9", "21:46:23", "99",
                     "2021-13-01", "2021-02-30", "18.02.21", "1.6E9",
                     "18 Feb 2021", "4102444800", "631151999", "-1613681183",
                     "2021-02-18 25:00", "2021-02-18 24:01", "2021-02-18 21:60",
                     "2021-02-18 13:00 PM", "2021-02-18T21:46:23 CET",
                     "31/04/2021", "0000-00-00 00:00:00"):
            self.refused(u"time;v\n{};1\n".format(cell), "time")

    def test_a_bad_time_among_good_ones_is_a_bad_row(self):
        for cell in ("2021-02-30 10:00", "soon", "", "2021-02-18 10:00:60",
                     "1613681183"):
            text = u"time,v\n2021-02-18,1\n2021-02-19,1\n{},2\n".format(cell)
            self.assertEqual([4], [number for number, _ in self.bad(text)],
                             cell)
        self.assertEqual([4], [number for number, _ in self.bad(
            u"time,v\n1613681183,1\n1613681184,1\n1613681185000,2\n")])

    def test_the_file_itself_decides_on_day_and_month(self):
        self.refused(u"date,v\n03/04/2021,1\n", "--time-format")
        self.refused(u"date,v\n13/04/2021,1\n04/13/2021,1\n", "--time-format")
        late = u"date,v\n" + u"03/04/2021,1\n" * 5000
        self.assertEqual(1617400800000,
                         self.read(late + u"13/04/2021,1\n")[0][0])
        self.assertEqual(1614812400000,
                         self.read(late + u"04/13/2021,1\n")[0][0])

    def test_a_format_that_is_given(self):
        for cell, form, moment in (
                ("03/04/2021 10:00", "%d/%m/%Y %H:%M", 1617436800000),
                ("03/04/2021 10:00", "%m/%d/%Y %H:%M", 1614848400000),
                ("5000", "msec", 5000), ("5", "sec", 5000), ("-5", "sec", -5000),
                ("5000000", "usec", 5000), ("5000000000", "nsec", 5000),
                ("18 Feb 2021 21:46:23", "%d %b %Y %H:%M:%S", A),
                ("2021021821", "%Y%m%d%H", A - 2783000),
                ("2021-02-18 21:46:23", "iso", A)):
            self.assertEqual([moment], self.times([cell], timeFormat=form))

    def test_hours_or_seconds_are_a_doubt(self):
        self.refused(u"time,v\n2021021821,1\n", "--time-format %Y%m%d%H")

    def test_the_column_of_times(self):
        for header, row, column in (
                (u"v,Timestamp", u"1,{}", u"Timestamp"),
                (u"v,Date Time (UTC)", u"1,{}", u"Date Time (UTC)"),
                (u"v,createdAt,other", u"1,{},2021-02-19", u"createdAt"),
                (u"v,Zeitstempel", u"1,{}", u"Zeitstempel"),
                (u"v,measurement_time", u"1,{}", u"measurement_time"),
                (u"v,whatever", u"1,{}", u"whatever"),
                (u"time,seen", u"{},2021-02-19", u"time"),
                (u"time,date,v", u"{0},{0},1", u"time"),
                (u"_start,_time,v", u"2021-02-01T00:00:00Z,{},1", u"_time")):
            reading = self.inspect(u"{}\n{}\n".format(header, row.format(
                u"2021-02-18 21:46:23")))
            self.assertEqual((column, A), (reading.timeColumn,
                                           reading.first // 1000))
        for header, row in ((u"start,end,v", u"2021-02-18,2021-02-19,1"),
                            (u"a,b,v", u"2021-02-18,2021-02-19,1"),
                            (u"bytes,v", u"1613681183,1"),
                            (u"time,v", u"0.5,1"), (u"a,v", u"20210218,1"),
                            (u"a,b", u"1,2")):
            self.refused(u"{}\n{}\n".format(header, row), "--time")
        self.assertEqual(u"b", self.inspect(
            u"a,b,v\n2021-02-18,2021-02-19,1\n", time=[u"b"]).timeColumn)

    def test_date_and_clock(self):
        for header, row in (
                (u"Date,Time,v", u"2021-02-18,21:46:23,1"),
                (u"v,Datum,Uhrzeit", u"1,18.02.2021,21:46:23"),
                (u"date,time,v", u"20210218,214623,1"),
                (u"day,clock,v", u"02/18/2021,9:46:23 PM,1")):
            reading = self.inspect(u"{}\n{}\n".format(header, row))
            self.assertEqual((A, [u"v"]), (reading.first // 1000,
                                           reading.columns))
        hours = u"date,hour,v\n2021-02-18,1,5\n2021-02-18,2,6\n"
        self.refused(hours, "column hour")
        self.assertEqual(2, self.inspect(
            hours, time=[u"date", u"hour"], timeFormat="%Y-%m-%d %H").rows)
        for name in (u"duration", u"Elapsed time", u"uptime (h)"):
            self.assertEqual([name], self.inspect(
                u"date,{}\n2021-02-18,00:15:00\n".format(name)).columns)
        self.assertEqual([u"rise", u"set"], self.inspect(
            u"date,rise,set\n2021-02-18,07:15,17:40\n").columns)
        for text in (u"date,start time,end time\n2021-02-18,10:00,11:00\n",
                     u"date,time\n2021-02-18 00:00:00,10:00\n"):
            self.refused(text + u"", "--time DATE,CLOCK")
        self.assertEqual(A, self.inspect(
            u"d,c,v\n2021-02-18,21:46:23,1\n",
            time=[u"d", u"c"]).first // 1000)

    def test_a_clock_of_an_odd_name_is_a_doubt(self):
        for cell in ("10:15", "10:15:30", "9:15 PM"):
            text = u"date,kl,v\n2021-02-18,{},5\n".format(cell)
            self.refused(text, "--time DATE,CLOCK")
            self.assertEqual(1, self.inspect(
                text, time=[u"date", u"kl"]).rows)
            self.assertEqual([u"kl", u"v"], self.inspect(
                text, time=[u"date"]).columns)

    def test_times_of_an_odd_name_beside_dates_are_a_doubt(self):
        for date in ("2021-02-18", "2021-02-18 00:00:00"):
            text = u"date,dates,v\n{},2021-02-18 10:15,5\n".format(date)
            self.refused(text, "column date holds dates, and column dates")
            self.assertEqual([u"date", u"v"], self.inspect(
                text, time=[u"dates"]).columns)
        self.assertEqual([u"rise", u"set"], self.inspect(
            u"date,rise,set\n2021-02-18,2021-02-18T07:15,2021-02-18T17:40\n"
            ).columns)

    def test_a_clock_of_digits_may_leave_out_zeros(self):
        day = A - 78383000
        for clocks, minutes in (
                (("0", "5", "930", "1015", "2359"), (0, 5, 570, 615, 1439)),
                (("0000", "0930", "1015"), (0, 570, 615)),
                (("130", "1234", "101500", "235900"),
                 (1.5, 12 + 34 / 60.0, 615, 1439))):
            rows = [u"20210218,{},1\n".format(clock) for clock in clocks]
            text = u"date,time,v\n20210218,1200,1\n20210218,1300,1\n" \
                if len(clocks[-1]) == 4 else \
                u"date,time,v\n20210218,120000,1\n20210218,130000,1\n"
            sent = self.read(text + u"".join(rows))[2:]
            self.assertEqual([day + 60000 * at for at in minutes],
                             [moment for moment, _ in sent], clocks)

    def test_how_many_digits_a_clock_has_is_seen_in_all_rows(self):
        """A row a second from 00:10:00 on: 1000 of four digits, then 10000."""
        seconds = range(600, 3800)
        rows = [u"20210218,{}{:02d}{:02d},1\n".format(
            k // 3600 or "", k // 60 % 60, k % 60) for k in seconds]
        text = u"date,time,v\n" + u"".join(rows)
        day = A - 78383000
        self.assertEqual([day + 1000 * k for k in seconds],
                         [moment for moment, _ in self.read(text)])

    def test_words_among_clocks_of_digits_change_nothing(self):
        rows = u"".join(u"20210218,{},1\n".format(clock) for clock in (
            "930", "1015", "missing", "1016"))
        found = self.read(u"date,time,v\n" + rows)
        self.assertEqual([A - 78383000 + 60000 * at for at in (
            570, 615, 616)], [moment for moment, _ in found])


class ZonesTest(tables.TableTest):
    def test_zones(self):
        for name, moment in ((None, A), ("local", A), ("UTC", A + HOUR),
                             ("+02:00", A - HOUR), ("-0530", A + 6.5 * HOUR)):
            self.assertEqual([moment], self.times(
                ["2021-02-18 21:46:23"], zone=moments.zoneOf(name)), name)
        for name in ("nowhere", "+25:00"):
            with self.assertRaises(ValueError):
                moments.zoneOf(name)

    @unittest.skipIf(moments.zoneinfo is None, "names of zones need 3.9")
    def test_names_of_zones(self):
        zone = moments.zoneOf("America/New_York")
        self.assertEqual([A + 6 * HOUR], self.times(["2021-02-18 21:46:23"],
                                                    zone=zone))
        self.assertEqual([1625162400000], self.times(["2021-07-01 14:00"],
                                                     zone=zone))

    def test_an_hour_that_stands_twice(self):
        first = 1635636600000  # 01:30 on 2021-10-31 in Berlin, ms
        for cells, steps in (
                ("01:30 02:00 02:30 02:00 02:30 03:00", 0.5),
                ("01:30 01:45 02:00 02:15 02:30 02:45 02:00 02:15 02:30 02:45 "
                 "03:00", 0.25)):
            self.assertEqual(
                [first + k * steps * HOUR for k in range(len(cells.split()))],
                self.times(["2021-10-31 " + cell for cell in cells.split()]))
            self.assertEqual(
                [first + k * steps * HOUR for k in range(len(cells.split()))],
                self.times(["2021-10-31 " + cell for cell
                            in reversed(cells.split())])[::-1])
        hours = ["00:00", "01:00", "02:00", "02:00", "03:00"]
        self.assertEqual([first + (k - 1.5) * HOUR for k in range(5)],
                         self.times(["2021-10-31 " + cell for cell in hours]))

    def test_once_is_the_earlier_one(self):
        self.assertEqual([1635638400000, 1635645600000], self.times(
            ["2021-10-31 02:00", "2021-10-31 03:00"]))

    def test_each_device_steps_back_alone(self):
        found = self.inspect(u"time,device_id,v\n" + u"".join(
            u"2021-10-31 {},{},1\n".format(clock, device)
            for clock in ("02:00", "02:30", "02:00", "02:30")
            for device in "ab"))
        self.assertEqual((8, 0), (found.rows, found.repeated))

    def test_each_year_anew(self):
        self.assertEqual(
            [1603585800000, 1603589340000, 1635640200000],
            self.times(["2020-10-25 02:30", "2020-10-25 02:29",
                        "2021-10-31 02:30"]))

    def test_an_hour_that_is_skipped_is_bad(self):
        text = (u"time,v\n2021-03-28 01:45,1\n2021-03-28 02:00,2\n"
                u"2021-03-28 02:45,3\n2021-03-28 03:00,4\n")
        self.assertEqual([1, 4], [row["v"] for _, row in self.read(text)])
        self.assertEqual([3, 4], [number for number, _ in self.bad(text)])
        self.assertIn("summer time", self.bad(text)[0][1])


class MemoryTest(tables.TableTest):
    """What is remembered of a column changes nothing."""

    def test_all_minutes_of_a_day_with_a_change(self):
        zone = moments.zoneOf("local")
        reader = moments.Moments("calendar", zone)
        for day in ("2021-03-28", "2021-10-31", "2021-06-01"):
            for minute in range(0, 1440, 7):
                text = "{} {:02d}:{:02d}:05".format(day, minute // 60,
                                                    minute % 60)
                both = []
                for one in (reader, moments.Moments("calendar", zone)):
                    try:
                        both.append(one.usec(text, moments.Folds()))
                    except moments.Skipped:
                        both.append(None)
                self.assertEqual(both[0], both[1], text)

    def test_odd_texts_behind_good_ones(self):
        reader = moments.Moments("calendar", moments.zoneOf("UTC"))
        for text in ("2021-02-18 21:46:23", "2021-02-18 21:46:23.5Z"):
            reader.usec(text, None)
        for text in ("2021-02-18 21:46:23x", "2021-02-18 21:99:23",
                     "2021-02-18 21:46:2", "2021-02-18 21:46:", "",
                     "2021-02-18 21:46:23.x", "2021-02-18 21:46.5"):
            with self.assertRaises(ValueError):
                reader.usec(text, None)
