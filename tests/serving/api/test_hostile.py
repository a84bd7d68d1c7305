"""Hostile requests by the hundred, made from tables: each is refused, changes nothing, and is echoed as no HTML."""

from __future__ import annotations

import io
import itertools
import json
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import pytest

from tests.serving.api.conftest import GRAPH, TOKENS, MakeServed, Served, picture

IDENT = "video_" + "0" * 32
SCRIPT = "<script>alert(1)</script>"
Request = tuple[str, str, dict[str, Any]]
"""Method, address, and what httpx is given besides."""


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png(width: int, height: int, *chunks: bytes) -> bytes:
    head = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + _chunk(b"IEND", b"")


def _moving(kind: str) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    frames = [Image.new("RGB", (64, 64), colour) for colour in ("red", "blue")]
    frames[0].save(file, kind, save_all=True, append_images=frames[1:])
    return file.getvalue()


BOMB = zlib.compress(bytes(50_000_000), 9)
PICTURES = {
    "nothing": b"",
    "noise": bytes(range(256)) * 40,
    "html": b"<!doctype html>" + SCRIPT.encode(),
    "svg": f"<svg xmlns='http://www.w3.org/2000/svg'>{SCRIPT}</svg>".encode(),
    "mp4": struct.pack(">I", 24) + b"ftypisom" + bytes(12) + b"\xff\xff\xff\xffmdat",
    "mp4 in a loop": (struct.pack(">I", 0) + b"moov") * 100,
    "zip": b"PK\x03\x04" + bytes(200),
    "pickle": b"\x80\x04\x95cos\nsystem\n(S'true'\ntR.",
    "elf": b"\x7fELF" + bytes(100),
    "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n(/etc/passwd) (r) file",
    "gif": picture(64, 64, "GIF"),
    "bmp": picture(64, 64, "BMP"),
    "tiff": picture(64, 64, "TIFF"),
    "icon": picture(64, 64, "ICO"),
    "png, cut": picture(64, 64)[:50],
    "png, flipped bits": picture(64, 64).replace(b"IDAT", b"IDAX"),
    "png of 2**31 pixels a side": _png(2**31 - 1, 2**31 - 1, _chunk(b"IDAT", zlib.compress(b"x"))),
    "png of 0 pixels": _png(0, 0, _chunk(b"IDAT", zlib.compress(b""))),
    "png, bomb in the pixels": _png(60_000, 60_000, _chunk(b"IDAT", BOMB)),
    "png, bomb in a profile": _png(64, 64, _chunk(b"iCCP", b"p\0\0" + BOMB), _chunk(b"IDAT", b"")),
    "png, bomb in a note": _png(64, 64, _chunk(b"zTXt", b"n\0\0" + BOMB), _chunk(b"IDAT", b"")),
    "png, no pixels": _png(64, 64),
    "png, wrong sum": _png(64, 64)[:-1] + b"x",
    "png that moves": _moving("PNG"),
    "webp that moves": _moving("WEBP"),
    "jpeg, cut": picture(64, 64, "JPEG")[:100],
    "jpeg, head only": b"\xff\xd8\xff\xe0",
    "webp, lying size": b"RIFF\xff\xff\xff\xffWEBPVP8 ",
    "another aspect": picture(64, 16),
    "a line": picture(30_000, 1),
    "too many pixels": picture(6000, 6000),
    "too many bytes": picture(64, 64) + bytes(9 << 20),
}
TRAVERSALS = (
    "../../etc/passwd", "..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/jobs.sqlite", "....//....//etc/passwd",
    "..%5c..%5cwindows", "/etc/passwd", "%00", f"{IDENT}%00.mp4", f"{IDENT}/../../jobs.sqlite", "video_*", "video_%25",
    "video_" + "0" * 31, "video_" + "0" * 33, "video_" + "G" * 32, "video_" + "\u0660" * 32, "plan_" + "0" * 32,
    "' OR 1=1 --", "1;DROP TABLE jobs", "${jndi:ldap://127.0.0.1/a}", "{{7*7}}", SCRIPT, "file:///etc/passwd",
)  # fmt: skip
TEXTS = {
    "nul": "a\0b", "escape": "a\x1b[2J", "bell": "\a", "delete": "\x7f", "blank": " \t\n ", "empty": "",
    "long": "x" * 2001, "zalgo": "a" + "\u0301" * 3000,
    "lone surrogate": "\ud800", "surrogates the wrong way": "\udc00\ud800",
}  # fmt: skip
NOT_TEXT = (None, 1, True, [], {}, ["a"], {"$ne": ""}, {"__proto__": {}})
NUMBERS = (-1, 2**63, 10**400, 1.5, "NaN", "1e999", None.__class__.__name__, [], {"a": 1}, "0x10", "١٢")
DEEP = "[" * 100_000 + "]" * 100_000


