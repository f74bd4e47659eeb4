"""One day of one series out of ten million points: over HTTP, and as bare SQL."""
import contextlib
import http.client
import json
import sqlite3
import statistics
import time

from benchmarks.backend import engines, load, processes

SERIES = 20
STEP_S = 10
DAY_S = 86400
TARGET_RATIO = 2.0  # of the bare query's time
TARGET_MS = 50  # on SQLite
TRIES = 25  # of each in one round, in turn; the quickest counts


def measure(found, rounds, points):
    """Measure every engine; return whether the targets were reached."""
    isReached = True
    for engine in found:
        with engine.database() as url:
            token = engines.prepare(url)
            begun = time.monotonic()
            fill(url, points)
            print("{}: {} points in {} series, made in {:.0f} s".format(
                engine.name, points, SERIES, time.monotonic() - begun), flush=True)
            with processes.backend(url) as (_, port):
                isReached = _compare(engine, url, port, token, rounds, points) and isReached
    return isReached


def _compare(engine, url, port, token, rounds, points):
    first = load.FIRST_US + points // SERIES * STEP_S * 1000000 // 2
    last = first + DAY_S * 1000000 - 1
    asMilliseconds = "from={}&to={}".format(first // 1000, last // 1000)
    paths = {
        "/v1/exports": "/v1/exports/1/bench-3/load?timefmt=usec&" + asMilliseconds,
        "/v1/exports, CSV": "/v1/exports/1/bench-3/load?output=csv&" + asMilliseconds,
        "/v1/exports, hourly means":
            "/v1/exports/1/bench-3/load?operator=mean&group_by=1h&" + asMilliseconds,
    }
    isReached = True
    print("\n| {}, one day of one series | ms | bare SQL, ms | ratio | of the rounds |"
          "\n|---|---|---|---|---|".format(engine.name))
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as sock, \
            bare(url) as ask:
        for name, path in paths.items():
            sums = "means" in name
            ours, peers = [], []
            for _ in range(rounds):
                turns = [(timed(asked, sock, path, token), timed(
                             ask, _MEANS if sums else _POINTS, 4, first, last))
                         for _ in range(TRIES)]
                ours.append(min(each[0] for each in turns))
                peers.append(min(each[1] for each in turns))
            ratios = [a / b for a, b in zip(ours, peers)]
            took, ratio = statistics.median(ours) * 1000, statistics.median(ratios)
            said = ""
            if name == "/v1/exports":
                isReached = ratio <= TARGET_RATIO and (
                    took < TARGET_MS or engine.name != engines.Sqlite.name)
                said = " (target {:.0f}{}: {})".format(
                    TARGET_RATIO, ", {} ms".format(TARGET_MS) if engine.name ==
                    engines.Sqlite.name else "", "reached" if isReached else "MISSED")
            print("| {} | {:.1f} | {:.1f} | {:.2f}{} | {:.2f}..{:.2f} |".format(
                name, took, statistics.median(peers) * 1000, ratio, said,
                min(ratios), max(ratios)), flush=True)
        answer = json.loads(asked(sock, paths["/v1/exports"], token))
        if len(answer["result"][0]["data"]) != DAY_S // STEP_S:
            raise RuntimeError("the answer has not every point of the day")
    return isReached


def timed(call, *arguments):
    begun = time.perf_counter()
    call(*arguments)
    return time.perf_counter() - begun


def asked(connection, path, token, mayTakeLong=False):
    """Return the answer; None where it took too long, and may."""
    connection.request("GET", path, headers={"Authorization": "Bearer " + token})
    answer = connection.getresponse()
    said = answer.read()
    if answer.status == 422 and mayTakeLong:
        return None
    if answer.status != 200:
        raise RuntimeError("{}: {}".format(path, said))
    return said


_WHERE = " WHERE series_id = {0} AND time BETWEEN {0} AND {0}"
_POINTS = "SELECT time, coalesce(int_value, real_value) FROM points" + _WHERE + " ORDER BY time"
_MEANS = "SELECT time / 3600000000 AS hour, avg(real_value) FROM points" + _WHERE + \
    " GROUP BY hour ORDER BY hour"


@contextlib.contextmanager
def bare(url):
    """Yield what fetches the same as Python objects, without a backend."""
    if url.startswith("sqlite:"):
        connection, mark = sqlite3.connect(url[len("sqlite:///"):]), "?"
    else:
        import psycopg
        connection, mark = psycopg.connect(url, autocommit=True), "%s"

    def ask(sql, *values):
        return connection.execute(sql.format(mark), values).fetchall()

    with contextlib.closing(connection):
        yield ask


# The devices' fields in the order of `Storage.series`: as an import would have made them.
_NAMES = ("INSERT INTO fields (namespace_id, field_name, kind) VALUES (1, 'load', 1)",
          "INSERT INTO series (namespace_id, device_id, field_id) VALUES (1, 'bench-{}', 1)")


def fill(url, points, series=SERIES, firstUs=load.FIRST_US, stepS=STEP_S):
    """Put points into so many series of one name, one of each device."""
    isSqlite = url.startswith("sqlite:")
    (_fillSqlite if isSqlite else _fillPostgres)(url, points, series, firstUs, stepS)


def _fillSqlite(url, points, series, firstUs, stepS):
    with contextlib.closing(sqlite3.connect(url[len("sqlite:///"):])) as connection:
        connection.execute(_NAMES[0])
        for number in range(series):
            connection.execute(_NAMES[1].format(number))
        connection.execute(
            "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ? - 1)"
            " INSERT INTO points (series_id, time, real_value)"
            " SELECT s.series_id, ? + n.i * ?, round(20 + n.i % 977 / 100.0, 2)"
            " FROM series s CROSS JOIN n ORDER BY 1, 2",
            (points // series, firstUs, stepS * 1000000))
        connection.commit()


def fillDevices(url, devices, series, each, firstUs):
    """Put points, one a minute, into some series of each of many devices."""
    names = ["INSERT INTO fields (namespace_id, field_name, kind) VALUES (1, 's{}', 1)".format(
        number) for number in range(series)]
    isSqlite = url.startswith("sqlite:")
    numbers = "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {} - 1) "
    names.append(
        "INSERT INTO series (namespace_id, device_id, field_id) " + numbers.format(devices)
        + "SELECT 1, 'many-' || n.i, f.field_id FROM n CROSS JOIN fields f")
    names.append(
        "INSERT INTO points (series_id, time, real_value) " + numbers.format(each)
        + "SELECT s.series_id, {} + n.i * 60000000, 1.5 FROM series s CROSS JOIN n".format(firstUs))
    if isSqlite:
        with contextlib.closing(sqlite3.connect(url[len("sqlite:///"):])) as connection:
            for statement in names:
                connection.execute(statement)
            connection.commit()
        return
    import psycopg
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in names:
            connection.execute(statement)
        connection.execute("VACUUM ANALYZE points")


def _fillPostgres(url, points, series, firstUs, stepS):
    import psycopg
    with psycopg.connect(url) as connection:
        connection.execute(_NAMES[0])
        for number in range(series):
            connection.execute(_NAMES[1].format(number))
        connection.execute(
            "INSERT INTO points (series_id, time, real_value)"
            " SELECT s.series_id, %s + n.i * %s::bigint, 20 + (n.i %% 977)::float8 / 100"
            " FROM series s CROSS JOIN generate_series(0, %s) AS n (i)",
            (firstUs, stepS * 1000000, points // series - 1))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE points")
