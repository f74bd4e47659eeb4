"""The WSGI application: routes, the table of errors, the access log."""

from __future__ import annotations

import logging
import re
import time
import traceback
from collections.abc import Iterable, Mapping
from typing import Any, Callable, NamedTuple, Optional
from urllib.parse import quote

import falcon
import msgspec

from iobeam_server import errors
from iobeam_server.api import shapes
from iobeam_server.api.access import AccessRules, Resource
from iobeam_server.api.activity import Activity
from iobeam_server.api.bodies import BodyRules
from iobeam_server.api.cors import Cors
from iobeam_server.api.data import Data
from iobeam_server.api.devices import Devices, OneDevice, Timestamp
from iobeam_server.api.exports import Exports
from iobeam_server.api.imports import Imports
from iobeam_server.api.metrics import MetricsPage, RequestCounter
from iobeam_server.api.namespaces import Namespaces, OneNamespace
from iobeam_server.api.openapi import OpenApi
from iobeam_server.api.page import Page, PageFiles, load_assets
from iobeam_server.api.ping import About, Ping
from iobeam_server.api.points import PointsOfSeries
from iobeam_server.api.projects import OneProject, Permissions, Projects
from iobeam_server.api.summaries import Summaries
from iobeam_server.api.tokens import ProjectTokens, UserTokens
from iobeam_server.api.users import EmailVerification, Me, PasswordResets, Users
from iobeam_server.config import Config
from iobeam_server.metrics import Metrics
from iobeam_server.rights import keyring
from iobeam_server.rights.passwords import Passwords
from iobeam_server.rights.standing import Rights
from iobeam_server.rights.tokens import TokenSigner
from iobeam_server.storage.store import Storage
from iobeam_server.writer import Writer

log = logging.getLogger(__name__)
ASKED = "iobeam_server.asked"
"""Key of the WSGI environment: the method that came, where another one is answered."""
access_log = logging.getLogger("iobeam_server.access")
_PLAIN_PATH = re.compile(r"[0-9A-Za-z/_.~-]{0,500}", re.ASCII)

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
    errors.StorageDefect: (500, 500),
    errors.QueryTimeout: (422, 3),
    errors.ClientGone: (499, 1),  # for the log alone
    errors.NotFound: (404, 32),
    errors.AlreadyExists: (422, 33),
    errors.DuplicateDeviceId: (422, 150),
    errors.DuplicateDeviceName: (422, 151),
    Exception: (500, 500),  # a defect of ours
}


class Route(NamedTuple):
    """What must be known of a request before its body is there."""

    pool: str
    """Kind of work; see `Resource`."""
    max_body_bytes: int
    is_known: bool
    """False where it will be refused whatever the body holds: no such path or method."""
    seconds: Optional[float] = None
    """After which the work is stopped; None is never."""


UNKNOWN = Route("none", 0, False)


class Answer(NamedTuple):
    """An error as it goes out."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def _to_tell(error: Exception) -> Optional[errors.ServerError]:
    """Return what a client is to know; None for a defect of ours, which the log explains."""
    if isinstance(error, errors.ServerError) and not isinstance(error, errors.StorageDefect):
        return error
    return None


def render(error: Exception) -> Answer:
    """Serialise any exception; the only place that writes ``{"errors": [...]}``."""
    status, code = next(ERRORS[base] for base in type(error).__mro__ if base in ERRORS)
    headers: dict[str, str] = {}
    told = _to_tell(error)
    if told is None:
        shown = shapes.Error(code, "the server failed; its log says why")
        return Answer(status, headers, msgspec.json.encode(shapes.Errors([shown])))
    shown = shapes.Error(
        code,
        told.message,
        shapes.maybe(told.details),
        msgspec.UNSET if told.row is None else told.row,
        shapes.maybe(told.field),
    )
    if told.retry_after_s is not None:
        headers["Retry-After"] = str(told.retry_after_s)
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"  # RFC 9110 15.5.2 demands it
    return Answer(status, headers, msgspec.json.encode(shapes.Errors([shown])))


def _asked(req: falcon.Request) -> str:
    """Return the method that the client sent."""
    method: str = req.env.get(ASKED, req.method)
    return method[:20]


def _shown(path: str) -> str:
    """Return a path as the log has it, with no line breaks of a client's making."""
    return path if _PLAIN_PATH.fullmatch(path) else quote(path[:500])


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
                "method": _asked(req),
                "path": _shown(req.path),
                "status": falcon.http_status_to_code(resp.status),
                "duration_ms": round((ended - started) * 1_000, 1),
            }
            # `info` would look for the line of code that it is called from
            record = logging.getLogRecordFactory()(
                access_log.name,
                logging.INFO,
                __file__,
                0,
                "%s %s %s %s %sms",
                tuple(answered.values()),
                None,
            )
            record.fields = answered
            access_log.handle(record)


