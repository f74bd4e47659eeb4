"""Write the manual pages, of the Markdown that is the documentation of the commands.

    python docs/make_man.py

man/iobeam.1 is docs/cli.md, server/man/iobeam-server.1 docs/reference/server-commands.md.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from iobeam import __version__ as client_version
from iobeam_server import __version__ as server_version
from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parent.parent


class Manual(NamedTuple):
    """A manual page, and what it is made of."""

    page: Path
    source: Path
    version: str
    about: str


MANUALS = [
    Manual(
        ROOT / "man" / "iobeam.1",
        ROOT / "docs" / "cli.md",
        f"iobeam {client_version}",
        "send time series from devices, and ask for them",
    ),
    Manual(
        ROOT / "server" / "man" / "iobeam-server.1",
        ROOT / "docs" / "reference" / "server-commands.md",
        f"iobeam-server {server_version}",
        "a backend of one's own for iobeam clients",
    ),
]


def rendered(manual: Manual) -> str:
    """Return the whole page, in the macros of man(7)."""
    name = manual.page.stem
    lines = [
        f'.\\" Made by `make references` of {manual.source.relative_to(ROOT)}; do not edit it.',
        f'.TH {name.upper().replace("-", chr(92) + "-")} 1 "" "{manual.version}"',
        ".SH NAME",
        f"{plain(name)} \\- {plain(manual.about)}",
        ".SH SYNOPSIS",
        rf"\fB{plain(name)}\fR COMMAND [OPTIONS] [ARGUMENTS]",
        ".br",
        rf"\fB{plain(name)}\fR [COMMAND] \-\-help",
        ".SH DESCRIPTION",
    ]
    tokens = MarkdownIt("commonmark").enable("table").parse(manual.source.read_text("utf-8"))
    place = 0
    while place < len(tokens):
        token = tokens[place]
        if token.type == "heading_open" and token.tag != "h1":
            title = re.sub(r"\\f[BIR]", "", inline(tokens[place + 1]))
            lines.append(f".{'SH' if token.tag == 'h2' else 'SS'} {title}")
        elif token.type == "paragraph_open" and token.level == 0:
            lines += [*apart(lines), inline(tokens[place + 1])]
        elif token.type in ("code_block", "fence"):
            block = map(plain, token.content.splitlines())
            lines += [*apart(lines), ".RS 4", ".nf", *block, ".fi", ".RE"]
        elif token.type == "table_open":
            end = place + next(
                ahead for ahead, one in enumerate(tokens[place:]) if one.type == "table_close"
            )
            lines += table(tokens[place:end])
            place = end
        elif token.type.startswith(("bullet_list", "ordered_list", "blockquote")):
            raise ValueError(f"{manual.source.name}: {token.type} in line {token.map}")
        place += 1
    return "\n".join(lines) + "\n"


def apart(lines: list[str]) -> list[str]:
    """What begins a paragraph; a heading does by itself."""
    return [] if lines[-1].startswith((".SH", ".SS")) else [".PP"]


def table(tokens: list[Token]) -> list[str]:
    """The first column as terms; behind the second, each cell with its column's name."""
    cells = [inline(one) for one in tokens if one.type == "inline"]
    width = sum(one.type == "th_open" for one in tokens)
    names, rows = cells[:width], cells[width:]
    lines = []
    for start in range(0, len(rows), width):
        term, *rest = rows[start : start + width]
        more = [f"{name}: {text}" if name else text for name, text in zip(names[2:], rest[1:]) if text]
        lines += [".TP", term, ".br\n".join(text + "\n" for text in [rest[0], *more] if text)[:-1]]
    return lines


def inline(token: Token) -> str:
    """Text with its code and emphasis in bold and italics; of links, what is shown."""
    marks = {"strong_open": r"\fB", "em_open": r"\fI", "strong_close": r"\fR", "em_close": r"\fR"}
    pieces = []
    for one in token.children or []:
        if one.type == "text":
            pieces.append(escaped(one.content))
        elif one.type == "code_inline":
            pieces.append(r"\fB" + escaped(one.content).replace("-", r"\-") + r"\fR")
        elif one.type in ("softbreak", "hardbreak"):
            pieces.append("\n")
        else:
            pieces.append(marks.get(one.type, ""))
    return "\n".join(guarded(line) for line in "".join(pieces).split("\n"))


def plain(line: str) -> str:
    """A line as it stands, dashes for typing."""
    return guarded(escaped(line).replace("-", r"\-"))


def escaped(text: str) -> str:
    return re.sub(r"[\\]", r"\\e", text)


def guarded(line: str) -> str:
    """Keep a line from being taken for a request."""
    return r"\&" + line if line.startswith((".", "'")) else line


if __name__ == "__main__":
    for one in MANUALS:
        one.page.parent.mkdir(exist_ok=True)
        one.page.write_text(rendered(one), encoding="utf-8")
