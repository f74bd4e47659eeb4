"""Write docs/api.md: what a server says of itself in /openapi.json, for reading.

    python docs/make_api.py
"""

from __future__ import annotations

import json
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

from iobeam_server.backend import Backend
from iobeam_server.config import Config

PAGE = Path(__file__).resolve().parent / "api.md"
HEAD = """# The REST API

This page is made by `make references` from what the server answers at `/openapi.json`; do not edit it.

{description}

A refusal is `{{"errors": [{{"code": 3, "message": "..."}}]}}`, see [Errors](#errors). Tokens go into the header
`Authorization: Bearer TOKEN`; how to get one: `iobeam-server token`, or `/v1/tokens`.
"""


def described() -> dict[str, Any]:
    """Ask a server, started for this, for its description."""
    with tempfile.TemporaryDirectory() as folder:
        with Backend(f"sqlite:///{folder}/empty.db", Config(port=0)) as backend:
            thread = backend.start()
            try:
                with urllib.request.urlopen(f"{backend.server.url}/openapi.json") as answer:
                    return json.load(answer)
            finally:
                backend.stop()
                thread.join()


def rendered(document: dict[str, Any]) -> str:
    """Return the whole page."""
    lines = [HEAD.format(description=document["info"]["description"])]
    operations = [
        (operation["tags"][0], f"{method.upper()} {path}", operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    tags = list(dict.fromkeys(tag for tag, _, _ in operations if tag != "server"))
    for tag in [*tags, "server"]:
        lines.append(f"## {tag.capitalize()}\n")
        for own, name, operation in operations:
            if own == tag:
                lines += one_operation(name, operation, document)
    lines.append("## Shapes\n")
    for name, schema in document["components"]["schemas"].items():
        lines += one_shape(name, schema)
    return "\n".join(lines).rstrip() + "\n"


def one_operation(name: str, operation: dict[str, Any], document: dict[str, Any]) -> list[str]:
    lines = [f"### `{name}`\n", f"{operation['summary']}\n", f"{operation['description']}\n"]
    parameters = operation.get("parameters", [])
    if parameters:
        lines += ["| parameter | in | type | |", "|---|---|---|---|"]
        lines += [
            f"| `{one['name']}`{' (required)' if one.get('required') else ''} | {one['in']} "
            f"| {kind(one['schema'])} | {cell(one['description'])} |"
            for one in parameters
        ]
        lines.append("")
    body = operation.get("requestBody")
    if body:
        lines.append(f"Body: {kind(body['content']['application/json']['schema'])}\n")
    for status, answer in operation["responses"].items():
        if "$ref" not in answer:
            lines.append(f"- {status}: {' '.join([answer['description'], *contents(answer)])}")
            for header, meaning in answer.get("headers", {}).items():
                lines.append(f"  - `{header}`: {meaning['description']}")
            continue
        refusal = document["components"]["responses"][answer["$ref"].rpartition("/")[2]]
        lines.append(f"- {status}: {refusal['description']}")
    return [*lines, ""]


def contents(answer: dict[str, Any]) -> list[str]:
    found = []
    for media, content in answer.get("content", {}).items():
        is_json = media == "application/json"
        found.append(kind(content["schema"]) if is_json else f"`{media}`")
    return [" or ".join(found)] if found else []


def one_shape(name: str, schema: dict[str, Any]) -> list[str]:
    lines = [f"### {name}\n"]
    if schema.get("description"):
        lines.append(f"{schema['description']}\n")
    lines += ["| key | type | |", "|---|---|---|"]
    for key, value in schema.get("properties", {}).items():
        need = "" if key in schema.get("required", []) else "may be absent"
        notes = [part for part in (need, cell(value.get("description", ""))) if part]
        lines.append(f"| `{key}` | {kind(value)} | {'; '.join(notes)} |")
    return [*lines, ""] if schema.get("properties") else [*lines[:-2], ""]


def kind(schema: dict[str, Any]) -> str:
    """Say a type in a few words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        # msgspec's versions differ in where they put null
        found = sorted((kind(one) for one in schema["anyOf"]), key="null".__eq__)
        return " or ".join(found)
    if "enum" in schema:
        return ", ".join(f"`{one}`" for one in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {kind(schema['items'])}"
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {kind(schema['additionalProperties'])}"
    return str(schema.get("type", "anything"))


def cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(rendered(described()), encoding="utf-8")
    print(f"wrote {PAGE.name}")
