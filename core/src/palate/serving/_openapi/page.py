"""The OpenAPI document as one page for people: no script, nothing fetched, so it works offline and under any policy.

Packages that carry a renderer (Swagger UI, Redoc, Scalar) bring 4 MB or more of JavaScript with a web framework that is
not ours, and show a column's bounds no better. A page that calls nothing cannot be made to call something.
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from base64 import b64encode
from collections.abc import Iterator, Mapping
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any

from palate.serving._openapi.outline import Field, exclusive_keys, list_fields, takes_null

__all__ = ["docs_policy", "render_docs"]

_JSON = "application/json"
_VERSION = re.compile(r"/versions/[0-9]+(?=[/:]|$)")
_INLINE = 2_000  # characters of a body that a command line still shows
_VERSIONS = (
    "A path that names a model and no version leads to its highest one. With <code>/versions/N</code> behind the "
    "model's name it leads to version N; such paths are left out below where they do the same."
)
_NULLS = "<p>null stands for a missing value: send it only if the model takes missing values.</p>"
_NO_EXAMPLE = (
    "<p>There is no example: the model declares no inputs and was saved without one, or it has no row that is short "
    "enough, or that JSON can write.</p>"
)


@cache
def _style() -> str:
    return files("palate.serving._openapi").joinpath("page.css").read_text("utf-8")


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
    tags = {f"part-{number}": told for number, told in enumerate(_by_tag(document).items(), 1)}
    sections = "".join(_section(part, told, document, base_url) for part, told in tags.items())
    described = f"<p>{escape(str(info['description']))}</p>" if "description" in info else ""
    contents = "".join(f'<li><a href="#{part}">{escape(tag)}</a></li>' for part, (tag, _) in tags.items())
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_style()}</style></head><body>"
        f"<h1>{title}</h1><p>Version {escape(str(info['version']))}. "
        'The same for programs: <a href="openapi.json">openapi.json</a>.</p>'
        f"{described}"
        f"<nav><ul>{contents}</ul></nav><p>{_VERSIONS}</p><main>{sections}</main></body></html>"
    )
    return page.encode()


Route = tuple[str, str, Mapping[str, Any]]
"""A path, an HTTP method, an operation."""


def _by_tag(document: Mapping[str, Any]) -> dict[str, list[Route]]:
    """Return the routes under their tags, in the order of the document, without those that repeat another."""
    found: dict[str, list[Route]] = {}
    for path, item in document["paths"].items():
        for verb, operation in item.items():
            if not _repeats(path, verb, operation, document):
                found.setdefault(operation["tags"][0], []).append((path, verb, operation))
    return found


def _repeats(path: str, verb: str, operation: Mapping[str, Any], document: Mapping[str, Any]) -> bool:
    """Tell whether a path with a version does what the one without does."""
    shorter = _VERSION.sub("", path)
    other = document["paths"].get(shorter, {}).get(verb, {}) if shorter != path else {}
    return {**other, "operationId": None} == {**operation, "operationId": None}


def _section(part: str, told: tuple[str, list[Route]], document: Mapping[str, Any], base_url: str) -> str:
    tag, routes = told
    shown = "".join(_route(route, document, base_url) for route in routes)
    return f'<section id="{part}"><h2>{escape(tag)}</h2>{shown}</section>'


def _route(route: Route, document: Mapping[str, Any], base_url: str) -> str:
    path, verb, operation = route
    head = (
        f'<span class="verb {escape(verb)}">{escape(verb.upper())}</span><span class="path">{escape(path)}</span>'
        f'<span class="about">{escape(operation["summary"])}</span>'
    )
    parts = [*_request(operation, document), _command(route, base_url), _responses(operation, document)]
    return f'<details><summary>{head}</summary><div class="body">{"".join(parts)}</div></details>'


def _request(operation: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[str]:
    content = operation.get("requestBody", {}).get("content", {})
    for media_type, told in content.items():
        yield f"<h3>Body: <code>{escape(media_type)}</code></h3>"
        if media_type == _JSON:
            yield from _json_body(told["schema"], document)
        else:
            yield f"<p>{escape(told['schema'].get('description', ''))}</p>"


def _json_body(schema: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[str]:
    if keys := exclusive_keys(dict(schema), document):
        yield f"<p>Send exactly one of {', '.join(f'<code>{escape(key)}</code>' for key in keys)}.</p>"
    if takes_null(dict(schema), document):
        yield _NULLS
    yield _fields_table(list(list_fields(dict(schema), document)))


def _fields_table(fields: list[Field]) -> str:
    if not fields:
        return "<p>Any JSON.</p>"
    rows = "".join(map(_field_row, fields))
    head = "<tr><th>Field</th><th>Type</th><th></th><th>What is known</th></tr>"
    return f'<div class="scroll"><table><thead>{head}</thead><tbody>{rows}</tbody></table></div>'


def _field_row(field: Field) -> str:
    name = "in the form" if field.name is None else f"<code>{escape(field.name) or '&quot;&quot;'}</code>"
    told = (escape(field.kind), "required" if field.required else "", escape(field.facts))
    cells = "".join(f"<td>{text}</td>" for text in told)
    return f'<tr><td class="d{field.depth}">{name}</td>{cells}</tr>'


def _command(route: Route, base_url: str) -> str:
    """Return an example body, and the command that sends it."""
    path, verb, operation = route
    words = ["curl", base_url + path]
    told = operation.get("requestBody", {}).get("content", {}).get(_JSON)
    if verb != "post" or told is None:
        return f"<h3>Call</h3><pre>{escape(shlex.join(words))}</pre>"
    if "example" not in told:
        return f"<h3>Call</h3>{_NO_EXAMPLE}"
    body = json.dumps(told["example"], ensure_ascii=False)
    data = ["--data", body] if len(body) <= _INLINE else ["--data-binary", "@body.json"]
    command = shlex.join([*words, "--header", f"Content-Type: {_JSON}", *data])
    return (
        f"<h3>Example body</h3><pre>{escape(_pretty(told['example']))}</pre><h3>Call</h3><pre>{escape(command)}</pre>"
    )


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
