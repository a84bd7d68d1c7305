"""The web page's files, and the API's own page of documentation."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import FileResponse, HTMLResponse
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from serving.api.errors import ApiError

PAGE = Path(__file__).parents[1] / "page"

router = APIRouter(include_in_schema=False)

_NOT_BUILT = """<!doctype html><html lang="en"><meta charset="utf-8"><title>DysenVDM</title>
<h1>The page was not built</h1><p>This server's API works: see <a href="/docs">/docs</a>. A source checkout builds the
page with: <code>cd web &amp;&amp; npm ci &amp;&amp; npm run build</code></p></html>"""


@router.get("/")
def index(request: Request) -> Response:
    """The page; it is asked for anew each time, its assets, whose names change with what they hold, are kept."""
    return _page(request, "index.html")


@router.get("/plan.html")
def plan_editor(request: Request) -> Response:
    """The plan editor by itself, for scene graph files; it asks the API for nothing."""
    return _page(request, "plan.html")


def _page(request: Request, name: str) -> Response:
    file: Path = request.app.state.page / name
    if not file.is_file():
        return HTMLResponse(_NOT_BUILT, status_code=503)
    return FileResponse(file, media_type="text/html", headers={"Cache-Control": "no-cache"})


@router.get("/icon.svg")
def icon(request: Request) -> Response:
    file: Path = request.app.state.page / "icon.svg"
    if not file.is_file():
        raise ApiError(404, "there is no icon", "not_found")
    return FileResponse(file, media_type="image/svg+xml", headers={"Cache-Control": "no-cache"})


class _Assets(StaticFiles):
    """Names that hold a hash of the content may be kept for ever, the others are asked for anew."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        hashed = "-" in Path(path).stem
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if hashed else "no-cache"
        return response


def install(app: FastAPI, folder: Path) -> None:
    """Serve the page from ``folder``, which may not be there."""
    app.state.page = folder
    app.include_router(router)
    if (folder / "assets").is_dir():
        app.mount("/assets", _Assets(directory=folder / "assets"), name="assets")


@router.get("/docs")
def docs(request: Request) -> HTMLResponse:
    """What ``/openapi.json`` says, for people: one page without scripts."""
    return HTMLResponse(documentation(request.app.openapi()))


def documentation(schema: dict[str, Any]) -> str:
    """HTML of an OpenAPI document."""
    parts = [
        '<!doctype html><html lang="en"><meta charset="utf-8">',
        f"<title>{_text(schema['info']['title'])}</title><h1>{_text(schema['info']['title'])}</h1>",
        f"<p>{_text(schema['info'].get('description', ''))}</p>",
        '<p>For programs: <a href="/openapi.json">/openapi.json</a></p>',
    ]
    for path, methods in schema["paths"].items():
        for method, said in methods.items():
            parts.append(f"<h2><code>{_text(method.upper())} {_text(path)}</code></h2>")
            parts.append(f"<p>{_text(said.get('description', ''))}</p>")
            parts += _fields(
                "Parameters", {each["name"]: each.get("schema", {}) for each in said.get("parameters", [])}
            )
            for kind, body in said.get("requestBody", {}).get("content", {}).items():
                parts += _fields(f"Body, {kind}", body["schema"].get("properties", {}))
            parts += _answers(said["responses"])
    parts.append("<h1>What is answered</h1>")
    for name, model in schema["components"]["schemas"].items():
        parts.append(f'<h2 id="{_text(name)}">{_text(name)}</h2><p>{_text(model.get("description", ""))}</p>')
        parts += _fields("Fields", model.get("properties", {}))
    return "\n".join([*parts, "</html>"])


def _fields(title: str, fields: dict[str, Any]) -> list[str]:
    if not fields:
        return []
    rows = [
        f"<tr><td><code>{_text(name)}</code><td>{_kind(schema)}<td>{_text(schema.get('description', ''))}</tr>"
        for name, schema in fields.items()
    ]
    return [f"<h3>{_text(title)}</h3><table><tr><th>Name<th>Type<th>Meaning</tr>", *rows, "</table>"]


def _answers(responses: dict[str, Any]) -> list[str]:
    rows = []
    for status, said in responses.items():
        kinds = [_kind(body.get("schema", {})) for body in said.get("content", {}).values()]
        rows.append(f"<li><code>{_text(status)}</code> {_text(said['description'])} {', '.join(kinds)}</li>")
    return ["<h3>Answers</h3><ul>", *rows, "</ul>"]


def _kind(schema: dict[str, Any]) -> str:
    """A type in a few words; models are links."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#{_text(name)}">{_text(name)}</a>'
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_kind(each) for each in schema["anyOf"]))
    if "enum" in schema or "const" in schema:
        return _text(", ".join(map(str, schema.get("enum", [schema.get("const")]))))
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    bounds = [f"{word} {schema[key]}" for key, word in (("minimum", "from"), ("maximum", "to")) if key in schema]
    return _text(" ".join([str(schema.get("type", "anything")), *bounds]))


def _text(value: object) -> str:
    return html.escape(str(value))
