"""The WSGI application: routes, the table of errors, the access log."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any, Callable, NamedTuple, Optional
from urllib.parse import quote

import falcon
import msgspec

from iobeam_server import errors, keyring
from iobeam_server.api.access import LOOPBACK, AccessRules, Resource
from iobeam_server.api.cors import Cors
from iobeam_server.api.data import Data
from iobeam_server.api.devices import Devices, OneDevice, Timestamp
from iobeam_server.api.exports import Exports
from iobeam_server.api.imports import Imports
from iobeam_server.api.metrics import MetricsPage, RequestCounter
from iobeam_server.api.namespaces import Namespaces, OneNamespace
from iobeam_server.api.openapi import OpenApi
from iobeam_server.api.page import Page, PageFiles, load_assets
from iobeam_server.api.ping import Ping
from iobeam_server.api.projects import OneProject, Permissions, Projects
from iobeam_server.api.tokens import ProjectTokens, UserTokens
from iobeam_server.api.users import EmailVerification, Me, PasswordResets, Users
from iobeam_server.config import Config
from iobeam_server.metrics import Metrics
from iobeam_server.passwords import Passwords
from iobeam_server.storage.base import Storage
from iobeam_server.tokens import TokenSigner
from iobeam_server.writer import Writer

log = logging.getLogger(__name__)
access_log = logging.getLogger("iobeam_server.access")

# Class -> (status, code). The nearest base class counts; codes 150 and 151 are the hosted
# service's, 32 and 33 too (wire notes 3), the others are this server's.
ERRORS: Mapping[type[Exception], tuple[int, int]] = {
    errors.BadRequest: (400, 1),
    errors.TooLarge: (413, 2),
    errors.HeaderTooLarge: (431, 2),
    errors.Unprocessable: (422, 3),
    errors.NotAuthenticated: (401, 4),
    errors.NotPermitted: (403, 5),
    errors.MethodNotAllowed: (405, 6),
    errors.UnsupportedMedia: (415, 7),
    errors.TooBusy: (429, 8),
    errors.StorageUnavailable: (503, 8),
    errors.NotFound: (404, 32),
    errors.AlreadyExists: (422, 33),
    errors.DuplicateDeviceId: (422, 150),
    errors.DuplicateDeviceName: (422, 151),
    Exception: (500, 500),  # a defect of ours
}


class Answer(NamedTuple):
    """An error as it goes out."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def render(error: Exception) -> Answer:
    """Serialise any exception; the only place that writes ``{"errors": [...]}``."""
    status, code = next(ERRORS[base] for base in type(error).__mro__ if base in ERRORS)
    headers: dict[str, str] = {}
    if not isinstance(error, errors.ServerError):
        shown: dict[str, Any] = {"code": code, "message": "the server failed; its log says why"}
        return Answer(status, headers, msgspec.json.encode({"errors": [shown]}))
    shown = {"code": code, "message": error.message}
    for key in ("details", "row", "field"):
        value = getattr(error, key)
        if value is not None:
            shown[key] = value
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(error.retry_after_s)
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"  # RFC 9110 15.5.2 demands it
    return Answer(status, headers, msgspec.json.encode({"errors": [shown]}))


class AccessLog:
    """Falcon middleware: one line per answer, without query string and headers."""

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        req.context.started = time.monotonic()

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, resource: object, succeeded: bool
    ) -> None:
        if access_log.isEnabledFor(logging.INFO):
            ended = time.monotonic()
            started = getattr(req.context, "started", ended)  # the method WEBSOCKET never started
            answered = {
                "client": req.remote_addr,
                "method": req.method[:20],
                "path": quote(req.path[:500]),  # no line breaks of a client's making in the log
                "status": falcon.http_status_to_code(resp.status),
                "duration_ms": round((ended - started) * 1_000, 1),
            }
            access_log.info("%s %s %s %s %sms", *answered.values(), extra={"fields": answered})


class NoNul:
    """Falcon middleware: no NUL in path and query; PostgreSQL has no text that holds one."""

    def process_resource(
        self, req: falcon.Request, resp: falcon.Response, resource: object, params: dict[str, str]
    ) -> None:
        if "\0" in req.path or "\0" in req.query_string or "%00" in req.query_string:
            raise errors.BadRequest("path or query holds a NUL character")


