"""What the site takes from outside of this folder: the changelog, and files that pages link to.

On a code host the links of these pages lead out of the folder, to ../examples/ for one. The
site has what they lead to under its own root, and the links lead there.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parent.parent
_LINK = re.compile(r"\]\(((?:\.\./)+[^)#\s]+)")
_ELSEWHERE = {"CHANGELOG.md": "changelog.md", "README.md": "index.md"}


def on_files(files, config):
    """Add what is linked to."""
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").replace("](docs/", "](")
    files.append(File.generated(config, "changelog.md", content=changes))
    linked = {_place(page, link) for page in files.documentation_pages()
              for link in _LINK.findall(page.content_string)}
    for place in sorted(filter(None, linked)):
        if place not in _ELSEWHERE:
            source = ROOT / place
            if not source.is_file():
                raise ValueError(f"a page links to {place}, which is no file")
            files.append(File.generated(config, place, content=source.read_bytes()))
    return files


def on_page_markdown(markdown, page, config, files):
    """Lead links out of the folder to what the site has instead."""
    def lead(found):
        place = _place(page.file, found.group(1))
        if place is None:
            return found.group(0)
        target = _ELSEWHERE.get(place, place)
        start = posixpath.dirname(page.file.src_uri)
        return "](" + posixpath.relpath(target, start or ".")

    return _LINK.sub(lead, markdown)


def _place(page, link):
    """Return what a link leads to, from the root of the repository; None: within this folder."""
    place = posixpath.normpath(
        posixpath.join("docs", posixpath.dirname(page.src_uri), link))
    return None if place.startswith("docs/") else place
