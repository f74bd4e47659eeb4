"""``/v1/projects``: projects, and who may do what in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Callable, Optional

import falcon
import msgspec

from iobeam_server.api import bodies, queries, shapes
from iobeam_server.api.access import Access, Resource, user_of
from iobeam_server.api.operations import TEXT, Operation, Parameter, Reply
from iobeam_server.errors import BadRequest, NotFound, NotPermitted
from iobeam_server.rights.tokens import ADMIN, ALL, BITS
from iobeam_server.rules.names import ProjectId, check_text
from iobeam_server.storage.base import Grant, Project
from iobeam_server.storage.store import Storage


class ProjectBody(msgspec.Struct):
    """Body of a creation and of a change."""

    project_name: Optional[str] = None
    project_id: Optional[ProjectId] = None


class PermissionsBody(msgspec.Struct):
    """Body of a change of permissions; all false removes."""

    user_id: int
    read: bool = False
    write: bool = False
    admin: bool = False


class Projects(Resource):
    """``/v1/projects``."""

    access = {"GET": Access.USER, "POST": Access.USER}
    operations = {
        "GET": Operation(
            {200: Reply("The projects, or the one.", (shapes.ProjectList, shapes.WholeProject))},
            [Parameter("name", TEXT, "Name of one project.")],
            refusals=[404],
        ),
        "POST": Operation(
            {201: Reply("The project.", shapes.Project)}, body=[ProjectBody], refusals=[422]
        ),
    }

    def __init__(self, store: Storage, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._decoder = msgspec.json.Decoder(ProjectBody)

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """List the asker's projects, or (``name``) answer the one of that name.

        Answers: 200 ``{"projects": [{project_id, project_name, created, permissions:
        {read, write, admin: bool}}]}``; with ``name`` one project as ``/ID`` answers
        it, or 404/32 when the asker has none of that name.
        """
        own = self._store.projects.of_user(user_of(req).user_id)
        name = queries.text(req, "name")
        if name is None:
            shown = [_of_asker(project, has) for project, has in own]
            resp.data = msgspec.json.encode(shapes.ProjectList(shown))
            return
        for project, _ in own:
            if project.project_name == name:
                resp.data = msgspec.json.encode(_whole(project, self._store))
                return
        raise NotFound(f"you have no project named {name!r:.80}")

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Create a project (``project_name``); its creator may do everything in it.

        Answers: 201 ``project_id``, ``project_name``, ``created``; 400/1; 422/33 taken.
        """
        body = bodies.decode(req, self._decoder)
        name = _name(body)
        if name is None:
            raise BadRequest("project_name is missing")
        owner = Grant(user_of(req).user_id, ALL)
        project = self._store.projects.create(name, int(self._clock()), owner)
        resp.status = falcon.HTTP_201
        resp.data = msgspec.json.encode(_head(project))


class OneProject(Resource):
    """``/v1/projects/ID``."""

    access = {"GET": Access.USER, "PATCH": Access.USER}
    operations = {
        "GET": Operation({200: Reply("The project.", shapes.WholeProject)}, refusals=[404]),
        "PATCH": Operation(
            {200: Reply("The project.", shapes.Project), 204: Reply("Nothing changed.")},
            body=[ProjectBody],
            refusals=[404, 422],
        ),
    }

    def __init__(self, store: Storage) -> None:
        self._store = store
        self._decoder = msgspec.json.Decoder(ProjectBody)

    def on_get(self, req: falcon.Request, resp: falcon.Response, project_id: str) -> None:
        """Answer a project with who may do what: 200; 403/5 when the asker may nothing."""
        resp.data = msgspec.json.encode(_whole(_own(req, self._store, project_id), self._store))

    def on_patch(self, req: falcon.Request, resp: falcon.Response, project_id: str) -> None:
        """Rename a project; needs admin: 200 the project, 204 unchanged, 422/33 taken."""
        project = _own(req, self._store, project_id, ADMIN)
        body = bodies.decode(req, self._decoder)
        if body.project_id not in (None, project.project_id):
            raise BadRequest("the id of a project cannot be changed")
        name = _name(body)
        if name is None or not self._store.projects.rename(project.project_id, name):
            resp.status = falcon.HTTP_204
            return
        resp.data = msgspec.json.encode(_head(project._replace(project_name=name)))


