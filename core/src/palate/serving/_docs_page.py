"""The OpenAPI document as one page for people: no script, nothing fetched, so it works offline and under any policy.

Packages that carry a renderer (Swagger UI, Redoc, Scalar) bring 4 MB or more of JavaScript with a web framework that is
not ours, and show a column's bounds no better. A page that calls nothing cannot be made to call something.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from base64 import b64encode
from collections.abc import Iterator, Mapping
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any

from palate.serving._openapi.outline import Field, list_fields, sample_of

__all__ = ["docs_policy", "render_docs"]

_JSON = "application/json"
_INLINE = 2_000  # characters of a body that a command line still shows


@cache
def _style() -> str:
    return files("palate.serving").joinpath("_docs_page.css").read_text("utf-8")


def docs_policy() -> bytes:
    """Return the Content-Security-Policy that the page needs: its own style, by hash, and nothing else."""
    digest = b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return f"{policy}; frame-ancestors 'none'".encode()


def render_docs(document: Mapping[str, Any], *, base_url: str = "http://127.0.0.1:8080") -> bytes:
    """Return an OpenAPI document of ours as an HTML page.

    Args:
        document: what ``openapi_document`` returned.
        base_url: what the commands on the page call.
    """
    info = document["info"]
    title = escape(str(info["title"]))
    sections = "".join(_section(tag, routes, document, base_url) for tag, routes in _by_tag(document).items())
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_style()}</style></head><body>"
        f"<h1>{title}</h1><p>Version {escape(str(info['version']))}. "
        'The same for programs: <a href="openapi.json">openapi.json</a>.</p>'
        f"<main>{sections}</main></body></html>"
    )
    return page.encode()


Route = tuple[str, str, Mapping[str, Any]]
"""A path, an HTTP method, an operation."""


def _by_tag(document: Mapping[str, Any]) -> dict[str, list[Route]]:
    """Return the routes under their tags, in the order of the document."""
    found: dict[str, list[Route]] = {}
    for path, item in document["paths"].items():
        for verb, operation in item.items():
            found.setdefault(operation["tags"][0], []).append((path, verb, operation))
    return found


def _section(tag: str, routes: list[Route], document: Mapping[str, Any], base_url: str) -> str:
    shown = "".join(_route(route, document, base_url) for route in routes)
    return f"<section><h2>{escape(tag)}</h2>{shown}</section>"


def _route(route: Route, document: Mapping[str, Any], base_url: str) -> str:
    path, verb, operation = route
    head = (
        f'<span class="verb {escape(verb)}">{escape(verb.upper())}</span><span class="path">{escape(path)}</span>'
        f'<span class="about">{escape(operation["summary"])}</span>'
    )
    parts = [*_request(operation, document), _command(route, document, base_url), _responses(operation, document)]
    return f'<details><summary>{head}</summary><div class="body">{"".join(parts)}</div></details>'


def _request(operation: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[str]:
    content = operation.get("requestBody", {}).get("content", {})
    for media_type, told in content.items():
        yield f"<h3>Body: <code>{escape(media_type)}</code></h3>"
        if media_type == _JSON:
            yield _fields_table(list(list_fields(told["schema"], document)))
        else:
            yield f"<p>{escape(told['schema'].get('description', ''))}</p>"


def _fields_table(fields: list[Field]) -> str:
    if not fields:
        return "<p>Any JSON.</p>"
    rows = "".join(map(_field_row, fields))
    head = "<tr><th>Field</th><th>Type</th><th></th><th>What is known</th></tr>"
    return f'<div class="scroll"><table><thead>{head}</thead><tbody>{rows}</tbody></table></div>'


def _field_row(field: Field) -> str:
    name = escape(field.name) or "&quot;&quot;"
    told = (escape(field.kind), "required" if field.required else "", escape(field.facts))
    cells = "".join(f"<td>{text}</td>" for text in told)
    return f'<tr><td class="d{field.depth}"><code>{name}</code></td>{cells}</tr>'


def _command(route: Route, document: Mapping[str, Any], base_url: str) -> str:
    """Return an example body, and the command that sends it."""
    path, verb, operation = route
    words = ["curl", base_url + path]
    told = operation.get("requestBody", {}).get("content", {}).get(_JSON)
    if verb != "post" or told is None:
        return f"<h3>Call</h3><pre>{escape(shlex.join(words))}</pre>"
    example = told["example"] if "example" in told else sample_of(told["schema"], document)
    body = "" if example is None else json.dumps(example, ensure_ascii=False)
    data = ["--data", body] if 0 < len(body) <= _INLINE else ["--data-binary", "@body.json"]
    command = shlex.join([*words, "--header", f"Content-Type: {_JSON}", *data])
    shown = f"<h3>Example body</h3><pre>{escape(_pretty(example))}</pre>" if body else ""
    return f"{shown}<h3>Call</h3><pre>{escape(command)}</pre>"


def _pretty(example: Any) -> str:
    return json.dumps(example, ensure_ascii=False, indent=2)


def _responses(operation: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    rows = []
    for status, response in operation["responses"].items():
        kinds = ", ".join(response.get("content", {}))
        text = (
            f"<td>{escape(status)}</td><td>{escape(response['description'])}</td><td><code>{escape(kinds)}</code></td>"
        )
        rows.append(f"<tr>{text}</tr>")
    table = f'<div class="scroll"><table><tbody>{"".join(rows)}</tbody></table></div>'
    good = operation["responses"]["200"].get("content", {}).get(_JSON, {}).get("schema", {})
    fields = list(list_fields(good, document))
    return f"<h3>Answers</h3>{table}{_fields_table(fields) if fields else ''}"