class NoNul:
    """Falcon middleware: no NUL in path and query; PostgreSQL has no text that holds one."""

    def process_resource(
        self, req: falcon.Request, resp: falcon.Response, resource: object, params: dict[str, str]
    ) -> None:
        if "\0" in req.path or "\0" in req.query_string or "%00" in req.query_string:
            raise errors.BadRequest("path or query holds a NUL character")


def _answered_as(method: str) -> str:
    """Return the method whose answer a method gets: HEAD that of GET (RFC 9110 9.3.2)."""
    return "GET" if method == "HEAD" else method


class Api(falcon.App[falcon.Request, falcon.Response]):
    """The application, and what the front asks it before the body of a request is there."""

    def __init__(self, rules: AccessRules, config: Config) -> None:
        self._paths = falcon.routing.CompiledRouter()
        super().__init__(media_type="application/json", router=self._paths)
        self.req_options.strip_url_path_trailing_slash = True
        self._rules = rules
        self._max_body_bytes = config.max_body_bytes
        self._config = config

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer; HEAD without the body."""
        asked = environ["REQUEST_METHOD"]
        answered = _answered_as(asked)
        if answered == asked:
            return super().__call__(environ, start_response)
        body = super().__call__(
            {**environ, "REQUEST_METHOD": answered, ASKED: asked}, start_response
        )
        close = getattr(body, "close", None)
        if close is not None:
            close()
        return []

    def route(self, method: str, path: str) -> Route:
        """Return what kind of work a request is; `path` as WSGI has it."""
        method = _answered_as(method)
        if len(path) > 1 and path.endswith("/"):
            path = path[:-1]
        if not path.isascii():
            path = path.encode("latin-1").decode("utf-8", "replace")
        found = self._paths.find(path)
        resource = None if found is None else found[0]
        if not isinstance(resource, Resource) or method not in resource.access:
            return UNKNOWN
        most = resource.max_body_bytes
        return Route(
            resource.pools.get(method, resource.pool),
            self._max_body_bytes if most is None else min(most, self._max_body_bytes),
            True,
            None if resource.timeout is None else getattr(self._config, resource.timeout),
        )

    def judge(self, environ: dict[str, Any]) -> bool:
        """Tell whether token and permission of a request will do."""
        req = falcon.Request(environ, options=self.req_options)
        found = self._paths.find(req.path)
        if found is None:
            return False
        try:
            self._rules.judge(found[0], _answered_as(req.method), req.get_header)
        except errors.ServerError:
            return False
        return True


def create_app(
    store: Storage,
    writer: Writer,
    config: Config,
    clock: Callable[[], float] = time.time,
    metrics: Optional[Metrics] = None,
) -> Api:
    """Return the application over its collaborators, which the caller closes."""
    metrics = metrics or Metrics()
    signer = TokenSigner(keyring.signing_keys(store, config), clock)
    rights = Rights(store, signer, config, clock)
    rules = AccessRules(rights, config.is_local)
    app = Api(rules, config)
    app.add_middleware(AccessLog())
    app.add_middleware(RequestCounter(metrics))
    if config.cors_origins:
        app.add_middleware(Cors(config.cors_origins))
    app.add_middleware(rules)
    app.add_middleware(BodyRules(config))
    app.add_middleware(NoNul())  # after the rules: a stranger learns of his token first
    for template, resource in _routes(
        store, writer, signer, rights, config, clock, metrics
    ).items():
        app.add_route(template, resource)
    app.add_error_handler(Exception, _on_exception)
    app.add_error_handler(falcon.HTTPError, _on_http_error)
    return app


def _routes(
    store: Storage,
    writer: Writer,
    signer: TokenSigner,
    rights: Rights,
    config: Config,
    clock: Callable[[], float],
    metrics: Metrics,
) -> dict[str, Resource]:
    """Return the resource of each route."""
    assets = load_assets()
    passwords = Passwords()
    exports = Exports(store, config)
    summaries = Summaries(store, config)
    activity = Activity(store, clock)
    data = Data(store, config, clock)
    routes: dict[str, Resource] = {
        "/": Page(assets),
        "/page/{name}": PageFiles(assets),
        "/metrics": MetricsPage(metrics),
        "/v1": About(),
        "/v1/ping": Ping(),
        "/v1/devices": Devices(store, clock),
        "/v1/devices/timestamp": Timestamp(clock),
        "/v1/devices/{device_id}": OneDevice(store, clock),
        "/v1/activity/{project_id}": activity,
        "/v1/activity/{project_id}/{device_id}": activity,
        "/v1/imports": Imports(store, writer, config),
        "/v1/exports/{project_id}": exports,
        "/v1/exports/{project_id}/{device_id}": exports,
        # clients accept series names with a slash, so the name is the rest of the path
        "/v1/exports/{project_id}/{device_id}/{series:path}": exports,
        "/v1/summaries/{project_id}": summaries,
        "/v1/summaries/{project_id}/{device_id}": summaries,
        "/v1/summaries/{project_id}/{device_id}/{series:path}": summaries,
        "/v1/points/{project_id}/{device_id}/{series:path}": PointsOfSeries(store),
        "/v1/namespaces": Namespaces(store, config, clock),
        "/v1/namespaces/{namespace_id}": OneNamespace(store, config, clock),
        "/v1/data/{namespace}": data,
        "/v1/data/{namespace}/{field:path}": data,
        "/v1/tokens/user": UserTokens(store, signer, passwords, config),
        "/v1/tokens/project": ProjectTokens(store, signer, rights, config),
        "/v1/users": Users(store, passwords, clock),
        "/v1/users/me": Me(store, passwords, clock),
        "/v1/users/email": EmailVerification(),
        "/v1/users/password": PasswordResets(),
        "/v1/projects": Projects(store, clock),
        "/v1/projects/{project_id}": OneProject(store),
        "/v1/projects/{project_id}/permissions": Permissions(store),
    }
    routes["/openapi.json"] = OpenApi(routes)
    return routes


def _on_exception(
    req: falcon.Request, resp: falcon.Response, error: Exception, params: dict[str, Any]
) -> None:
    if isinstance(error, msgspec.ValidationError):
        error = errors.BadRequest(f"the body does not have the expected shape: {error}")
    if _to_tell(error) is None:
        log.error("%s %s failed", req.method, quote(req.path[:500]), exc_info=error)
    elif isinstance(error, errors.StorageUnavailable) and not isinstance(error, errors.StorageAway):
        log.error("%s", error)
    _answer(resp, error)
    _let_go(error)


def _let_go(error: Exception) -> None:
    """Drop what the frames of an error hold, such as rows half read and their connection.

    Whoever keeps a record of the log keeps the error, and with it all of them.
    """
    one: Optional[BaseException] = error
    while one is not None:
        traceback.clear_frames(one.__traceback__)
        one = one.__cause__ or one.__context__


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
        ours = errors.MethodNotAllowed(f"{_asked(req)} is not possible here")
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
