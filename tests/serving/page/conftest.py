"""A real server with a quick fake worker, and a Chromium that looks at its page."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import uvicorn
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page

from serving.app import UVICORN, create_app
from serving.results import Results
from serving.settings import Settings
from serving.store import open_store
from tests.serving.page.driving import PATIENCE_SECONDS
from tests.serving.page.worker import FakeWorker

DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 360, "height": 740}


@dataclass
class Server:
    url: str
    store: Any
    results: Results
    worker: FakeWorker
    stop: Callable[[], None]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts a server; settings as keywords, ``worker=False`` leaves jobs in the queue."""
    running: list[Server] = []

    def start(worker: bool = True, **settings: Any) -> Server:
        folder = tmp_path / f"server-{len(running)}"
        folder.mkdir(exist_ok=True)
        given = Settings.model_validate(
            {"folder": folder, "port": 0, "planners": {"rules": {}, "smollm2": {}}, **settings}
        )
        store, results = open_store(given), Results(folder)
        app = create_app(given, store, results)
        server = uvicorn.Server(uvicorn.Config(app, host=given.host, port=given.port, **UVICORN))
        thread = threading.Thread(target=server.run)
        thread.start()
        while not server.started:
            assert thread.is_alive()
        port = server.servers[0].sockets[0].getsockname()[1]
        fake = FakeWorker(store, results)

        def stop() -> None:
            fake.stop()
            server.should_exit = server.force_exit = True
            thread.join()
            store.close()

        if worker:
            fake.start()
        running.append(Server(f"http://127.0.0.1:{port}", store, results, fake, stop))
        return running[-1]

    yield start
    for each in running:
        each.stop()


@pytest.fixture
def server(serve: Callable[..., Server]) -> Server:
    return serve()


@dataclass
class Visit:
    """What a browser did: the tests say what may go wrong, everything else fails them."""

    page: Page
    context: BrowserContext
    errors: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)
    """Parts of console errors that a test provokes."""

    def check(self) -> None:
        unexpected = [each for each in self.errors if not any(part in each for part in self.expected)]
        assert unexpected == []
        assert self.elsewhere == []


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Callable[..., Visit]]:
    """Opens a page; at the end no console error and no request to another origin may have been there."""
    visits: list[Visit] = []

    def open_(url: str, **options: Any) -> Visit:
        context = chromium.new_context(**{"viewport": DESKTOP, "reduced_motion": "reduce", **options})
        context.set_default_timeout(PATIENCE_SECONDS * 1000)
        page = context.new_page()
        seen = Visit(page, context)
        origin = urlsplit(url).netloc

        def on_request(request: Any) -> None:
            where = urlsplit(request.url)
            if where.netloc != origin and where.scheme != "about":
                seen.elsewhere.append(request.url)

        context.on("request", on_request)
        page.on("console", lambda message: seen.errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: seen.errors.append(str(error)))
        page.goto(url)
        visits.append(seen)
        return seen

    yield open_
    for each in visits:
        each.context.close()
    for each in visits:
        each.check()


@pytest.fixture(scope="session")
def png() -> bytes:
    """A picture as a person might choose it: larger than the video, and not square."""
    buffer = io.BytesIO()
    Image.new("RGB", (96, 64), (200, 40, 40)).save(buffer, "PNG")
    return buffer.getvalue()
