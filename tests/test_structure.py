"""The picture of the house: who may import whom, and what an import costs."""
from __future__ import absolute_import

import ast
import io
import os
import subprocess
import sys

from iobeam.utils import compat
from tests import support

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# From the top down: a module may import what stands below it, in any line, and
# nothing in its own line or above.
LEVELS = [
    ["iobeam.__main__", "iobeam.testing"],
    ["iobeam.cli"],
    ["iobeam.doctor"],
    ["iobeam.frames"],
    ["iobeam"],
    ["iobeam.iobeam"],
    ["iobeam.delivery"],
    ["iobeam.outbox"],
    ["iobeam.auth", "iobeam.identity", "iobeam.buffer",
     "iobeam.endpoints.devices", "iobeam.endpoints.exports",
     "iobeam.endpoints.imports", "iobeam.endpoints.tokens"],
    ["iobeam.repair"],
    ["iobeam.spoolfile"],
    ["iobeam.chunk", "iobeam.filelock"],
    ["iobeam.endpoints.service"],
    ["iobeam.http.request"],
    ["iobeam.http.transport"],
    ["iobeam.http.call", "iobeam.http.retry"],
    ["iobeam.resources.query"],
    ["iobeam.resources.data"],
    ["iobeam.resources.device", "iobeam.resources.values",
     "iobeam.resources.fastrow", "iobeam.resources.table"],
    ["iobeam.utils.utils"],
    ["iobeam.utils.compat"],
    ["iobeam.errors", "iobeam.endpoints", "iobeam.http", "iobeam.resources",
     "iobeam.utils"],
]
LEVEL = dict((name, level) for level, names in enumerate(LEVELS)
             for name in names)
NETWORK = {"requests": "iobeam.http.transport", "urllib3": None,
           "jwt": "iobeam.utils.utils", "orjson": "iobeam.http.transport",
           "pandas": "iobeam.frames",
           "six": None, "iobeam_server": None}
SPOOL = ("iobeam.buffer", "iobeam.repair", "iobeam.spoolfile")


def modules():
    """(name, tree) of every module of the package."""
    found = []
    for folder, _, files in os.walk(os.path.join(ROOT, "iobeam")):
        for file in sorted(files):
            if file.endswith(".py"):
                path = os.path.join(folder, file)
                name = os.path.relpath(path, ROOT)[:-3].replace(os.sep, ".")
                with io.open(path, "rb") as opened:
                    tree = ast.parse(opened.read(), path)
                found.append((name[:-9] if name.endswith(".__init__") else
                              name, tree))
    return found


def imports(tree, known):
    """The modules that a tree imports, also inside of functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import in line {}".format(
                node.lineno)
            for alias in node.names:
                name = "{}.{}".format(node.module, alias.name)
                # the version stands in the package, before it imports
                if name != "iobeam.__version__":
                    yield name if name in known else node.module


class ImportsTest(support.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.modules = modules()
        cls.known = set(name for name, _ in cls.modules)

    def test_every_module_has_a_level(self):
        self.assertGreater(len(self.known), 20)
        self.assertEqual([], sorted(self.known - set(LEVEL)))

    def test_imports_point_down(self):
        for name, tree in self.modules:
            for other in imports(tree, self.known):
                if other.split(".")[0] == "iobeam":
                    self.assertIn(other, self.known)
                    self.assertLess(LEVEL[name], LEVEL[other],
                                    "{} imports {}".format(name, other))

    def test_the_exceptions_import_nothing(self):
        self.assertEqual([], list(imports(dict(self.modules)["iobeam.errors"],
                                          self.known)))

    def test_foreign_packages_are_imported_in_one_place(self):
        for name, tree in self.modules:
            for other in imports(tree, self.known):
                package = other.split(".")[0]
                if package in NETWORK:
                    self.assertEqual(NETWORK[package], name, other)
                if package == "sqlite3":
                    self.assertIn(name, SPOOL)

    def test_absolute_import_stands_where_the_package_is_imported(self):
        for name, tree in self.modules:
            future = [alias.name for node in ast.walk(tree)
                      if isinstance(node, ast.ImportFrom)
                      and node.module == "__future__" for alias in node.names]
            self.assertNotIn("unicode_literals", future, name)
            if any(other.split(".")[0] == "iobeam"
                   for other in imports(tree, self.known)):
                self.assertIn("absolute_import", future, name)

    def test_the_test_can_fail(self):
        tree = ast.parse("from iobeam import delivery\nimport iobeam.errors")
        self.assertEqual(["iobeam.delivery", "iobeam.errors"],
                         list(imports(tree, self.known)))
        self.assertFalse(LEVEL["iobeam.buffer"] < LEVEL["iobeam.delivery"])


class CostTest(support.TestCase):
    def loaded(self, statement):
        """Names of modules outside of the standard library after it."""
        script = ("import sys; before = set(sys.modules); {}\n"
                  "print('\\n'.join(name for name, module in "
                  "sorted(sys.modules.items()) if name not in before and "
                  "'-packages' in (getattr(module, '__file__', '') or '')))"
                  ).format(statement)
        environment = dict(os.environ, PYTHONDONTWRITEBYTECODE="1")
        environment.pop("PYTHONWARNINGS", None)
        found = subprocess.Popen(
            [sys.executable, "-c", script], cwd=ROOT, env=environment,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        out, errors = found.communicate()
        self.assertEqual(0, found.returncode, errors)
        return set(name.split(".")[0] for name in out.decode("ascii").split()
                   ) - set(["iobeam"])

    def test_importing_loads_the_standard_library_only(self):
        allowed = set(["enum"]) if compat.PY2 else set()
        for statement in ("import iobeam", "from iobeam import iobeam"):
            self.assertEqual(set(), self.loaded(statement) - allowed)

    def test_a_store_can_be_filled_without_requests(self):
        self.assertNotIn("requests", self.loaded(
            "import iobeam; iobeam.DataStore(['a']).add(1, {'a': 1})"))

    def test_the_test_can_fail(self):
        self.assertIn("requests", self.loaded("import requests"))
        self.assertIn("jwt", self.loaded(
            "import iobeam.utils.utils as u; u.readToken('a.e30.a')"))
