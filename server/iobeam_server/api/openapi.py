"""``/openapi.json``: the API described, from what the resources say of themselves."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import falcon
import msgspec

from iobeam_server import __version__
from iobeam_server.api import shapes
from iobeam_server.api.access import Access, Resource
from iobeam_server.api.operations import PATH, REFUSALS, Operation, Parameter, Reply

JSON = "application/json"
_VARIABLE = re.compile(r"\{(\w+)(?::\w+)?\}")
_NOTES = re.compile(r"\s?\(wire notes [^()]*\)")
_WORD = re.compile(r"[a-z]+")
_SCHEMES = {
    "project": {
        "type": "http",
        "scheme": "bearer",
        "description": "A project token: `iobeam-server token`, or `/v1/tokens/project`.",
    },
    "user": {
        "type": "http",
        "scheme": "bearer",
        "description": "A user token: `/v1/tokens/user`.",
    },
    "password": {"type": "http", "scheme": "basic", "description": "Name and password."},
}
_OPEN = (Access.PUBLIC, Access.BODY)
_SECURITY: Mapping[Access, list[dict[str, list[str]]]] = {
    Access.PUBLIC: [],
    Access.BODY: [],
    Access.PASSWORD: [{"password": []}, {}],  # the query will do as well
    Access.USER: [{"user": []}],
    Access.LOCAL_OR_ADMIN: [{"project": []}, {}],
}


class OpenApi(Resource):
    """``/openapi.json``."""

    access = {"GET": Access.PUBLIC}
    operations = {"GET": Operation({200: Reply("The description.", shapes.AnyObject)})}

    def __init__(self, routes: Mapping[str, Resource]) -> None:
        self._routes = routes

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer this description, in the form of OpenAPI 3.1."""
        resp.data = self._body

    @cached_property
    def _body(self) -> bytes:
        return msgspec.json.encode(document(self._routes))


def document(routes: Mapping[str, Resource]) -> dict[str, Any]:
    """Return the OpenAPI document of routes, {template: resource}.

    Raises:
        LookupError: a method has a rule but no entry in `operations`, or no docstring.
    """
    types: dict[int, Any] = {}
    for _, _, _, operation in _all(routes):
        for shape in _shapes(operation):
            types.setdefault(id(shape), shape)
    given = [*types.values(), shapes.Errors]
    found, components = msgspec.json.schema_components(
        given, ref_template="#/components/schemas/{name}"
    )
    schemas = {id(shape): schema for shape, schema in zip(given, found)}
    paths: dict[str, dict[str, Any]] = {}
    for template, method, resource, operation in _all(routes):
        path = paths.setdefault(_VARIABLE.sub(r"{\1}", template), {})
        path[method.lower()] = _operation(template, method, resource, operation, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "iobeam-server",
            "version": __version__,
            "description": "The iobeam REST API. Bodies are JSON, plain or gzip; a slash at the "
            "end of a path and the case of booleans in queries do not matter; every answer has "
            "a Content-Length; every refusal the same shape, `Errors`.",
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": _plain(components),
            "responses": _refusals(),
            "securitySchemes": _SCHEMES,
        },
    }


def _all(routes: Mapping[str, Resource]) -> Iterator[tuple[str, str, Resource, Operation]]:
    for template, resource in routes.items():
        for method in resource.access:
            operation = resource.operations.get(method)
            if operation is None:
                raise LookupError(f"{method} {template} is not described: add it to `operations`")
            yield template, method, resource, operation


def _shapes(operation: Operation) -> Iterator[Any]:
    yield from operation.body
    for reply in operation.answers.values():
        yield from _alternatives(reply)


def _alternatives(reply: Reply) -> Sequence[Any]:
    if reply.shape is None:
        return ()
    return reply.shape if isinstance(reply.shape, tuple) else (reply.shape,)


def _schema(kinds: Sequence[Any], schemas: Mapping[int, Any]) -> Any:
    found = [schemas[id(kind)] for kind in kinds]
    return found[0] if len(found) == 1 else {"anyOf": found}


