"""Namespaces in the PostgreSQL engine; the caller holds the transaction."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Optional

from iobeam_server.errors import AlreadyExists, NotFound, TypeConflict
from iobeam_server.points import Kind
from iobeam_server.storage.base import Label, Namespace
from iobeam_server.storage.postgres_schema import Connection


def find(connection: Connection, project_id: int, name: Optional[str]) -> Sequence[Namespace]:
    """Return namespaces with their fields; see `Storage.namespaces`."""
    values: list[object] = [project_id]
    where = "n.project_id = %s"
    if name is not None:
        where += " AND n.namespace_name = %s"
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
    connection: Connection,
    project_id: int,
    name: str,
    partitioning_field: str,
    fields: Mapping[str, Kind],
    labels: Mapping[str, Label],
    created: int,
) -> Namespace:
    """Insert a namespace; see `Storage.create_namespace`."""
    if not connection.execute(
        "SELECT FROM projects WHERE project_id = %s", (project_id,)
    ).fetchall():
        raise NotFound(f"there is no project {project_id}")
    # looked up first: an insert that does nothing would still use up an id
    row = connection.execute(
        "INSERT INTO namespaces (project_id, namespace_name, partitioning_field, labels,"
        " created, last_modified) SELECT %(project)s, %(name)s, %(key)s, %(labels)s, %(now)s,"
        " %(now)s WHERE NOT EXISTS (SELECT FROM namespaces"
        " WHERE project_id = %(project)s AND namespace_name = %(name)s)"
        " ON CONFLICT DO NOTHING RETURNING namespace_id",
        {
            "project": project_id,
            "name": name,
            "key": partitioning_field,
            "labels": json.dumps(dict(labels)),
            "now": created,
        },
    ).fetchone()
    if row is None:
        raise AlreadyExists(f"a namespace named {name!r} exists in project {project_id}")
    _add_fields(connection, row[0], fields)
    (made,) = find(connection, project_id, name)
    return made


def change(
    connection: Connection,
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
    new = {name: kind for name, kind in fields.items() if name not in found[0].fields}
    if new or dict(labels) != found[0].labels:
        connection.execute(
            "UPDATE namespaces SET labels = %s, last_modified = %s WHERE namespace_id = %s",
            (json.dumps(dict(labels)), modified, namespace_id),
        )
        _add_fields(connection, namespace_id, new)
    # judged by what stands there now: an import may have brought the field meanwhile
    (known,) = (
        one.fields for one in find(connection, project_id, None) if one.namespace_id == namespace_id
    )
    for name, kind in fields.items():
        if known.get(name, kind) is not kind:
            raise TypeConflict(f"field {name!r} has another type already", field=name)


def _add_fields(connection: Connection, namespace_id: int, fields: Mapping[str, Kind]) -> None:
    names = sorted(fields)
    connection.execute(
        "INSERT INTO fields (namespace_id, field_name, kind)"
        " SELECT %s, * FROM unnest(%s::text[], %s::smallint[]) ON CONFLICT DO NOTHING",
        (namespace_id, names, [int(fields[name]) for name in names]),
    )
