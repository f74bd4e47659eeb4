"""Namespaces and their fields."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Optional

from iobeam_server.errors import AlreadyExists, NotFound, TypeConflict
from iobeam_server.rules.points import Kind
from iobeam_server.storage.base import Label, Namespace
from iobeam_server.storage.catalog.sql import Database, Sql


class Namespaces:
    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, project_id: int, name: Optional[str] = None) -> Sequence[Namespace]:
        """Return the project's namespaces, or the one of that name, in the order of ids."""
        with self._database.reading() as sql:
            return _find(sql, project_id, name)

    def create(
        self,
        project_id: int,
        name: str,
        partitioning_field: str,
        fields: Mapping[str, Kind],
        labels: Mapping[str, Label],
        created: int,
    ) -> Namespace:
        """Create a namespace.

        Raises:
            AlreadyExists: the project has one of that name.
            NotFound: no such project.
        """
        with self._database.writing() as sql:
            return create(sql, project_id, name, partitioning_field, fields, labels, created)

    def change(
        self,
        project_id: int,
        namespace_id: int,
        fields: Mapping[str, Kind],
        labels: Mapping[str, Label],
        modified: int,
    ) -> None:
        """Add the fields that are new, replace the labels.

        Raises:
            NotFound: the project has no such namespace.
            TypeConflict: a field is there with another kind; nothing was changed.
        """
        with self._database.writing() as sql:
            found = _of_id(sql, project_id, namespace_id)
            if found is None:
                raise NotFound(f"there is no namespace {namespace_id} in project {project_id}")
            new = {name: kind for name, kind in fields.items() if name not in found.fields}
            if new or dict(labels) != found.labels:
                sql.execute(
                    "UPDATE namespaces SET labels = ?, last_modified = ? WHERE namespace_id = ?",
                    json.dumps(dict(labels)),
                    modified,
                    namespace_id,
                )
                _add_fields(sql, namespace_id, new)
                # judged by what stands there now: an import may have brought the field meanwhile
                found = _of_id(sql, project_id, namespace_id) or found
            for name, kind in fields.items():
                if found.fields.get(name, kind) is not kind:
                    raise TypeConflict(f"field {name!r} has another type already", field=name)


def create(
    sql: Sql,
    project_id: int,
    name: str,
    partitioning_field: str,
    fields: Mapping[str, Kind],
    labels: Mapping[str, Label],
    created: int,
) -> Namespace:
    """Insert a namespace; see `Namespaces.create`."""
    if not sql.has("SELECT 1 FROM projects WHERE project_id = ?", project_id):
        raise NotFound(f"there is no project {project_id}")
    taken = AlreadyExists(f"a namespace named {name!r} exists in project {project_id}")
    # looked up first: in PostgreSQL an insert that does nothing still uses up an id
    if _find(sql, project_id, name):
        raise taken
    namespace_id = sql.insert(
        "namespaces",
        "namespace_id",
        project_id=project_id,
        namespace_name=name,
        partitioning_field=partitioning_field,
        labels=json.dumps(dict(labels)),
        created=created,
        last_modified=created,
    )
    if namespace_id is None:
        raise taken
    _add_fields(sql, namespace_id, fields)
    (made,) = _find(sql, project_id, name)
    return made


def _find(sql: Sql, project_id: int, name: Optional[str]) -> Sequence[Namespace]:
    values: list[object] = [project_id]
    where = "n.project_id = ?"
    if name is not None:
        where += " AND n.namespace_name = ?"
        values.append(name)
    # One statement, so that a namespace and its fields are of one moment; a union, because a
    # join repeats labels, which may be a megabyte, for each of a thousand fields.
    rows = sql.execute(
        "SELECT n.namespace_id, n.project_id, n.namespace_name, n.partitioning_field, n.labels,"
        f" n.created, n.last_modified, NULL, NULL FROM namespaces n WHERE {where}"
        " UNION ALL SELECT n.namespace_id, NULL, NULL, NULL, NULL, NULL, NULL, f.field_name, f.kind"
        f" FROM namespaces n JOIN fields f ON f.namespace_id = n.namespace_id WHERE {where}",
        *values,
        *values,
    )
    found: dict[int, Namespace] = {}
    fields: list[tuple[int, str, int]] = []
    for number, project, called, key, labels, created, modified, field, kind in rows:
        if field is None:
            found[number] = Namespace(
                number, project, called, key, {}, json.loads(labels), created, modified
            )
        else:
            fields.append((number, field, kind))
    known: dict[int, dict[str, Kind]] = {}
    for number, field, kind in sorted(fields):
        if field != found[number].partitioning_field:
            known.setdefault(number, {})[field] = Kind(kind)
    return [one._replace(fields=known.get(number, {})) for number, one in sorted(found.items())]


def _of_id(sql: Sql, project_id: int, namespace_id: int) -> Optional[Namespace]:
    every = _find(sql, project_id, None)
    return next((one for one in every if one.namespace_id == namespace_id), None)


def _add_fields(sql: Sql, namespace_id: int, fields: Mapping[str, Kind]) -> None:
    for name in sorted(fields):  # in one order, so that two who add the same do not deadlock
        sql.execute(
            "INSERT INTO fields (namespace_id, field_name, kind) VALUES (?, ?, ?)"
            " ON CONFLICT DO NOTHING",
            namespace_id,
            name,
            int(fields[name]),
        )
