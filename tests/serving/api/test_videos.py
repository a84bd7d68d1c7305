"""``/v1/videos`` from the question to the file."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from dysenvdm.video import read_mp4
from serving.jobs import JobError, Stage
from tests.serving.api.conftest import GRAPH, MakeServed, Served, picture

DEFAULTS = {
    "model": "stage-nano",
    "planner": "smollm2",
    "size": "64x64",
    "num_frames": 16,
    "fps": 8,
    "seconds": "2",
    "num_inference_steps": 25,
    "guidance_scale": 2.5,
    "scene_guidance": 2.5,
    "negative_prompt": "",
    "seed": 0,
    "ticks": 8,
    "imagined_weight": 1.0,
}


def make_video(client: TestClient, **fields: Any) -> dict[str, Any]:
    response = client.post("/v1/videos", json={"prompt": "a dog runs", **fields})
    assert response.status_code == 200, response.text
    return dict(response.json())


def error(response: Any) -> dict[str, Any]:
    body = response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"message", "type", "param", "code"}
    return dict(body["error"])


def test_what_is_left_out_is_the_models_own(client: TestClient) -> None:
    video = make_video(client)
    assert {name: video[name] for name in DEFAULTS} == DEFAULTS
    assert (video["object"], video["status"], video["progress"], video["stage"]) == ("video", "queued", 0, "plan")


def test_what_is_said_is_what_the_worker_reads(served: Served) -> None:
    said = {
        "prompt": "two dogs", "planner": "rules", "seed": 7, "size": "128x96", "num_frames": 32, "fps": 16, "ticks": 4,
        "num_inference_steps": 3, "guidance_scale": 3.5, "scene_guidance": 4, "negative_prompt": "rain",
        "scheduler": "unipc", "scene_mode": "broadcast", "imagined_weight": 0.5, "priority": -2,
    }  # fmt: skip
    video = make_video(served.client(), **said)
    job = served.store.get(video["id"])
    assert job is not None
    assert job.request == {
        **{key: value for key, value in said.items() if key not in ("size", "scene_guidance", "priority")},
        "model": "stage-nano", "width": 128, "height": 96, "scene_guidance_scale": 4, "input_reference": None,
    }  # fmt: skip
    assert job.cost == 32 * 128 * 96 * 3
    assert (job.priority, job.owner, video["size"], video["seconds"]) == (-2, "local", "128x96", "2")


@pytest.mark.parametrize(
    ("seconds", "fps", "frames"), [("2", 8, 16), (2, 8, 16), ("0.1", 8, 4), (1.9, 8, 16), ("4", 12, 48)]
)
def test_seconds_become_the_nearest_number_of_frames(shared: Served, seconds: Any, fps: int, frames: int) -> None:
    assert make_video(shared.client(), seconds=seconds, fps=fps, planner=None)["num_frames"] == frames


def test_a_scene_graph_is_generated_without_a_planner(served: Served) -> None:
    video = make_video(served.client(), dsg=GRAPH, prompt="a dog hurries")
    job = served.store.get(video["id"])
    assert job is not None
    assert (job.stage, job.dsg, job.request["planner"], job.request["ticks"]) == (Stage.GENERATE, GRAPH, None, 8)
    assert served.client().post("/v1/videos", json={"dsg": GRAPH}).json()["prompt"] == GRAPH["prompt"]


@pytest.mark.parametrize("planner", [None, "none"])
def test_without_a_planner_the_prompt_alone_is_generated(served: Served, planner: str | None) -> None:
    video = make_video(served.client(), planner=planner)
    job = served.store.get(video["id"])
    assert job is not None
    assert (job.stage, job.dsg, video["planner"]) == (Stage.GENERATE, None, None)
    assert error(served.client().get(f"/v1/videos/{job.id}/dsg"))["code"] == "no_dsg"


def test_compatible_videos_have_one_batch_key(served: Served) -> None:
    client = served.client()

    def key(**fields: Any) -> str | None:
        job = served.store.get(make_video(client, **fields)["id"])
        assert job is not None
        return job.batch_key

    assert key(seed=1) == key(seed=2, prompt="a cat sits") == key(dsg=GRAPH)
    assert len({key(), key(num_inference_steps=5), key(planner=None), key(num_frames=32)}) == 4


WRONG = [
    ({}, "prompt", "missing_field", "sentence"),
    ({"prompt": "   "}, "prompt", "invalid_value", "at least 1"),
    ({"prompt": "x" * 2001}, "prompt", "invalid_value", "2000"),
    ({"prompt": "a\u0000b"}, "prompt", "invalid_value", "pattern"),
    ({"prompt": "x", "model": "sora-2"}, "model", "model_not_found", "stage-nano"),
    ({"prompt": "x", "planner": "gpt"}, "planner", "planner_not_found", "smollm2, rules"),
    ({"prompt": "x", "planner": "rules", "dsg": GRAPH}, "planner", "conflicting_fields", "leave one"),
    ({"prompt": "x", "size": "64"}, "size", "invalid_value", "pattern"),
    ({"prompt": "x", "size": "70x64"}, "size", "invalid_value", "multiple of 16"),
    ({"prompt": "x", "size": "0x64"}, "size", "invalid_value", "multiple of 16"),
    ({"prompt": "x", "size": "2048x64"}, "size", "limit_exceeded", "1024"),
    ({"prompt": "x", "num_frames": 18}, "num_frames", "invalid_value", "multiple of 4"),
    ({"prompt": "x", "num_frames": 4}, "num_frames", "invalid_value", "8 ticks"),
    ({"prompt": "x", "num_frames": 512}, "num_frames", "limit_exceeded", "256"),
    ({"prompt": "x", "seconds": "2", "num_frames": 16}, "seconds", "conflicting_fields", "either"),
    ({"prompt": "x", "seconds": "0"}, "seconds", "invalid_value", "more than 0"),
    ({"prompt": "x", "num_inference_steps": 101}, "num_inference_steps", "limit_exceeded", "100"),
    ({"prompt": "x", "num_frames": 256, "size": "1024x1024", "num_inference_steps": 99}, "size", "limit_exceeded", ""),
    ({"prompt": "x", "guidance_scale": 1, "negative_prompt": "rain"}, "negative_prompt", "invalid_value", "no effect"),
    ({"prompt": "x", "planner": None, "scene_mode": "prompts"}, "scene_mode", "invalid_value", "planner or a dsg"),
    ({"prompt": "x", "scene_mode": "prompts", "imagined_weight": 2}, "imagined_weight", "invalid_value", "weighed"),
    ({"prompt": "x", "seed": -1}, "seed", "invalid_value", "greater than or equal"),
    ({"prompt": "x", "scheduler": "euler"}, "scheduler", "invalid_value", "unipc"),
    ({"prompt": "x", "colour": 1}, "colour", "unknown_field", "no such field"),
    ({"prompt": "x", "dsg": {"ticks": 4}}, "/dsg/format", "invalid_dsg", "missing"),
    ({"prompt": "x", "dsg": {**GRAPH, "ticks": 4}}, "/dsg/facts/0/end", "invalid_dsg", "beyond"),
    ({"prompt": "x", "dsg": {**GRAPH, "tick": 4}}, "/dsg/tick", "invalid_dsg", "not permitted"),
    ({"prompt": "x", "dsg": {**GRAPH, "objects": [{"id": "dog"}]}}, "/dsg/objects/0/label", "invalid_dsg", "required"),
    (
        {"prompt": "x", "dsg": {**GRAPH, "facts": [{**GRAPH["facts"][0], "subject": "cat"}]}},
        "/dsg/facts/0/subject", "invalid_dsg", "no object has the id",
    ),
    ({"prompt": "x", "dsg": {**GRAPH, "ticks": 1024}}, "num_frames", "invalid_value", "1024 ticks"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "param", "code", "words"), WRONG)
def test_what_cannot_be_made_is_refused_by_name(
    shared: Served, body: dict[str, Any], param: str, code: str, words: str
) -> None:
    before = shared.store.counts()
    response = shared.client().post("/v1/videos", json=body)
    assert response.status_code == 400
    found = error(response)
    assert (found["param"], found["code"], found["type"]) == (param, code, "invalid_request_error")
    assert words in found["message"]
    assert shared.store.counts() == before


def test_a_graph_with_too_many_nodes_is_refused_before_it_waits(client: TestClient) -> None:
    objects = [{"id": f"dog_{i}", "label": "dog"} for i in range(200)]
    facts = [{**GRAPH["facts"][0], "subject": thing["id"]} for thing in objects]
    response = client.post("/v1/videos", json={"dsg": {**GRAPH, "objects": objects, "facts": facts}})
    assert (response.status_code, error(response)["code"]) == (400, "limit_exceeded")


def test_a_video_is_planned_made_and_watched(served: Served) -> None:
    client = served.client()
    ident = make_video(client)["id"]
    assert error(client.get(f"/v1/videos/{ident}/content"))["code"] == "not_ready"
    assert error(client.get(f"/v1/videos/{ident}/dsg"))["code"] == "not_ready"
    assert client.get(f"/v1/videos/{ident}").headers["openai-poll-after-ms"].isdecimal()
    served.worker.work_once()
    video = client.get(f"/v1/videos/{ident}")
    assert "openai-poll-after-ms" not in video.headers
    facts = video.json()
    assert (facts["status"], facts["progress"], facts["error"], facts["has_dsg"]) == ("completed", 100, None, True)
    assert facts["created_at"] <= facts["completed_at"] < facts["expires_at"]
    assert client.get(f"/v1/videos/{ident}/dsg").json() == GRAPH
    content = client.get(f"/v1/videos/{ident}/content")
    assert (content.headers["content-type"], content.headers["accept-ranges"]) == ("video/mp4", "bytes")
    file = served.settings.folder / "downloaded.mp4"
    file.write_bytes(content.content)
    assert read_mp4(file).shape == (16, 64, 64, 3)
    for variant, kind in (("thumbnail", "image/webp"), ("spritesheet", "image/jpeg")):
        assert client.get(f"/v1/videos/{ident}/content?variant={variant}").headers["content-type"] == kind
    assert client.get(f"/v1/videos/{ident}/content?variant=audio").status_code == 400
    assert client.get(f"/v1/videos/{ident}/preview").headers["content-type"] == "image/webp"


def test_content_comes_in_ranges_and_only_when_it_changed(served: Served) -> None:
    client = served.client()
    url = f"/v1/videos/{make_video(client)['id']}/content"
    served.worker.work_once()
    whole = client.get(url)
    part = client.get(url, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, whole.content[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(whole.content)}"
    size = client.head(url)
    assert (size.status_code, size.headers["content-length"], size.content) == (200, str(len(whole.content)), b"")
    assert client.get(url, headers={"Range": f"bytes={10**9}-"}).status_code == 416
    tag = whole.headers["etag"]
    again = client.get(url, headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get(url, headers={"If-None-Match": '"other"'}).status_code == 200
    other = client.get(url, headers={"Range": "bytes=0-1", "If-Range": '"other"'})
    assert other.status_code == 200
    assert client.get(f"{url}?variant=thumbnail").headers["etag"] != tag


def test_a_failed_job_is_no_failed_request(served: Served) -> None:
    client = served.client()
    ident = make_video(client, prompt="fail, please")["id"]
    served.worker.work_once()
    response = client.get(f"/v1/videos/{ident}")
    assert response.status_code == 200
    assert (response.json()["status"], response.json()["progress"]) == ("failed", 99)
    assert response.json()["error"] == {"code": "out_of_memory", "message": "the device is too small"}
    content = client.get(f"/v1/videos/{ident}/content")
    assert (content.status_code, error(content)["code"]) == (409, "job_failed")


def test_expired_content_is_gone_and_the_recipe_stays(served: Served) -> None:
    client = served.client()
    ident = make_video(client)["id"]
    served.worker.work_once()
    served.store.expire([ident])
    served.results.delete(ident)
    content = client.get(f"/v1/videos/{ident}/content")
    assert (content.status_code, error(content)["code"]) == (410, "content_expired")
    assert client.get(f"/v1/videos/{ident}").json()["expired"] is True
    assert client.get(f"/v1/videos/{ident}/dsg").json() == GRAPH


def test_cancel_before_and_after(served: Served) -> None:
    client = served.client()
    ident = make_video(client)["id"]
    assert client.post(f"/v1/videos/{ident}/cancel").json()["status"] == "cancelled"
    assert not served.worker.work_once()
    content = client.get(f"/v1/videos/{ident}/content")
    assert (content.status_code, error(content)["code"]) == (409, "job_cancelled")
    done = make_video(client)["id"]
    served.worker.work_once()
    assert client.post(f"/v1/videos/{done}/cancel").json()["status"] == "completed"


def test_deleting_takes_the_files_too(served: Served) -> None:
    client = served.client()
    ident = make_video(client)["id"]
    served.worker.work_once()
    assert list((served.settings.folder / "results").iterdir())
    assert client.delete(f"/v1/videos/{ident}").json() == {"id": ident, "deleted": True, "object": "video.deleted"}
    assert not list((served.settings.folder / "results").iterdir())
    for path in (ident, f"{ident}/content", f"{ident}/dsg", f"{ident}/events"):
        response = client.get(f"/v1/videos/{path}")
        assert (response.status_code, error(response)["code"]) == (404, "video_not_found")
    assert client.delete(f"/v1/videos/{ident}").status_code == 404


def test_lists_go_on_after_a_cursor_and_find_words(client: TestClient) -> None:
    idents = [make_video(client, prompt=f"a {thing} falls")["id"] for thing in ("dog", "cat", "cow")]
    first = client.get("/v1/videos", params={"limit": 2}).json()
    assert [video["id"] for video in first["data"]] == idents[:0:-1]
    assert (first["has_more"], first["last_id"]) == (True, idents[1])
    rest = client.get("/v1/videos", params={"limit": 2, "after": first["last_id"]}).json()
    assert ([video["id"] for video in rest["data"]], rest["has_more"]) == (idents[:1], False)
    upwards = client.get("/v1/videos", params={"order": "asc"}).json()
    assert [video["id"] for video in upwards["data"]] == idents
    found = client.get("/v1/videos", params={"search": "CAT falls"}).json()
    assert [video["id"] for video in found["data"]] == [idents[1]]
    client.post(f"/v1/videos/{idents[0]}/cancel")
    cancelled = client.get("/v1/videos", params={"status": "cancelled"}).json()
    assert [video["id"] for video in cancelled["data"]] == idents[:1]
    for wrong in ({"limit": 0}, {"limit": 101}, {"order": "up"}, {"after": "../x"}, {"after": "video_0"}, {"page": 2}):
        assert client.get("/v1/videos", params=wrong).status_code == 400, wrong


def test_remix_with_a_prompt_plans_anew_with_the_same_seed(served: Served) -> None:
    client = served.client()
    original = make_video(client, seed=5, num_inference_steps=7)
    served.worker.work_once()
    changed = client.post(f"/v1/videos/{original['id']}/remix", json={"prompt": "a dog jumps"}).json()
    assert (changed["remixed_from_video_id"], changed["seed"], changed["num_inference_steps"]) == (original["id"], 5, 7)
    assert (changed["prompt"], changed["stage"], changed["has_dsg"]) == ("a dog jumps", "plan", False)


def test_remix_with_an_edited_graph_or_other_settings_keeps_the_plan(served: Served) -> None:
    client = served.client()
    original = make_video(client, seed=5)
    served.worker.work_once()
    url = f"/v1/videos/{original['id']}/remix"
    edited = {**GRAPH, "facts": [{**GRAPH["facts"][0], "end": 4}]}
    job = served.store.get(client.post(url, json={"dsg": edited}).json()["id"])
    assert job is not None
    assert (job.stage, job.dsg, job.request["seed"]) == (Stage.GENERATE, edited, 5)
    other = client.post(url, json={"num_inference_steps": 3}).json()
    assert (other["stage"], other["has_dsg"], other["planner"]) == ("generate", True, "smollm2")
    assert client.post(url, json={"planner": None}).json()["has_dsg"] is False
    assert client.post(url, json={"guidance_scale": 3}).json()["scene_guidance"] == 3
    assert error(client.post(url, json={}))["code"] == "missing_field"
    assert client.post(url, json={"dsg": {**GRAPH, "ticks": 2}}).status_code == 400


def test_an_idempotency_key_makes_one_job(client: TestClient) -> None:
    headers = {"Idempotency-Key": "try-1"}
    first, second = (client.post("/v1/videos", json={"prompt": "a dog"}, headers=headers) for _ in range(2))
    assert first.json()["id"] == second.json()["id"]
    other = client.post("/v1/videos", json={"prompt": "a cat"}, headers=headers)
    assert (other.status_code, error(other)["code"]) == (409, "idempotency_key_reused")
    assert client.post("/v1/videos", json={"prompt": "a"}, headers={"Idempotency-Key": "x" * 201}).status_code == 400


def test_a_form_with_a_picture_as_openais_client_sends_it(served: Served) -> None:
    client = served.client()
    fields = {"prompt": "a dog", "seconds": "2", "num_inference_steps": "3", "planner": "none"}
    photo = ("photo.jpg", picture(320, 320, "JPEG"), "image/jpeg")
    response = client.post("/v1/videos", data=fields, files={"input_reference": photo})
    assert response.status_code == 200, response.text
    job = served.store.get(response.json()["id"])
    assert job is not None
    upload = served.results.upload(job.request["input_reference"])
    assert upload is not None
    with Image.open(upload) as kept:
        assert (kept.format, kept.size, kept.getpixel((5, 5))) == ("PNG", (64, 64), (254, 0, 0))
    other = client.post(f"/v1/videos/{job.id}/remix", json={"size": "128x128"})
    assert (other.status_code, error(other)["param"]) == (400, "size")
    again = client.post(f"/v1/videos/{job.id}/remix", json={"prompt": "a cat"})
    changed = served.store.get(again.json()["id"])
    assert changed is not None
    assert changed.request["input_reference"] == job.request["input_reference"]
    assert (job.batch_key, job.request["num_inference_steps"], job.request["planner"]) == (None, 3, None)


def test_what_else_was_in_the_picture_is_not_kept(served: Served) -> None:
    from PIL.PngImagePlugin import PngInfo

    notes = PngInfo()
    notes.add_text("comment", "where it was taken")
    photo = ("x.png", picture(64, 64, pnginfo=notes) + b"<script>", "image/png")
    response = served.client().post("/v1/videos", data={"prompt": "a"}, files={"input_reference": photo})
    job = served.store.get(response.json()["id"])
    assert job is not None
    upload = served.results.upload(job.request["input_reference"])
    assert upload is not None
    assert not any(words in upload.read_bytes() for words in (b"taken", b"script"))


@pytest.mark.parametrize(
    ("content", "status", "words"),
    [
        (b"", 415, "no picture"),
        (b"<svg/>", 415, "no picture"),
        (picture(64, 64, "GIF"), 415, "no picture"),
        (picture(64, 64)[:60], 400, "broken"),
        (picture(64, 32), 400, "another aspect"),
        (picture(8000, 8000), 400, "pixels"),
    ],
    ids=["empty", "svg", "gif", "truncated", "aspect", "large"],
)
def test_uploads_that_are_no_fitting_picture(shared: Served, content: bytes, status: int, words: str) -> None:
    before = shared.store.counts()
    response = shared.client().post("/v1/videos", data={"prompt": "a"}, files={"input_reference": ("a.png", content)})
    assert response.status_code == status, response.text
    assert words in error(response)["message"]
    assert not shared.results.uploads()
    assert shared.store.counts() == before


def test_forms_are_read_strictly(shared: Served) -> None:
    client = shared.client()

    def post(data: Any, files: Any = None) -> dict[str, Any]:
        response = client.post("/v1/videos", data=data, files=files or {"x": (None, "")})
        assert response.status_code == 400
        return error(response)

    assert post({"prompt": "a"})["param"] == "x"
    assert "not fetched" in post({"prompt": "a", "input_reference[image_url]": "http://127.0.0.1/a.png"})["message"]
    assert "not fetched" in post({"prompt": "a", "input_reference": "/etc/passwd"})["message"]
    assert "more than once" in post({"prompt": ["a", "b"]})["message"]
    assert post({"prompt": "a"}, {"video": ("a.mp4", b"x")})["code"] == "unknown_field"
    assert post({"prompt": "a", "dsg": "{"})["code"] == "invalid_dsg"


def test_a_form_may_carry_a_scene_graph(served: Served) -> None:
    import json

    files = {"dsg": (None, json.dumps(GRAPH)), "seed": (None, "3")}
    video = served.client().post("/v1/videos", files=files).json()
    job = served.store.get(video["id"])
    assert job is not None
    assert (job.dsg, job.request["seed"]) == (GRAPH, 3)


def test_a_full_queue_says_so(make: MakeServed) -> None:
    client = make(limits={"queued_jobs": 2}).client()
    for _ in range(2):
        make_video(client)
    response = client.post("/v1/videos", json={"prompt": "one more"})
    assert (response.status_code, error(response)["code"]) == (429, "queue_full")
    assert "retry-after" in response.headers


def test_messages_of_workers_are_shown_in_ascii(served: Served) -> None:
    client = served.client()
    ident = make_video(client, dsg=GRAPH)["id"]
    served.store.claim(Stage.GENERATE, "w", lease=60)
    served.store.fail(ident, "w", JobError(code="x", message="\u202e<b>\n"))
    assert "<" not in client.get(f"/v1/videos/{ident}").text
    assert "<" not in client.get(f"/v1/videos/{ident}/content").text
