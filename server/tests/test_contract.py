"""The contract that the client's `FakeBackend` keeps, held by a live server."""

from __future__ import annotations

import contextlib
import itertools
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Optional

import jwt
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from iobeam import testing
from iobeam.http import request
from live import Live, add_user, running

sys.path.append(str(Path(__file__).parents[2] / "tests"))  # the client's

import contract
import support

EXAMPLES = 50  # some 8 s
DEVICES = ["dev-1", "dev-2", "not-registered"]
NUMBERS = st.integers(-9, 9) | st.integers(-40, 40).map(lambda n: n / 4)
TEXTS = st.text(st.characters(blacklist_categories=["Cs"]), max_size=3)
GOOD = {  # what goes into each field of a good request
    "a": st.none() | NUMBERS,
    "b": st.none() | st.booleans(),
    "c/d": st.none() | TEXTS.map(lambda text: text.replace("\0", "0")),
    "\u00fc": NUMBERS | st.sampled_from([2**63 - 1, -(2**63), 2**53 + 1]),
}
FIELDS = sorted(GOOD)
CELLS = st.none() | NUMBERS | st.booleans() | TEXTS | st.sampled_from([2**63, 1e308, [], {}])
TIMES = st.integers(-18, 18).map(lambda n: n * 500 - n % 2 * 501) | st.integers(-5_000, 5_000)
BAD_TIMES = st.sampled_from([2**62, -(2**62), None, "1", 1.5, True])
DEFECTS = ["row", "cell", "time", "name"]


@st.composite
def tables(draw: Any, with_defect: bool) -> dict[str, Any]:
    """A table of distinct fields; or of any, with one defect somewhere."""
    fields = draw(st.lists(st.sampled_from(FIELDS), min_size=1, unique=not with_defect))
    row = st.tuples(TIMES, *(GOOD[name] for name in fields)).map(list)
    rows = draw(st.lists(row, min_size=3, max_size=9))
    names = ["time", *fields]
    if with_defect:
        at = draw(st.integers(0, len(rows) - 1))
        column = draw(st.integers(1, len(fields)))
        defect = draw(st.sampled_from(DEFECTS))
        if defect == "row":
            rows[at] = draw(st.lists(CELLS, max_size=4))
        elif defect == "cell":
            rows[at][column] = draw(CELLS)
        elif defect == "time":
            rows[at][0] = draw(BAD_TIMES)
        else:
            names[column] = draw(st.sampled_from(["All", "time", "", *FIELDS]))
    return {"fields": names, "data": rows}


@st.composite
def lists(draw: Any, with_defect: bool) -> list[dict[str, Any]]:
    """The same as a list of series."""
    found = draw(tables(with_defect))
    return [
        {
            "name": name,
            "data": [
                {"time": row[0] if row else 1, "value": row[column] if row[column:] else None}
                for row in found["data"]
            ],
        }
        for column, name in enumerate(found["fields"])
        if column
    ]


def imports(with_defect: bool) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {
            "device_id": st.sampled_from([DEVICES[0], DEVICES[0], *DEVICES[: 2 + with_defect]]),
            "sources": tables(with_defect) | lists(with_defect),
            "timefmt": st.sampled_from(
                ["usec", "usec", "msec", "sec", *(["timeval"] if with_defect else [])]
            ),
        }
    )


IMPORTS = imports(False) | imports(False) | imports(True)
PARAMETERS = {
    "from": st.integers(-6, 6),
    "to": st.integers(-6, 6),
    "limit": st.sampled_from([0, 1, 1, 2, 3, 5]),
    "less_than": NUMBERS,
    "greater_than": NUMBERS,
    "equals": NUMBERS,
    "timefmt": st.sampled_from(["usec", "msec", "sec", "timeval", "timeval", "min"]),
    "operator": st.sampled_from(["sum", "mean", "count", "count", "min", "max", "avg"]),
    "group_by": st.sampled_from(["1ms", "3ms", "2s", "1d", "1y"]),
    "output": st.sampled_from(["csv", "csv", "json", "xml"]),
}
QUERIES = st.tuples(
    st.sampled_from(["all/all", "dev-1/all", "dev-1/a", "all/a", "all/b", "all/c%2Fd", "dev-2/a"]),
    st.lists(st.sampled_from(sorted(PARAMETERS)), unique=True, min_size=1, max_size=3).flatmap(
        lambda names: st.fixed_dictionaries({name: PARAMETERS[name] for name in names})
    ),
)


