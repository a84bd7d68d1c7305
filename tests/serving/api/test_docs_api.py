"""docs/api.md: every example in it is run against a server, in order."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from serving.api.schemas import VideoOptions
from tests.serving.api.conftest import TOKENS, MakeServed, Served, picture

DOCUMENT = (Path(__file__).parents[3] / "docs" / "api.md").read_text(encoding="utf-8")
TOKEN = TOKENS["ann"]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", DOCUMENT, re.DOTALL)


def test_the_curl_examples_work(make: MakeServed, listen: Callable[[Served], str], tmp_path: Path) -> None:
    served = make()
    url = listen(served)
    (tmp_path / "first.png").write_bytes(picture(64, 64))
    with served.worker:
        made = httpx.post(f"{url}/v1/videos", json={"prompt": "A girl jumps."}).json()
        while httpx.get(f"{url}/v1/videos/{made['id']}").json()["status"] != "completed":
            pass
        # curl says nothing of status codes unless it is told to fail.
        script = "\n".join(blocks("bash")).replace("curl -s", "curl --fail-with-body -s")
        environment = {**os.environ, "URL": url, "ID": made["id"], "TOKEN": TOKEN}
        done = subprocess.run(
            ["bash", "-e", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "event: completed" in done.stdout
    assert (tmp_path / "video.mp4").read_bytes()[4:8] == b"ftyp"
    assert json.loads((tmp_path / "plan.json").read_text())["dsg"]["format"] == "dysenvdm.dsg/1"


def test_the_clients_example_works(make: MakeServed, listen: Callable[[Served], str], tmp_path: Path) -> None:
    served = make(tokens=TOKENS)
    (code,) = blocks("python")
    with served.worker:
        prepared = f"URL, TOKEN = {listen(served)!r}, {TOKEN!r}\n{code}"
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", prepared], cwd=tmp_path, capture_output=True, text=True, timeout=120
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("completed None\nvideo_")


def test_the_error_is_one_that_the_server_gives(shared: Served) -> None:
    (shown,) = blocks("json")
    fact = {"subject": "dog", "predicate": "run", "start": 0, "end": 9, "source": "user"}
    graph = {"format": "dysenvdm.dsg/1", "ticks": 4, "objects": [{"id": "dog", "label": "dog"}], "facts": [fact]}
    assert shared.client().post("/v1/videos", json={"prompt": "a", "dsg": graph}).json() == json.loads(shown)


@pytest.mark.parametrize("name", [*VideoOptions.model_fields, "prompt", "input_reference", "priority"])
def test_every_field_is_explained(name: str) -> None:
    assert f"`{name}`" in DOCUMENT
