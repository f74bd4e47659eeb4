"""Namespaces in the SQLite engine; the caller holds the transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Optional

from iobeam_server.errors import AlreadyExists, NotFound, TypeConflict
from iobeam_server.points import Kind
from iobeam_server.storage.base import Label, Namespace


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


def create(
    connection: sqlite3.Connection,
    project_id: int,
    name: str,
    partitioning_field: str,
    fields: Mapping[str, Kind],
    labels: Mapping[str, Label],
    created: int,
) -> Namespace:
    """Insert a namespace; see `Storage.create_namespace`."""
    if not connection.execute(
        "SELECT 1 FROM projects WHERE project_id = ?", (project_id,)
    ).fetchone():
        raise NotFound(f"there is no project {project_id}")
    if find(connection, project_id, name):
        raise AlreadyExists(f"a namespace named {name!r} exists in project {project_id}")
    namespace_id = connection.execute(
        "INSERT INTO namespaces (project_id, namespace_name, partitioning_field, labels,"
        " created, last_modified) VALUES (?, ?, ?, ?, ?, ?)",
        (project_id, name, partitioning_field, json.dumps(dict(labels)), created, created),
    ).lastrowid
    assert namespace_id is not None
    _add_fields(connection, namespace_id, fields)
    (made,) = find(connection, project_id, name)
    return made


def change(
    connection: sqlite3.Connection,
    project_id: int,
    namespace_id: int,
    fields: Mapping[str, Kind],
    labels: Mapping[str, Label],
    modified: int,
) -> None:
    """Update a namespace; see `Storage.change_namespace`."""
    found = [one for one in find(connection, project_id, None) if one.namespace_id == namespace_id]
    if not found:
        raise NotFound(f"there is no namespace {namespace_id} in project {project_id}")
    known = found[0].fields
    for name, kind in fields.items():
        if known.get(name, kind) is not kind:
            raise TypeConflict(f"field {name!r} has another type already", field=name)
    new = {name: kind for name, kind in fields.items() if name not in known}
    if not new and dict(labels) == found[0].labels:
        return
    _add_fields(connection, namespace_id, new)
    connection.execute(
        "UPDATE namespaces SET labels = ?, last_modified = ? WHERE namespace_id = ?",
        (json.dumps(dict(labels)), modified, namespace_id),
    )


def _add_fields(
    connection: sqlite3.Connection, namespace_id: int, fields: Mapping[str, Kind]
) -> None:
    connection.executemany(
        "INSERT INTO fields (namespace_id, field_name, kind) VALUES (?, ?, ?)",
        [(namespace_id, name, int(kind)) for name, kind in fields.items()],
    )