def create_app(
    store: Storage,
    writer: Writer,
    config: Config,
    clock: Callable[[], float] = time.time,
    metrics: Optional[Metrics] = None,
) -> falcon.App[falcon.Request, falcon.Response]:
    """Return the application over its collaborators, which the caller closes."""
    metrics = metrics or Metrics()
    signer = TokenSigner(keyring.signing_keys(store, config), clock)
    app: falcon.App[falcon.Request, falcon.Response] = falcon.App(media_type="application/json")
    app.add_middleware(AccessLog())
    app.add_middleware(RequestCounter(metrics))
    if config.cors_origins:
        app.add_middleware(Cors(config.cors_origins))
    app.add_middleware(AccessRules(store, signer, config.host in LOOPBACK))
    app.add_middleware(NoNul())  # after the rules: a stranger learns of his token first
    app.req_options.strip_url_path_trailing_slash = True
    for template, resource in _routes(store, writer, signer, config, clock, metrics).items():
        app.add_route(template, resource)
    app.add_error_handler(Exception, _on_exception)
    app.add_error_handler(falcon.HTTPError, _on_http_error)
    return app


def _routes(
    store: Storage,
    writer: Writer,
    signer: TokenSigner,
    config: Config,
    clock: Callable[[], float],
    metrics: Metrics,
) -> dict[str, Resource]:
    """Return the resource of each route."""
    assets = load_assets()
    passwords = Passwords()
    exports = Exports(store, config)
    data = Data(store, config, clock)
    routes: dict[str, Resource] = {
        "/": Page(assets),
        "/page/{name}": PageFiles(assets),
        "/metrics": MetricsPage(metrics),
        "/v1/ping": Ping(),
        "/v1/devices": Devices(store, config, clock),
        "/v1/devices/timestamp": Timestamp(clock),
        "/v1/devices/{device_id}": OneDevice(store, config),
        "/v1/imports": Imports(store, writer, config),
        "/v1/exports/{project_id}": exports,
        "/v1/exports/{project_id}/{device_id}": exports,
        # clients accept series names with a slash, so the name is the rest of the path
        "/v1/exports/{project_id}/{device_id}/{series:path}": exports,
        "/v1/namespaces": Namespaces(store, config, clock),
        "/v1/namespaces/{namespace_id}": OneNamespace(store, config, clock),
        "/v1/data/{namespace}": data,
        "/v1/data/{namespace}/{field:path}": data,
        "/v1/tokens/user": UserTokens(store, signer, passwords, config),
        "/v1/tokens/project": ProjectTokens(store, signer, config),
        "/v1/users": Users(store, passwords, config, clock),
        "/v1/users/me": Me(store, passwords, config, clock),
        "/v1/users/email": EmailVerification(config),
        "/v1/users/password": PasswordResets(config),
        "/v1/projects": Projects(store, config, clock),
        "/v1/projects/{project_id}": OneProject(store, config),
        "/v1/projects/{project_id}/permissions": Permissions(store, config),
    }
    routes["/openapi.json"] = OpenApi(routes)
    return routes


def _on_exception(
    req: falcon.Request, resp: falcon.Response, error: Exception, params: dict[str, Any]
) -> None:
    if isinstance(error, msgspec.ValidationError):
        error = errors.BadRequest(f"the body does not have the expected shape: {error}")
    if not isinstance(error, errors.ServerError):
        log.error("%s %s failed", req.method, quote(req.path[:500]), exc_info=error)
    elif isinstance(error, errors.StorageUnavailable):
        log.error("%s", error)
    _answer(resp, error)


def _on_http_error(
    req: falcon.Request, resp: falcon.Response, error: falcon.HTTPError, params: dict[str, Any]
) -> None:
    """Give what the framework refuses the same shape."""
    ours: errors.ServerError
    if isinstance(error, falcon.HTTPNotFound):
        ours = errors.NotFound(f"there is nothing at {quote(req.path[:200])}")
    elif isinstance(error, falcon.HTTPMethodNotAllowed) or (
        # falcon counts its own name for web sockets among them
        req.method not in (*falcon.HTTP_METHODS, *falcon.WEBDAV_METHODS)
    ):
        ours = errors.MethodNotAllowed(f"{req.method[:20]} is not possible here")
    elif isinstance(error, falcon.HTTPPayloadTooLarge):
        ours = errors.TooLarge(error.description or "too large")
    else:
        ours = errors.BadRequest(error.description or error.title or "the request is malformed")
    allow: Optional[str] = dict(error.headers or {}).get("Allow")
    if allow is not None:
        resp.set_header("Allow", allow)
    _answer(resp, ours)


def _answer(resp: falcon.Response, error: Exception) -> None:
    answer = render(error)
    resp.status = answer.status
    resp.content_type = "application/json"
    resp.set_headers(dict(answer.headers))
    resp.stream = None
    resp.data = answer.body
