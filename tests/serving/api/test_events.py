"""Server-sent events over a real connection: the whole story, resuming, ends and limits."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.serving.api.conftest import GRAPH, TOKENS, MakeServed, Served

Listen = Callable[[Served], str]


def story(url: str, **headers: str) -> list[tuple[int, str, dict[str, Any]]]:
    """The events of a stream until it ends: (id, name, data)."""
    found, event = [], {}
    with httpx.stream("GET", url, headers=headers, timeout=30) as response:
        assert response.status_code == 200, response.read()
        assert response.headers["content-type"].startswith("text/event-stream")
        for line in response.iter_lines():
            name, _, value = line.partition(": ")
            if line:
                event[name] = value
            elif "data" in event:
                found.append((int(event.get("id", 0)), event["event"], json.loads(event["data"])))
                event = {}
    return found


def test_a_stream_tells_everything_and_ends(served: Served, listen: Listen) -> None:
    url = listen(served)
    ident = httpx.post(f"{url}/v1/videos", json={"dsg": GRAPH}).json()["id"]
    read: list[Any] = []
    reader = threading.Thread(target=lambda: read.extend(story(f"{url}/v1/videos/{ident}/events")))
    reader.start()
    with served.worker:
        reader.join(60)
    names = [name for _, name, _ in read]
    assert (names[0], names[-1]) == ("queued", "completed")
    assert [data["data"]["step"] for _, name, data in read if name == "step"] == [1, 2, 3, 4]
    numbers = [number for number, _, _ in read]
    assert numbers == sorted(set(numbers))
    progress = [data["progress"] for _, _, data in read]
    assert progress == sorted(progress)
    assert read[-1][2]["status"] == "completed"
    preview = next(data["preview"] for _, name, data in read if name == "preview")
    assert httpx.get(f"{url}{preview}").headers["content-type"] == "image/webp"

    for cut in (1, len(read) - 1):  # whoever was cut off goes on where he was
        number = read[cut - 1][0]
        rest = story(f"{url}/v1/videos/{ident}/events", **{"Last-Event-ID": str(number)})
        assert [each[:2] for each in rest] == [each[:2] for each in read[cut:]]
    over = httpx.get(f"{url}/v1/videos/{ident}/events", headers={"Last-Event-ID": str(numbers[-1])})
    assert (over.status_code, over.content) == (204, b"")
    assert httpx.get(f"{url}/v1/videos/{ident}/events", headers={"Last-Event-ID": "x"}).status_code == 400


def test_plans_have_events_too(served: Served, listen: Listen) -> None:
    url = listen(served)
    with served.worker:
        ident = httpx.post(f"{url}/v1/plans", json={"prompt": "a dog"}, timeout=60).json()["id"]
    assert story(f"{url}/v1/plans/{ident}/events")[-1][1] == "completed"
    assert httpx.get(f"{url}/v1/videos/{ident}/events").status_code == 404


def test_a_job_that_is_deleted_ends_its_stream(served: Served, listen: Listen) -> None:
    url = listen(served)
    ident = httpx.post(f"{url}/v1/videos", json={"prompt": "a dog"}).json()["id"]
    with httpx.stream("GET", f"{url}/v1/videos/{ident}/events", timeout=30) as response:
        lines = response.iter_lines()
        assert "event: queued" in [next(lines) for _ in range(3)]
        httpx.delete(f"{url}/v1/videos/{ident}")
        assert "event: deleted" in list(lines)


def test_streams_are_limited_by_token_and_closed_ones_do_not_count(make: MakeServed, listen: Listen) -> None:
    served = make(tokens=TOKENS, limits={"event_streams": 2})
    url = listen(served)
    clients = {name: httpx.Client(headers={"Authorization": f"Bearer {token}"}) for name, token in TOKENS.items()}
    events = {
        name: f"{url}/v1/videos/{client.post(f'{url}/v1/videos', json={'prompt': 'a dog'}).json()['id']}/events"
        for name, client in clients.items()
    }
    first, second = (clients["ann"].stream("GET", events["ann"]) for _ in range(2))
    with first as one:
        assert one.status_code == 200
        with second as two:
            assert two.status_code == 200
            refused = clients["ann"].get(events["ann"])
            assert (refused.status_code, refused.json()["error"]["code"]) == (429, "too_many_streams")
            with clients["ben"].stream("GET", events["ben"]) as other:
                assert other.status_code == 200
        for _ in range(100):  # the server notices a closed connection a little later
            with clients["ann"].stream("GET", events["ann"]) as again:
                if again.status_code == 200:
                    break
        else:
            pytest.fail("a closed stream still counts")
    for client in clients.values():
        client.close()