class LiveContractTest(contract.BackendContract, support.TestCase):
    """Each test has two projects of its own."""

    user: Optional[str] = None
    undo: contextlib.ExitStack
    live: Live
    numbers = itertools.count(1)

    @classmethod
    def setUpClass(cls) -> None:
        cls.undo = contextlib.ExitStack()
        folder = Path(cls.undo.enter_context(tempfile.TemporaryDirectory()))
        cls.live = cls.undo.enter_context(running(folder))
        cls.secret = cls.live.backend.store.keys.signing()[0]

    @classmethod
    def tearDownClass(cls) -> None:
        cls.undo.close()

    def connect(self) -> None:
        self.backend = f"http://127.0.0.1:{self.live.port}/v1/"
        settings = request.Settings()
        settings.retries = 0
        self.requester = request.Requester(self.backend, settings)
        self.addCleanup(self.requester._session.close)
        self.project, self.otherProject = (
            self.live.backend.store.projects.create(
                f"contract {next(self.numbers)}", int(time.time())
            ).project_id
            for _ in range(2)
        )

    def token(
        self,
        permissions: int = 7,
        project: Optional[int] = None,
        device: Optional[str] = None,
        **claims: Any,
    ) -> str:
        token = self.live.make_token(permissions, project or self.project, device, 30 * 86_400)
        if not claims:
            return token
        said = jwt.decode(token, options={"verify_signature": False})
        return jwt.encode({**said, **claims}, self.secret, algorithm="HS256")

    def userToken(self) -> str:
        if self.user is None:
            self.user = add_user(self.live, f"user-{self.project}", 7, self.project)
        return self.user

    # as they are: to shrink one takes minutes, and they are short
    @settings(max_examples=EXAMPLES, phases=[Phase.generate], database=None)
    @given(
        calls=st.lists(IMPORTS, min_size=2, max_size=5),
        queries=st.lists(QUERIES, min_size=10, max_size=20),
    )
    def test_random_calls_are_answered_alike(
        self, calls: list[dict[str, Any]], queries: list[tuple[str, dict[str, Any]]]
    ) -> None:
        self.connect()
        fake = testing.FakeBackend()
        fake.knowsDevices = True
        sides = [(self.requester, self.token()), (fake, testing.makeToken(self.project))]
        for device in DEVICES[:2]:
            body = {"project_id": self.project, "device_id": device}
            for requester, token in sides:
                assert ask(requester, token, "devices", body)[0] == 201
        for call in calls:
            body = {"project_id": self.project, **call}
            form = {"fmt": "table"} if isinstance(call["sources"], dict) else {}
            real, pretended = (
                ask(requester, token, "imports", body, form) for requester, token in sides
            )
            assert real == pretended
        for path, params in queries:
            real, pretended = (
                ask(requester, token, f"exports/{self.project}/{path}", None, params)
                for requester, token in sides
            )
            if params.get("operator") in ("min", "max"):  # of 1 and 1.0, either
                assert real == pretended
            else:
                assert contract.typed(real) == contract.typed(pretended)


def ask(
    requester: Any,
    token: str,
    path: str,
    body: Optional[dict[str, Any]],
    params: Optional[dict[str, Any]] = None,
) -> tuple[int, Any]:
    """Status, and the answer, or of an error all but its words."""
    address = requester.makeEndpoint(path)
    req = requester.get(address) if body is None else requester.post(address).setBody(body)
    for name, value in (params or {}).items():
        req.setParam(name, value)
    req.token(token).execute()
    answer = req.getResponse()
    if req.getResponseCode() < 400:
        if path == "devices":
            return req.getResponseCode(), None
        return req.getResponseCode(), req.resp.text if answer is None else answer
    (error,) = answer["errors"]
    del error["message"]
    return req.getResponseCode(), error
