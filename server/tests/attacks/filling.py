"""Many points put into a database at once, beside the server that is attacked."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from typing import Any, Callable

from attacks.scene import Scene

Execute = Callable[[str], list[Any]]


@contextlib.contextmanager
def sql(url: str) -> Iterator[Execute]:
    """Statements of one's own, in one transaction."""
    if url.startswith("sqlite"):
        connection: Any = sqlite3.connect(url.partition(":///")[2], timeout=60)
    else:
        import psycopg

        connection = psycopg.connect(url)
    with contextlib.closing(connection):

        def run(statement: str) -> list[Any]:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

        yield run
        connection.commit()


def numbers(count: int) -> str:
    """Return a table n(i) of 0 .. count - 1, as both engines understand it."""
    return f"WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {count - 1}) "


def deepen(scene: Scene, field: str, points: int, device: str = "beside") -> None:
    """Give a series of one field as many points, a ms apart."""
    assert scene.send(["time", field], [[0, 1]], device).status == 200
    with sql(scene.url) as run:
        (series,) = run(
            "SELECT series_id FROM series JOIN fields ON fields.field_id = series.field_id "
            f"WHERE field_name = '{field}' AND device_id = '{device}'"
        )
        run(
            f"INSERT INTO points (series_id, time, int_value) {numbers(points)}"
            f"SELECT {series[0]}, CAST(i + 1 AS bigint) * 1000, i % 1000 FROM n"
        )
        if not scene.url.startswith("sqlite"):
            run("ANALYZE points")


def enlist(scene: Scene, devices: int, fields: int) -> None:
    """Register as many devices, and give `input` as many fields."""
    assert scene.send(["time", "one"], [[0, 0]], "beside").status == 200
    with sql(scene.url) as run:
        run(
            "INSERT INTO devices (project_id, device_id, device_name, created) "
            f"{numbers(devices)}SELECT 1, 'd' || i, 'd' || i, 0 FROM n"
        )
        (space,) = run("SELECT namespace_id FROM namespaces WHERE project_id = 1")
        run(
            f"INSERT INTO fields (namespace_id, field_name, kind) {numbers(fields)}"
            f"SELECT {space[0]}, 'w' || i, 1 FROM n"
        )


def widen(scene: Scene, namespace: str, fields: int, rows: int) -> None:
    """Make a namespace of as many fields, each row a time of its own with one value."""
    body = {
        "namespace_name": namespace,
        "project_id": 1,
        "partitioning_field": "device_id",
        "fields": {"device_id": "STRING", "w": "LONG"},
    }
    assert scene.call("POST", "/v1/namespaces/", body).status == 201
    with sql(scene.url) as run:
        (space,) = run(f"SELECT namespace_id FROM namespaces WHERE namespace_name = '{namespace}'")
        run(
            f"INSERT INTO fields (namespace_id, field_name, kind) {numbers(fields)}"
            f"SELECT {space[0]}, 'w' || i, 1 FROM n"
        )
        run(
            "INSERT INTO series (namespace_id, device_id, field_id) "
            f"SELECT namespace_id, 'beside', field_id FROM fields WHERE namespace_id = {space[0]}"
        )
        run(
            f"INSERT INTO points (series_id, time, int_value) {numbers(rows)}"
            f"SELECT (SELECT min(series_id) FROM series WHERE namespace_id = {space[0]}) + i, i, i "
            "FROM n"
        )


@contextlib.contextmanager
def held(url: str) -> Iterator[None]:
    """Keep the points from being written, as another program may."""
    with sql(url) as run:
        run("BEGIN IMMEDIATE" if url.startswith("sqlite") else "LOCK TABLE points")
        yield
