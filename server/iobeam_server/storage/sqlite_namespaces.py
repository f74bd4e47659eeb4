"""Namespaces in the SQLite engine; the caller holds the transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Optional

from iobeam_server.points import Kind
from iobeam_server.storage.base import Namespace


def find(
    connection: sqlite3.Connection, project_id: int, name: Optional[str]
) -> Sequence[Namespace]:
    """Return namespaces with their fields; see `Storage.namespaces`."""
    values: list[object] = [project_id]
    where = "n.project_id = ?"
    if name is not None:
        where += " AND n.namespace_name = ?"
        values.append(name)
    # one statement, so that a namespace and its fields are of one moment
    rows = connection.execute(
        "SELECT n.namespace_id, n.project_id, n.namespace_name, n.partitioning_field, n.labels,"
        " n.created, n.last_modified, f.field_name, f.kind"
        " FROM namespaces n LEFT JOIN fields f USING (namespace_id)"
        f" WHERE {where} ORDER BY n.namespace_id, f.field_name",
        values,
    )
    found: dict[int, Namespace] = {}
    fields: dict[int, dict[str, Kind]] = {}
    for number, project, called, key, labels, created, modified, field, kind in rows:
        own = fields.setdefault(number, {})
        found[number] = Namespace(
            number, project, called, key, own, json.loads(labels), created, modified
        )
        if field is not None and field != key:
            own[field] = Kind(kind)
    return list(found.values())
