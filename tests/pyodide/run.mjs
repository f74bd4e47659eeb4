// Runs the client's tests on CPython for WebAssembly:
// node run.mjs PYODIDE-FOLDER CHECKOUT SITE-PACKAGES [NAME..]
import { pathToFileURL } from "node:url";

const [folder, checkout, site, ...names] = process.argv.slice(2);
const { loadPyodide } = await import(pathToFileURL(`${folder}/pyodide.mjs`));
const python = await loadPyodide({
  env: { HOME: "/home/pyodide", PYTHONDONTWRITEBYTECODE: "1" },
});
python.mountNodeFS("/checkout", checkout);
python.mountNodeFS("/site", site);
python.globals.set("names", python.toPy(names));
process.exitCode = python.runPython(`
import os, sys, warnings
warnings.simplefilter("error")  # not before: Pyodide's own start warns
sys.path[:0] = ["/checkout", "/site"]
os.chdir("/checkout")
from tests.pyodide import inside
inside.main(list(names))
`);