def _operation(
    template: str,
    method: str,
    resource: Resource,
    operation: Operation,
    schemas: Mapping[int, Any],
) -> dict[str, Any]:
    summary, text = _described(template, method, resource)
    access = resource.access[method]
    shown: dict[str, Any] = {
        "operationId": _name(template, method),
        "tags": [_tag(template)],
        "summary": summary,
        "description": f"{text}\n\nIt takes {access.value}.".strip(),
        "security": _SECURITY.get(access, [{"project": []}]),
    }
    parameters = [
        *(_of_path(name) for name in _VARIABLE.findall(template)),
        *(_of_query(parameter) for parameter in operation.parameters),
    ]
    if parameters:
        shown["parameters"] = parameters
    if operation.body:
        schema = _schema(operation.body, schemas)
        shown["requestBody"] = {"required": True, "content": {JSON: {"schema": schema}}}
    answers = {str(status): _answer(reply, schemas) for status, reply in operation.answers.items()}
    for status in sorted({*operation.refusals, *_implied(template, access, operation)}):
        answers[str(status)] = {"$ref": f"#/components/responses/Refused{status}"}
    shown["responses"] = answers
    return shown


def _implied(template: str, access: Access, operation: Operation) -> Iterator[int]:
    """Yield the refusals that follow from what a route takes."""
    if template.startswith("/v1") and (operation.parameters or operation.body or "{" in template):
        yield 400
    if access not in _OPEN:
        yield 401
        yield 503
        if access is not Access.PASSWORD:
            yield 403
    if operation.body:
        yield from (413, 415)


def _described(template: str, method: str, resource: Resource) -> tuple[str, str]:
    """Return the first line of the responder's docstring, and the rest."""
    text = getattr(resource, f"on_{method.lower()}").__doc__
    if not text:
        raise LookupError(f"{method} {template} has no docstring")
    text = _NOTES.sub("", inspect.cleandoc(text)).replace("``", "`")
    summary, _, rest = text.partition("\n\n")
    return " ".join(summary.split()), rest.strip()


def _name(template: str, method: str) -> str:
    path = "/api" if template == "/v1" else template.replace("/v1", "")
    words = _WORD.findall(_VARIABLE.sub(r"by_\1", path))
    return "_".join([method.lower(), *words])


def _tag(template: str) -> str:
    first, *rest = template.strip("/").split("/")
    return rest[0] if first == "v1" and rest else "server"


def _of_path(name: str) -> dict[str, Any]:
    schema, text = PATH[name]
    return {"name": name, "in": "path", "required": True, "description": text, "schema": schema}


def _of_query(parameter: Parameter) -> dict[str, Any]:
    schema = parameter.schema
    if parameter.repeats:
        schema = {"type": "array", "items": schema}
    shown = {
        "name": parameter.name,
        "in": "query",
        "description": parameter.text,
        "schema": schema,
    }
    return {**shown, "required": True} if parameter.required else shown


def _answer(reply: Reply, schemas: Mapping[int, Any]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if reply.shape is not None:
        content[JSON] = {"schema": _schema(_alternatives(reply), schemas)}
    content.update((media, {"schema": {"type": "string"}}) for media in reply.media)
    shown = {"description": reply.text, **_headers(reply.headers)}
    return {**shown, "content": content} if content else shown


def _refusals() -> dict[str, Any]:
    content = {JSON: {"schema": {"$ref": "#/components/schemas/Errors"}}}
    return {
        f"Refused{status}": {
            "description": refusal.text,
            **_headers(refusal.headers),
            "content": content,
        }
        for status, refusal in REFUSALS.items()
    }


def _headers(headers: Mapping[str, str]) -> dict[str, Any]:
    if not headers:
        return {}
    return {
        "headers": {
            name: {"description": text, "schema": {"type": "string"}}
            for name, text in headers.items()
        }
    }


def _plain(components: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out docstrings that only Python readers understand, and their markup."""
    shown = {}
    for name, schema in sorted(components.items()):
        text = str(schema.get("description", "")).replace("``", "`")
        shown[name] = {**schema, "description": text} if text else schema
    return shown
