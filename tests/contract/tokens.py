"""Tokens, paths and methods."""
from __future__ import absolute_import

import time

from iobeam.utils import compat, utils
from .asking import ADMIN, DATE, DAY, DEVICE, READ, WRITE, Asking


class TokensContract(Asking):
    def grant(self, token="", **params):
        return self.ask("GET", "tokens/project", None,
                        token or self.userToken(), **params)

    def refresh(self, token):
        return self.ask("POST", "tokens/project", {"refresh_token": token},
                        None)

    def test_no_token_or_one_that_is_none(self):
        expired = self.token(exp=int(time.time()) - 5)
        for headers in ({}, {"Authorization": "Basic YTpi"},
                        {"Authorization": self.full},
                        {"Authorization": "Bearer"},
                        {"Authorization": "Bearer garbage"},
                        {"Authorization": "Bearer a.b.c"},
                        {"Authorization": "Bearer " + expired}):
            for method, path in (("GET", "devices/timestamp"),
                                 ("POST", "devices"), ("POST", "imports"),
                                 ("GET", "devices/x"), ("GET", "devices"),
                                 ("GET", "exports/x")):
                self.assertRefused(401, 4, self.ask(
                    method, path, token=None, headers=headers))
        self.assertAnswers(200, self.ask("GET", "devices", token=None, headers={
            "Authorization": "bearer  " + self.full + " "}))
        self.assertAnswers(200, self.ask("GET", "ping", token=None))

    def test_a_users_token_opens_no_project(self):
        user = self.userToken()
        self.assertRefused(403, 5, self.ask("GET", "devices", token=user))
        self.assertRefused(403, 5, self.ask("POST", "imports", token=user))
        self.assertRefused(403, 5, self.grant(self.full,
                                              project_id=self.project))
        self.assertRefused(401, 4, self.ask("GET", "tokens/project",
                                            token=None))
        self.assertRefused(401, 4, self.refresh(user))

    def test_what_a_token_is_asked_to_permit(self):
        for params, expected in (
                ({}, [True, True, True]), ({"read": True}, [True, False,
                                                            False]),
                ({"write": "TRUE", "read": "True"}, [True, True, False]),
                ({"admin": False}, [True, True, False]),
                ({"read": False, "write": True}, [False, True, False])):
            req = self.grant(project_id=self.project, **params)
            self.assertAnswers(200, req)
            found = req.getResponse()
            self.assertSame(expected, [found[name] for name
                                       in ("read", "write", "admin")])
            self.assertSame(self.project, found["project_id"])
            claims = utils.readToken(str(found["token"]))
            self.assertSame(sum(bit for bit, has in zip(
                (READ, WRITE, ADMIN), expected) if has), claims["pms"])
            self.assertSame(self.project, claims["pid"])
            self.assertAnswers(200 if expected[0] else 403, self.ask(
                "GET", "exports/{}".format(self.project),
                token=str(found["token"])))

    def test_what_comes_with_a_token(self):
        found = self.grant(project_id=self.project, duration="2h",
                           device_id="dev", refreshable=False).getResponse()
        claims = utils.readToken(str(found.pop("token")))
        self.assertRegex(found.pop("expires"), DATE)
        self.assertRegex(found.pop("created"), DATE)
        user = found.pop("user_id")
        self.assertTrue(compat.isInteger(user) and user > 0)
        self.assertSame({"project_id": self.project, "read": True,
                         "write": True, "admin": True, "refreshable": False,
                         "device_id": "dev"}, found)
        self.assertEqual((user, self.project, 7, 7200, "dev", False),
                         tuple(claims[name] for name in (
                             "uid", "pid", "pms", "dur", "did", "rfr")))
        self.assertLess(abs(claims["exp"] - time.time() - 7200), 100)
        self.assertLess(abs(claims["iat"] - time.time()), 100)
        hidden = self.grant(project_id=self.project, include_user=False)
        self.assertSame(0, hidden.getResponse()["user_id"])

    def test_durations(self):
        for duration, life in ((None, 30 * DAY), ("5w", 35 * DAY),
                               ("1d", DAY), ("3h", 10800), ("90m", 5400),
                               ("10s", 10)):
            params = {} if duration is None else {"duration": duration}
            found = self.grant(project_id=self.project, **params).getResponse()
            self.assertSame(life, utils.readToken(str(found["token"]))["dur"])
        for duration in ("5", "0d", "w", "-1d", "1y", "1.5h", "1 d", "9999w"):
            self.assertRefused(400, 1, self.grant(project_id=self.project,
                                                  duration=duration))

    def test_what_is_no_request_for_a_token_is_refused(self):
        for params in ({}, {"project_id": 0}, {"project_id": "x"},
                       {"project_id": self.project, "read": 1},
                       {"project_id": self.project, "read": "yes"},
                       {"project_id": self.project, "refreshable": "x"},
                       {"project_id": self.project, "include_user": "x"},
                       {"project_id": self.project, "device_id": "a b"},
                       {"project_id": self.project, "read": False,
                        "write": False, "admin": False}):
            self.assertRefused(400, 1, self.grant(**params))

    def test_a_refresh_keeps_what_the_token_says(self):
        for more in ({"permissions": READ, "dur": 3600},
                     {"permissions": WRITE, "device": DEVICE},
                     {"permissions": 7, "exp": int(time.time()) - 5},
                     {"permissions": 7, "exp": int(time.time()) - 29 * DAY}):
            old = self.token(**more)
            req = self.refresh(" " + old + " ")
            self.assertAnswers(200, req)
            found = req.getResponse()
            self.assertSame(self.project, found["project_id"])
            claims = utils.readToken(str(found["token"]))
            self.assertEqual((self.project, more["permissions"],
                              more.get("device"), more.get("dur", 30 * DAY)),
                             (claims["pid"], claims["pms"], claims.get("did"),
                              claims["dur"]))
            self.assertLess(abs(claims["exp"] - time.time() - claims["dur"]),
                            100)
            self.assertAnswers(200, self.ask("GET", "devices", token=str(
                found["token"])))

    def test_what_cannot_be_refreshed(self):
        for old in ("", "garbage", "a.b.c", self.token(rfr=False),
                    self.token(device="not-registered"),
                    self.token(exp=int(time.time()) - 31 * DAY)):
            self.assertRefused(401, 4, self.refresh(old))
        for body in ({}, [], "text", {"refresh_token": None},
                     {"refresh_token": 5}):
            self.assertRefused(400, 1, self.ask("POST", "tokens/project",
                                                body, None))

    def test_paths_and_methods(self):
        for path in ("nothing", "devices/a/b", "imports/x", "exports",
                     "tokens", "tokens/x", "ping/x"):
            for method in ("GET", "POST"):
                for token in ("", None):
                    self.assertRefused(404, 32, self.ask(method, path,
                                                         token=token))
        for method, path in (
                ("GET", "imports"), ("POST", "devices/timestamp"),
                ("POST", "devices/x"), ("POST", "exports/1"),
                ("POST", "exports/1/a/b/c"), ("POST", "ping")):
            for token in ("", None):
                self.assertRefused(405, 6, self.ask(method, path,
                                                    token=token))
        for path in ("devices/", "devices/timestamp/", "ping/"):
            self.assertAnswers(200, self.ask("GET", path))