def _ids() -> Iterator[Request]:
    for ident, path in itertools.product(TRAVERSALS, ("", "/content")):
        yield "GET", f"/v1/videos/{ident}{path}", {}
    for ident in TRAVERSALS[:8]:
        yield "DELETE", f"/v1/videos/{ident}", {}
        yield "POST", f"/v1/videos/{ident}/remix", {"json": {"seed": 1}}
        yield "GET", "/v1/videos", {"params": {"after": ident}}
        yield "GET", f"/assets/{ident}", {}
    for value in ("../video.mp4", "VIDEO", SCRIPT, "recipe.json", "\0"):
        yield "GET", f"/v1/videos/{IDENT}/content", {"params": {"variant": value}}


def _fields() -> Iterator[Request]:
    for text in TEXTS.values():
        yield "POST", "/v1/videos", {"content": json.dumps({"prompt": text}), "headers": _JSON}
        yield "POST", "/v1/plans", {"content": json.dumps({"prompts": ["fine", text]}), "headers": _JSON}
    for value in NOT_TEXT:
        yield "POST", "/v1/videos", {"json": {"prompt": value}}
    for value, name in itertools.product(NUMBERS, ("num_frames", "seed", "guidance_scale")):
        if (name, value) not in (("guidance_scale", 1.5), ("seed", 2**63 - 1)):
            yield "POST", "/v1/videos", {"content": json.dumps({"prompt": "a", name: value}), "headers": _JSON}
    for name in (
        "model",
        "planner",
        "scheduler",
        "scene_mode",
        "size",
        "input_reference",
        "owner",
        "stage",
        "id",
        "__class__",
    ):
        yield "POST", "/v1/videos", {"json": {"prompt": "a", name: "../../etc"}}
    for body in (
        "",
        "{",
        "null",
        "[]",
        '"a"',
        "{'a': 1}",
        '{"prompt": "a", "guidance_scale": NaN}',
        DEEP,
        f'{{"dsg": {DEEP}}}',
    ):
        yield "POST", "/v1/videos", {"content": body, "headers": _JSON}
    yield "POST", "/v1/videos", {"content": '{"prompt": "\xe9"}'.encode("utf-16"), "headers": _JSON}
    yield "POST", "/v1/videos", {"content": b'{"prompt": "\xff\xfe"}', "headers": _JSON}
    yield "POST", "/v1/plans", {"json": {"prompts": ["a"] * 10_000}}


def _graphs() -> Iterator[Request]:
    thing, fact = GRAPH["objects"][0], GRAPH["facts"][0]
    for change in (
        {"ticks": 10**9}, {"ticks": True}, {"format": "dysenvdm.dsg/2"}, {"objects": [thing] * 2}, {"prompt": 3},
        {"objects": [{**thing, "id": "../../dog"}]}, {"objects": [{**thing, "id": SCRIPT}]}, {"objects": "dog"},
        {"objects": [{**thing, "label": ""}]}, {"objects": [{**thing, "label": "x" * 121}]}, {SCRIPT: 1},
        {"objects": [{**thing, "\ud800": 1}]}, {"facts": [{**fact, "source": "system"}]}, {"facts": [fact] * 5000},
        {"facts": [{**fact, "predicate": {"$where": "1"}}]}, {"facts": [{**fact, "start": 9}]}, {"facts": [None]},
        {"objects": [{"id": f"o{i}", "label": "o"} for i in range(300)]}, {"__proto__": {}}, {"ticks": 1e3},
    ):  # fmt: skip
        yield "POST", "/v1/videos", {"content": json.dumps({"dsg": {**GRAPH, **change}}), "headers": _JSON}