class Permissions(Resource):
    """``/v1/projects/ID/permissions``."""

    access = {"GET": Access.USER, "PATCH": Access.USER}
    operations = {
        "GET": Operation({200: Reply("Who may do what.", shapes.Permissions)}, refusals=[404]),
        "PATCH": Operation(
            {
                200: Reply("Changed, or removed.", shapes.Nothing),
                201: Reply("Added; the body is empty."),
                204: Reply("Nothing changed."),
            },
            body=[PermissionsBody],
            refusals=[404],
        ),
    }

    def __init__(self, store: Storage) -> None:
        self._store = store
        self._decoder = msgspec.json.Decoder(PermissionsBody)

    def on_get(self, req: falcon.Request, resp: falcon.Response, project_id: str) -> None:
        """Answer who may do what: 200 ``{"permissions": {read, write, admin: [{user_id}]}}``."""
        project = _own(req, self._store, project_id)
        shown = _grants(self._store.projects.grants(project.project_id))
        resp.data = msgspec.json.encode(shapes.Permissions(shown))

    def on_patch(self, req: falcon.Request, resp: falcon.Response, project_id: str) -> None:
        """Grant a user exactly what the body says; needs admin.

        Body: ``user_id``, ``read``, ``write``, ``admin``; all false removes.

        Answers: 200 changed or removed, 201 added, without a body: the Go tool takes one
        for a change (wire notes 8.2); 204 unchanged; 404/32 no such user.
        """
        project = _own(req, self._store, project_id, ADMIN)
        body = bodies.decode(req, self._decoder)
        wanted = sum(bit for name, bit in BITS.items() if getattr(body, name))
        if not 0 < body.user_id < 2**63:
            raise NotFound(f"there is no user {body.user_id}")
        before = self._store.projects.grant(project.project_id, body.user_id, wanted)
        if before == wanted:
            resp.status = falcon.HTTP_204
        elif before == 0:
            resp.status = falcon.HTTP_201
        else:
            resp.data = msgspec.json.encode(shapes.Nothing())


def _own(req: falcon.Request, store: Storage, project_id: str, permission: int = 0) -> Project:
    """Return a project the asker may do something in; one that is not there looks the same."""
    number = queries.project_id(project_id)
    has = store.projects.permissions(number, user_of(req).user_id)
    if not has or has & permission != permission:
        lacks = "admin permission" if has else "permission"
        raise NotPermitted(f"you have no {lacks} in project {number}")
    project = store.projects.get(number)
    if project is None:  # gone in between
        raise NotFound(f"there is no project {number}")
    return project


def _name(body: ProjectBody) -> Optional[str]:
    if body.project_name is not None:
        check_text("project_name", body.project_name)
    return body.project_name


def _head(project: Project) -> shapes.Project:
    return shapes.Project(project.project_id, project.project_name, shapes.date(project.created))


def _whole(project: Project, store: Storage) -> shapes.WholeProject:
    grants = _grants(store.projects.grants(project.project_id))
    return shapes.WholeProject(**msgspec.structs.asdict(_head(project)), permissions=grants)


def _of_asker(project: Project, has: int) -> shapes.OwnProject:
    flags = shapes.Flags(**{name: bool(has & bit) for name, bit in BITS.items()})
    return shapes.OwnProject(**msgspec.structs.asdict(_head(project)), permissions=flags)


def _grants(grants: Sequence[Grant]) -> shapes.Grants:
    return shapes.Grants(
        **{
            name: [shapes.UserId(one.user_id) for one in grants if one.permissions & bit]
            for name, bit in BITS.items()
        }
    )
