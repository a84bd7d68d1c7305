"""What the server tells about itself: logs without prompts, the audit log, metrics, documents, the page."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from dysenvdm.model_facts import facts
from serving.api.pages import documentation
from serving.jobs import StoreUnavailable
from tests.serving.api.conftest import MakeServed, Served

SECRET = "an unspeakable walrus"


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_logs_are_json_without_prompts(capsys: pytest.CaptureFixture[str], make: MakeServed) -> None:
    client = make().client()
    client.post("/v1/videos", json={"prompt": SECRET})
    client.post("/v1/videos", json={"prompt": SECRET, "model": SECRET})
    client.get("/v1/videos", params={"search": SECRET})
    client.get(f"/v1/videos/{SECRET}")
    text = capsys.readouterr().err
    assert "walrus" not in text
    told = [line for line in lines(text) if line["event"] == "request"]
    assert [(line["method"], line["route"], line["status"]) for line in told] == [
        ("POST", "/v1/videos", 200),
        ("POST", "/v1/videos", 400),
        ("GET", "/v1/videos", 200),
        ("GET", "/v1/videos/{id}", 404),
    ]
    assert len(told[0]["jobs"]) == 1


@pytest.mark.parametrize("log_prompts", [False, True])
def test_what_breaks_is_told_to_the_log_and_not_to_the_client(
    make: MakeServed, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, log_prompts: bool
) -> None:
    served = make(log_prompts=log_prompts)

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError(f"no luck with {SECRET}")

    monkeypatch.setattr(served.store, "add", broken)
    response = served.client().post("/v1/videos", json={"prompt": SECRET}, headers={"X-Request-ID": "find-me"})
    assert (response.status_code, response.json()["error"]["code"]) == (500, "internal_error")
    assert "walrus" not in response.text
    assert "Traceback" not in response.text
    told = next(line for line in lines(capsys.readouterr().err) if line["event"] == "request broke")
    assert (told["error"], told["request_id"]) == ("RuntimeError", "find-me")
    assert told["where"][-1].endswith("broken")
    assert ("walrus" in json.dumps(told)) is log_prompts


def test_a_database_that_does_not_answer_is_503(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> None:
        raise StoreUnavailable("locked")

    for name in ("add", "list", "waiting", "counts"):
        monkeypatch.setattr(served.store, name, away)
    client = served.client()
    answers = [client.post("/v1/videos", json={"prompt": "a"}), *map(client.get, ("/v1/videos", "/readyz", "/metrics"))]
    assert [(answer.status_code, answer.headers["retry-after"]) for answer in answers] == [(503, "2")] * 4
    assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize("log_prompts", [False, True])
def test_the_audit_log_says_who_asked_for_what(make: MakeServed, tmp_path: Path, log_prompts: bool) -> None:
    file = tmp_path / "logs" / "audit.jsonl"
    served = make(audit_log=file, log_prompts=log_prompts)
    client = served.client()
    ident = client.post("/v1/videos", json={"prompt": SECRET}).json()["id"]
    client.get("/v1/videos")
    client.delete(f"/v1/videos/{ident}")
    made, deleted = lines(file.read_text())
    assert (made["owner"], made["method"], made["made"], made["status"]) == ("local", "POST", [ident], 200)
    assert (deleted["method"], deleted["job"]) == ("DELETE", ident)
    assert made.get("prompts") == ([SECRET] if log_prompts else None)
    assert file.stat().st_mode & 0o077 == 0


def test_metrics_count_requests_and_jobs(served: Served) -> None:
    client = served.client()
    client.post("/v1/videos", json={"prompt": "a"})
    client.request("BREW", "/teapot")
    text = client.get("/metrics").text
    assert 'dysenvdm_http_requests_total{method="POST",route="/v1/videos",status="200"}' in text
    assert 'dysenvdm_http_requests_total{method="other",route="none",status="404"}' in text
    assert 'dysenvdm_jobs{kind="video",status="queued"} 1.0' in text
    assert 'dysenvdm_jobs_waiting{stage="plan"} 1.0' in text


def test_metrics_are_of_all_processes(tmp_path: Path) -> None:
    code = """if True:
        import sys
        from pathlib import Path
        from fastapi.testclient import TestClient
        from serving.app import create_app
        from serving.results import Results
        from serving.settings import Settings
        from serving.store import open_store
        settings = Settings(folder=Path(sys.argv[1]))
        app = create_app(settings, open_store(settings), Results(settings.folder))
        client = TestClient(app, base_url="http://localhost", client=("127.0.0.1", 1))
        client.get("/healthz")
        print(client.get("/metrics").text)
    """
    (tmp_path / "shared").mkdir()
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "shared")}
    for process in (1, 2):
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "server")],
            env=environment, cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True,
        )  # fmt: skip
        counted = f'dysenvdm_http_requests_total{{method="GET",route="/healthz",status="200"}} {process}.0'
        assert counted in done.stdout


def test_the_api_process_loads_no_torch() -> None:
    code = "import sys, serving.app; assert not {'torch', 'diffusers', 'transformers', 'vllm'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])


def test_the_documentation_needs_nothing_from_outside(shared: Served) -> None:
    client = shared.client()
    page, schema = client.get("/docs").text, client.get("/openapi.json").json()
    for path in schema["paths"]:
        assert f" {path}<" in page
    assert "http:" not in page
    assert "https:" not in page
    assert "<script" not in page
    assert "guidance_scale" in page
    assert set(schema["paths"]["/v1/videos"]["post"]["requestBody"]["content"]) == {
        "application/json",
        "multipart/form-data",
    }
    assert "422" not in json.dumps(schema["paths"])
    schema["info"]["title"] = "<script>alert(1)</script>"
    assert "<script" not in documentation(schema)


def test_the_page_is_served_with_its_caching(make: MakeServed, tmp_path: Path) -> None:
    page = tmp_path / "page"
    (page / "assets").mkdir(parents=True)
    (page / "index.html").write_text("<!doctype html>hello")
    (page / "icon.svg").write_text("<svg/>")
    (page / "assets" / "main-3f2a.js").write_text("1")
    (page / "assets" / "page.js").write_text("2")
    (tmp_path / "outside.js").write_text("3")
    client = make(page=page).client()
    index = client.get("/")
    assert (index.text, index.headers["cache-control"]) == ("<!doctype html>hello", "no-cache")
    assert client.get("/icon.svg").headers["content-type"].startswith("image/svg+xml")
    assert "immutable" in client.get("/assets/main-3f2a.js").headers["cache-control"]
    assert client.get("/assets/page.js").headers["cache-control"] == "no-cache"
    for path in ("/assets/../outside.js", "/assets/%2e%2e/outside.js", "/assets/..%2f..%2foutside.js", "/assets/"):
        assert client.get(path).status_code == 404


def test_a_page_that_was_not_built_says_how(make: MakeServed, tmp_path: Path) -> None:
    client: TestClient = make(page=tmp_path / "nothing").client()
    response = client.get("/")
    assert response.status_code == 503
    assert "npm run build" in response.text
    assert client.get("/icon.svg").status_code == 404


def test_what_is_known_of_a_model_is_what_its_pipeline_says() -> None:
    from dysenvdm import models
    from dysenvdm.pipeline import DysenVDMPipeline

    known, pipe = facts("stage-nano"), DysenVDMPipeline.from_pretrained(models.locate("stage-nano"))
    trained = pipe.trained
    assert (known.width, known.height, known.usual.frames, known.usual.fps) == (
        trained.width, trained.height, trained.frames, trained.fps
    )  # fmt: skip
    assert (known.usual.steps, known.usual.guidance) == (pipe.config["usual_steps"], pipe.config["usual_guidance"])
    assert known.frame_multiple == pipe.config["frame_multiple"]
    assert (known.max_steps, known.max_nodes) == (
        pipe.scheduler.config.num_train_timesteps, pipe.scene_adapter.max_nodes
    )  # fmt: skip
    side = known.side_multiple
    pipe.check_inputs(["a"], None, [0], 16, 1, side, 2 * side)
    with pytest.raises(ValueError, match=f"multiple of {side}"):
        pipe.check_inputs(["a"], None, [0], 16, 1, side, side + side // 2)
