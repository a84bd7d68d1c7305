"""The official ``openai`` client's ``client.videos``, against a real server with a worker behind it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator

import openai
import pytest

from dysenvdm.video import read_mp4
from tests.serving.api.conftest import GRAPH, TOKENS, MakeServed, Served, picture

pytestmark = pytest.mark.filterwarnings("ignore:The Sora API is scheduled:DeprecationWarning")


@pytest.fixture
def served(make: MakeServed) -> Iterator[Served]:
    one = make(tokens=TOKENS)
    with one.worker:
        yield one


@pytest.fixture
def client(served: Served, listen: Callable[[Served], str]) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{listen(served)}/v1", api_key=TOKENS["ann"], max_retries=0) as one:
        yield one


def test_create_poll_download_list_remix_delete(served: Served, client: openai.OpenAI) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # what the client says of answers that it cannot read
        video = client.videos.create_and_poll(prompt="a dog runs", seconds="2", size="64x64", poll_interval_ms=20)  # type: ignore[arg-type]
    assert (video.status, video.progress, video.error, video.object) == ("completed", 100, None, "video")
    assert (video.seconds, video.size, video.model, video.prompt) == ("2", "64x64", "stage-nano", "a dog runs")
    content = client.videos.download_content(video.id)
    file = served.settings.folder / "video.mp4"
    content.write_to_file(file)
    assert read_mp4(file).shape == (16, 64, 64, 3)
    assert client.videos.download_content(video.id, variant="thumbnail").read().startswith(b"RIFF")

    changed = client.videos.remix(video.id, prompt="a dog jumps")
    assert changed.remixed_from_video_id == video.id
    assert client.videos.poll(changed.id).status == "completed"
    assert [each.id for each in client.videos.list(limit=1)] == [changed.id, video.id]
    assert [each.id for each in client.videos.list(order="asc", limit=1)] == [video.id, changed.id]

    gone = client.videos.delete(video.id)
    assert (gone.id, gone.deleted, gone.object) == (video.id, True, "video.deleted")
    with pytest.raises(openai.NotFoundError) as missing:
        client.videos.retrieve(video.id)
    assert missing.value.code == "video_not_found"


def test_a_picture_and_our_own_fields(served: Served, client: openai.OpenAI) -> None:
    video = client.videos.create(
        prompt="a dog",
        input_reference=("dog.png", picture(64, 64), "image/png"),
        extra_body={"num_frames": 16, "num_inference_steps": 3, "planner": "none", "seed": 4},
    )
    job = served.store.get(video.id)
    assert job is not None
    assert (job.request["num_inference_steps"], job.request["seed"], job.request["planner"]) == (3, 4, None)
    assert job.request["input_reference"].startswith("upload_")


def test_a_scene_graph_through_the_clients_own_post(client: openai.OpenAI) -> None:
    answer = client.post("/videos", body={"dsg": GRAPH}, cast_to=object)
    assert isinstance(answer, dict)
    assert (answer["has_dsg"], answer["stage"]) == (True, "generate")


def test_a_failure_is_a_finished_video(client: openai.OpenAI) -> None:
    video = client.videos.create_and_poll(prompt="fail, please", poll_interval_ms=20)
    assert video.status == "failed"
    assert video.error is not None
    assert (video.error.code, video.error.message) == ("out_of_memory", "the device is too small")
    with pytest.raises(openai.ConflictError, match="the device is too small"):
        client.videos.download_content(video.id)


def test_errors_are_the_clients_own(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as wrong:
        client.videos.create(prompt="a dog", model="sora-2")
    assert (wrong.value.param, wrong.value.code, wrong.value.type) == (
        "model",
        "model_not_found",
        "invalid_request_error",
    )
    assert wrong.value.request_id
    with pytest.raises(openai.AuthenticationError):
        client.with_options(api_key="not a token").videos.list()
    assert [model.id for model in client.models.list()] == ["stage-nano"]
    assert client.models.retrieve("stage-nano").owned_by == "local"
