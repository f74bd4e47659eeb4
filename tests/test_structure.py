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
    ["iobeam.fake.devices", "iobeam.fake.exports", "iobeam.fake.tokens"],
    ["iobeam.fake.imports"],
    ["iobeam.fake.answers"],
    ["iobeam.cli"],
    ["iobeam.command.buffer", "iobeam.command.configure",
     "iobeam.command.query", "iobeam.command.register",
     "iobeam.command.send", "iobeam.command.token"],
    ["iobeam.command.pipe"],
    ["iobeam.command.devices"],
    ["iobeam.command.consignment", "iobeam.command.doctor",
     "iobeam.command.forms", "iobeam.command.period", "iobeam.command.points"],
    ["iobeam.command.common", "iobeam.command.near", "iobeam.command.tables"],
    ["iobeam.command.readings"],
    ["iobeam.command.layout"],
    ["iobeam.command.timecolumn"],
    ["iobeam.command.dialect", "iobeam.command.moments",
     "iobeam.command.repeats"],
    ["iobeam.command.cells"],
    ["iobeam.frames"],
    ["iobeam"],
    ["iobeam.iobeam"],
    ["iobeam.client", "iobeam.configuration"],
    ["iobeam.progress"],
    ["iobeam.options"],
    ["iobeam.delivery"],
    ["iobeam.outbox"],
    ["iobeam.classic", "iobeam.intents"],
    ["iobeam.loose", "iobeam.parcel", "iobeam.processes",
     "iobeam.verdict"],
    ["iobeam.auth", "iobeam.clock", "iobeam.identity", "iobeam.spool.buffer",
     "iobeam.endpoints.devices", "iobeam.endpoints.exports",
     "iobeam.endpoints.imports", "iobeam.endpoints.tokens"],
    ["iobeam.spool.ahead", "iobeam.spool.repair", "iobeam.spool.room"],
    ["iobeam.spool.spoolfile"],
    ["iobeam.spool.filelock"],
    ["iobeam.spool.chunk", "iobeam.spool.guard"],
    ["iobeam.endpoints.service"],
    ["iobeam.http.request"],
    ["iobeam.http.loading"],
    ["iobeam.http.transport"],
    ["iobeam.http.sessions"],
    ["iobeam.http.sockets"],
    ["iobeam.http.incoming"],
    ["iobeam.http.failures", "iobeam.http.replaced"],
    ["iobeam.http.address", "iobeam.http.call", "iobeam.http.heads",
     "iobeam.http.retry"],
    ["iobeam.http.settings"],
    ["iobeam.resources.query"],
    ["iobeam.resources.data"],
    ["iobeam.resources.rows"],
    ["iobeam.resources.table"],
    ["iobeam.resources.flat"],
    ["iobeam.resources.device", "iobeam.resources.values",
     "iobeam.resources.fastrow", "iobeam.resources.result"],
    ["iobeam.utils.files", "iobeam.utils.gate", "iobeam.utils.markup",
     "iobeam.utils.utils"],
    ["iobeam.utils.quickjson", "iobeam.utils.zones"],
    ["iobeam.utils.compat"],
    ["iobeam.command", "iobeam.errors", "iobeam.fake", "iobeam.endpoints",
     "iobeam.http", "iobeam.resources", "iobeam.spool", "iobeam.utils"],
]
LEVEL = dict((name, level) for level, names in enumerate(LEVELS)
             for name in names)
MOST_LINES, MOST_BODY = 600, 45
# Foreign packages, and the modules that may import them.
NETWORK = {"requests": ("iobeam.http.failures", "iobeam.http.replaced",
                        "iobeam.http.sessions", "iobeam.http.sockets",
                        "iobeam.http.transport"),
           "urllib3": (), "six": (), "iobeam_server": (),
           "jwt": ("iobeam.utils.utils",), "orjson": ("iobeam.utils.quickjson",),
           "pandas": ("iobeam.frames",)}
SPOOL = ("iobeam.spool.buffer", "iobeam.spool.repair", "iobeam.spool.spoolfile")


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


def tooLong(name, tree):
    """What is longer than it may be; a body counts without its docstring."""
    found = []
    if tree.body and tree.body[-1].end_lineno > MOST_LINES:
        found.append("{}: {} lines".format(name, tree.body[-1].end_lineno))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            if body:
                lines = body[-1].end_lineno - body[0].lineno + 1
                if lines > MOST_BODY:
                    found.append("{}.{}: {} lines".format(
                        name, node.name, lines))
    return found


def privateOfOthers(tree):
    """Names with an underscore of anything but self and classes."""
    return sorted(set(
        node.attr for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr.startswith("_")
        and not node.attr.startswith("__")
        and not (isinstance(node.value, ast.Name)
                 and node.value.id in ("self", "cls"))
        and node.attr != "_BATCH_SIZE"))  # a name that 0.11.0 gave


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
                    self.assertIn(name, NETWORK[package], other)
                if package == "sqlite3":
                    self.assertIn(name, SPOOL)

    def test_no_module_or_function_is_long(self):
        if not hasattr(ast.parse("x").body[0], "end_lineno"):
            self.skipTest("ast tells where things end from Python 3.8 on")
        for name, tree in self.modules:
            self.assertEqual([], tooLong(name, tree))

    def test_what_is_long_is_seen(self):
        if not hasattr(ast.parse("x").body[0], "end_lineno"):
            self.skipTest("ast tells where things end from Python 3.8 on")
        lines = "    x = 1\n" * MOST_BODY
        self.assertEqual([], tooLong("m", ast.parse(
            "def f():\n    'What it does.'\n" + lines)))
        self.assertEqual(["m.f: 46 lines"], tooLong("m", ast.parse(
            "def f():\n    'What it does.'\n" + lines + "    x = 1\n")))
        self.assertEqual(["m: 601 lines"], tooLong("m", ast.parse(
            "x = 1\n" * (MOST_LINES + 1))))

    def test_the_outbox_names_nothing_private_of_others(self):
        tree = dict(self.modules)["iobeam.outbox"]
        self.assertEqual([], privateOfOthers(tree))
        self.assertEqual(["_cells"], privateOfOthers(ast.parse(
            "store._cells\nself._mine\n")))

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
        self.assertFalse(LEVEL["iobeam.spool.buffer"] < LEVEL["iobeam.delivery"])


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

    def test_importing_does_not_load_the_commands(self):
        self.assertEqual(0, subprocess.call([sys.executable, "-c", (
            "import sys, iobeam.iobeam; sys.exit(bool([name for name in "
            "sys.modules if name == 'iobeam.cli' or "
            "name.startswith('iobeam.command')]))")], cwd=ROOT))
        self.assertEqual(1, subprocess.call([sys.executable, "-c", (
            "import sys, iobeam.cli; sys.exit(bool([name for name in "
            "sys.modules if name.startswith('iobeam.command')]))")], cwd=ROOT))

    def test_a_store_can_be_filled_without_requests(self):
        self.assertNotIn("requests", self.loaded(
            "import iobeam; iobeam.DataStore(['a']).add(1, {'a': 1})"))

    def test_the_test_can_fail(self):
        self.assertIn("requests", self.loaded("import requests"))
        self.assertIn("jwt", self.loaded(
            "import iobeam.utils.utils as u; u.readToken('a.e30.a')"))