def _requests() -> Iterator[Request]:
    """The shape of requests themselves."""
    post = ("POST", "/v1/videos")
    yield (*post, {"content": b'{"prompt": "' + b"x" * (1 << 20) + b'"}', "headers": _JSON})
    yield (*post, {"content": b"x", "headers": {**_JSON, "Content-Length": "99999999999999999999"}})
    yield (*post, {"content": b"{}", "headers": {"Content-Type": "application/json, text/plain"}})
    yield (*post, {"content": b"<a/>", "headers": {"Content-Type": "application/xml"}})
    yield (*post, {"content": b"prompt=a", "headers": {"Content-Type": "application/x-www-form-urlencoded"}})
    yield (*post, {"content": b"--x\r\n", "headers": {"Content-Type": "multipart/form-data; boundary=x"}})
    yield (*post, {"content": b"x" * 1000, "headers": {"Content-Type": "multipart/form-data; boundary=" + "y" * 300}})
    yield (*post, {"files": {f"f{i}": (None, "a") for i in range(500)}})
    yield (*post, {"files": {f"f{i}": ("a.png", b"a") for i in range(5)}})
    yield (
        *post,
        {"data": {"prompt": "a", "input_reference[image_url]": "http://169.254.169.254/"}, "files": {"a": (None, "")}},
    )
    for address in ("http://127.0.0.1/x.png", "file:///etc/passwd", "data:image/png;base64,AA==", "/etc/passwd"):
        yield (*post, {"files": {"prompt": (None, "a"), "input_reference": (None, address)}})
    for name in ("../../evil.png", "a\0.png", "C:\\evil.png", f"{SCRIPT}.png"):
        yield (*post, {"data": {"prompt": "a"}, "files": {"input_reference": (name, b"\x89PNG")}})
    yield "GET", "/v1/videos", {"headers": {"X-Long": "x" * 40_000}}
    yield "GET", "/v1/videos", {"headers": {f"X-{i}": "x" * 100 for i in range(400)}}
    yield "GET", "/v1/videos?" + "a" * 9000, {}
    yield "GET", "/v1/videos", {"params": {"search": "\0"}}
    yield "GET", "/v1/videos", {"params": {"search": "%" * 300}}
    yield "GET", "/v1/videos", {"params": {"limit": "-1"}}
    yield "GET", "/v1/videos", {"params": {"status": SCRIPT}}
    for host in ("evil.example", "127.0.0.1.evil.example", "localhost@evil.example", "localhost/evil", "[", ""):
        yield "GET", "/v1/videos", {"headers": {"Host": host}}
    for origin in ("http://evil.example", "null", "http://localhost:1", "https://localhost:8000.evil.example"):
        yield (*post, {"json": {"prompt": "a"}, "headers": {"Origin": origin}})
        yield "DELETE", f"/v1/videos/{IDENT}", {"headers": {"Origin": origin}}
    for method in ("PUT", "PATCH", "TRACE", "CONNECT", "PROPFIND", "HEAD"):
        yield method, f"/v1/videos/{IDENT}", {}
    for path in (
        "/.env",
        "/.git/config",
        "/jobs.sqlite",
        "/v1/files",
        "/v2/videos",
        "/v1/videos/",
        "//v1//videos",
        "/docs/x",
    ):
        yield "GET", path, {}
    yield "POST", f"/v1/videos/{IDENT}/cancel", {"headers": {"X-HTTP-Method-Override": "DELETE"}}
    for key in ("\x01", "x" * 300, "a b"):
        yield (*post, {"json": {"prompt": "a"}, "headers": {"Idempotency-Key": key}})
    for last in ("-1", "x", "9" * 40, "1; DROP"):
        yield "GET", f"/v1/videos/{IDENT}/events", {"headers": {"Last-Event-ID": last}}


_JSON = {"Content-Type": "application/json"}
UPLOADS: list[Request] = [
    ("POST", "/v1/videos", {"data": {"prompt": "a"}, "files": {"input_reference": ("a.png", content, "image/png")}})
    for content in PICTURES.values()
]
HOSTILE: list[Request] = [*UPLOADS, *_ids(), *_fields(), *_graphs(), *_requests()]


def test_there_are_enough_of_them() -> None:
    assert len(HOSTILE) >= 200


@pytest.mark.parametrize("start", range(0, len(HOSTILE), 50))
def test_none_succeeds(shared: Served, start: int) -> None:
    client, before = shared.client(), shared.store.counts()
    for number, (method, path, options) in enumerate(HOSTILE[start : start + 50], start):
        what = f"{number}: {method} {path[:80]} {str(options)[:200]}"
        response = client.request(method, path, **options)
        assert 400 <= response.status_code < 500, f"{what}: {response.status_code} {response.text[:200]}"
        assert "Traceback" not in response.text, what
        assert "<script" not in response.text, what
        assert "root:" not in response.text, what
        assert response.headers["x-content-type-options"] == "nosniff", what
        if method != "HEAD":
            assert response.headers["content-type"] == "application/json", what
            assert set(response.json()["error"]) == {"message", "type", "param", "code"}, what
            assert len(response.text) < 1000, what
    assert shared.store.counts() == before
    assert not shared.results.uploads()


def test_script_is_data_wherever_it_comes_back(shared: Served) -> None:
    client = shared.client()
    graph = {**GRAPH, "objects": [{"id": "dog", "label": SCRIPT}], "prompt": SCRIPT}
    video = client.post(
        "/v1/videos", json={"prompt": f"{SCRIPT}\u202e\u2028{SCRIPT}", "negative_prompt": SCRIPT, "dsg": graph}
    )
    ident = video.json()["id"]
    assert video.json()["prompt"] == f"{SCRIPT}\u202e\u2028{SCRIPT}"
    client.post(f"/v1/videos/{ident}/cancel")
    listed = client.get("/v1/videos", params={"search": "script"})
    for answer in (video, listed, client.get(f"/v1/videos/{ident}"), client.get(f"/v1/videos/{ident}/dsg")):
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        assert "<" not in answer.text
    client.delete(f"/v1/videos/{ident}")


def test_every_hostile_request_needs_a_token_first(make: MakeServed) -> None:
    client = make(tokens=TOKENS).client()
    for method, path, options in UPLOADS[:8]:
        assert client.request(method, path, **options).status_code == 401
