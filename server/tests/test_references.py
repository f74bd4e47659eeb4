"""What is made of the code and kept, for reading, is what would be made now."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
# The requests of man(7) that the pages use.
KNOWN = {"TH", "SH", "SS", "PP", "TP", "RS", "RE", "nf", "fi", "br"}

pytestmark = pytest.mark.skipif(
    not (DOCS / "make_man.py").is_file(), reason="not in a checkout: there is no docs/ here"
)


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_page_of_the_servers_commands_is_current() -> None:
    made = script("make_commands")
    now = made.rendered()
    assert made.PAGE.read_text(encoding="utf-8") == now, "it is old: make references"


def test_manual_pages_are_current_and_say_what_the_pages_say() -> None:
    made = script("make_man")
    for manual in made.MANUALS:
        text = manual.page.read_text(encoding="utf-8")
        assert text == made.rendered(manual), f"{manual.page.name} is old: make references"
        requests = re.findall(r"^[.'](\S*)", text, re.M)
        assert set(requests) - {'\\"'} <= KNOWN
        # No word is lost on the way from one to the other, but of titles.
        shown = words(re.sub(r"\\f[BIR]|\\&", "", text).replace("\\-", "-").replace("\\e", "\\"))
        source = manual.source.read_text(encoding="utf-8")
        titles = re.findall("^# .*|^[|].*(?=\n[|]---)", source, re.M)
        assert words(source) - shown <= words(" ".join(titles))


def words(text: str) -> set[str]:
    without_links = re.sub(r"\]\([^)]*\)|<!--.*?-->", " ", text)
    return set(re.findall(r"--[a-z][a-z-]*|[A-Za-z_]{3,}", without_links))


def test_markdown_becomes_requests(tmp_path: Path) -> None:
    made = script("make_man")
    source = tmp_path / "page.md"
    source.write_text(
        "# Title\n\n.first `a-b` *c* [d](e.md)\n\n## Next `--one`\n\n    'x\\y\n\n"
        "| what | does | by |\n|---|---|---|\n| `t` | u | `v` |\n| w | x | |\n"
    )
    made.ROOT = tmp_path
    page = made.rendered(made.Manual(tmp_path / "a-b.1", source, "a-b 1", "does"))
    assert page.partition(".SH DESCRIPTION\n")[2].splitlines() == [
        r"\&.first \fBa\-b\fR \fIc\fR d",
        r".SH Next \-\-one",
        ".RS 4", ".nf", r"\&'x\ey", ".fi", ".RE",
        ".TP", r"\fBt\fR", "u", ".br", r"by: \fBv\fR",
        ".TP", "w", "x",
    ]  # fmt: skip


def test_list_in_a_page_is_not_left_out_in_silence(tmp_path: Path) -> None:
    made = script("make_man")
    source = tmp_path / "page.md"
    source.write_text("# Title\n\n- one\n")
    made.ROOT = tmp_path
    with pytest.raises(ValueError, match=r"page\.md: bullet_list"):
        made.rendered(made.Manual(tmp_path / "a.1", source, "a 1", "does"))
