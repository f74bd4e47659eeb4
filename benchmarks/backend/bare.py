"""Upserts without a backend: a loop as short as it can be; started as a script.

Writes the backend's own schema as it would without HTTP, JSON and checks: for
each 1000 rows of four values one transaction, 8 devices in turn, sorted by
key. Argument: a JSON object with url and rows, and for PostgreSQL whether the
points go straight into their table, as only those can that are new. Protocol
and result as in `load`; CPU time is this process's.
"""
import json
import sqlite3
import sys
import time

from benchmarks.backend import load

ROWS_AT_ONCE = 1000
DEVICES = 8
_UPSERT = (
    " ON CONFLICT (series_id, time) DO UPDATE SET int_value = excluded.int_value,"
    " real_value = excluded.real_value")


def _transactions(rows):
    """Prepare the points of every transaction, as lists of rows of the table."""
    cells = load.cells_of(ROWS_AT_ONCE)
    for number in range(rows // ROWS_AT_ONCE):
        run, device = divmod(number, DEVICES)
        first = load.FIRST_US + run * ROWS_AT_ONCE * load.STEP_US
        points = []
        for at in range(len(load.FIELDS)):
            series = 1 + device * len(load.FIELDS) + at
            for i, row in enumerate(cells):
                value = row[at]
                whole, real = (value, None) if isinstance(value, int) else (None, value)
                points.append((series, first + i * load.STEP_US, whole, real))
        yield points


def _onSqlite(url, prepared):
    connection = sqlite3.connect(url[len("sqlite:///"):], isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    sql = ("INSERT INTO points (series_id, time, int_value, real_value)"
           " VALUES (?, ?, ?, ?)" + _UPSERT)

    def run():
        for points in prepared:
            connection.execute("BEGIN")
            connection.executemany(sql, points)
            connection.execute("COMMIT")

    return run


def _straightOnPostgres(url, prepared):
    import psycopg

    connection = psycopg.connect(url, autocommit=True)

    def run():
        for points in prepared:
            with connection.transaction(), connection.cursor() as cursor:
                with cursor.copy("COPY points (series_id, time, int_value, real_value)"
                                 " FROM STDIN (FORMAT BINARY)") as copy:
                    copy.set_types(("int8", "int8", "int8", "float8"))
                    for point in points:
                        copy.write_row(point)

    return run


def _onPostgres(url, prepared):
    import psycopg

    connection = psycopg.connect(url, autocommit=True)
    connection.execute(
        "CREATE TEMPORARY TABLE incoming (series_id bigint, time bigint, int_value bigint,"
        " real_value double precision) ON COMMIT DELETE ROWS")

    def run():
        for points in prepared:
            with connection.transaction(), connection.cursor() as cursor:
                with cursor.copy("COPY incoming FROM STDIN (FORMAT BINARY)") as copy:
                    copy.set_types(("int8", "int8", "int8", "float8"))
                    for point in points:
                        copy.write_row(point)
                cursor.execute(
                    "INSERT INTO points (series_id, time, int_value, real_value)"
                    " SELECT * FROM incoming" + _UPSERT)

    return run


def main():
    job = json.loads(sys.argv[1])
    prepared = list(_transactions(job["rows"]))
    if job["url"].startswith("sqlite:"):
        run = _onSqlite(job["url"], prepared)
    else:
        run = (_straightOnPostgres if job["straight"] else _onPostgres)(job["url"], prepared)
    print("ready", flush=True)
    sys.stdin.readline()
    begun, cpu = time.perf_counter(), time.process_time()
    run()
    print(json.dumps({"wall": time.perf_counter() - begun, "rows": job["rows"],
                      "cpu": time.process_time() - cpu}))


if __name__ == "__main__":
    main()
