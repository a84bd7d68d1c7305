"""The server on two Ray nodes, with PostgreSQL: what a job goes through there, and what the loss of a node does to it.

Both nodes are on this machine, each at a loopback address of its own, started as docs/scaling-out.md says.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import openai
import psutil
import pytest
import yaml

from benchmarks.postgres import Postgres
from benchmarks.serving_client import Client, audit
from benchmarks.serving_server import free_port
from serving.jobs import Job, JobStore, Stage, Status
from serving.results import Results
from serving.settings import Limits, Settings
from serving.store import open_store
from tests.serving.api.conftest import TOKENS
from tests.serving.api.test_openai_client import (
    test_create_poll_download_list_remix_delete,
    test_errors_are_the_clients_own,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.filterwarnings("ignore:The Sora API is scheduled:DeprecationWarning"),
]
__all__ = ["test_create_poll_download_list_remix_delete", "test_errors_are_the_clients_own"]
"""The API's own tests with the official client, on this server instead of their own."""

HEAD, SECOND = "127.0.0.2", "127.0.0.3"
SMALL = ("--num-gpus", "0", "--object-store-memory", "80000000")
WITNESS = """
import ipaddress, os, sys

def look(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.getaddrinfo"):
        address = arguments[0] if event == "socket.getaddrinfo" else arguments[1]
        host = address[0] if isinstance(address, tuple) else address
        if event != "socket.getaddrinfo" and not isinstance(address, tuple):
            return
        try:
            outside = not ipaddress.ip_address(host).is_loopback
        except (ValueError, TypeError):
            outside = host not in ("localhost", None, "")
        if outside and str(host) not in ("0.0.0.0", "::"):
            with open(os.environ["WITNESS"], "a") as file:
                file.write(f"{event} {host} {sys.argv[:3]}\\n")

sys.addaudithook(look)
"""
"""Every Python process of the cluster writes down whom it speaks to, or looks up, outside of this machine."""


class Node:
    """A Ray node and all that runs on it."""

    def __init__(self, log: Path, environment: Mapping[str, str], *arguments: str) -> None:
        command = [Path(sys.executable).with_name("ray"), "start", "--block", *SMALL, *arguments]
        with log.open("ab") as output:
            self._process = subprocess.Popen(list(map(str, command)), env=environment, stdout=output, stderr=output)

    def processes(self) -> list[psutil.Process]:
        if self._process.poll() is not None:
            return []
        first = psutil.Process(self._process.pid)
        return [first, *first.children(recursive=True)]

    def kill(self) -> None:
        """All at once, as when a machine loses its power."""
        found = self.processes()
        for process in found:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()
        psutil.wait_procs(found, timeout=30)

    def stop(self) -> None:
        found = self.processes()
        self._process.terminate()
        for process in psutil.wait_procs(found, timeout=30)[1]:
            process.kill()
        self._process.wait()


class Cluster:
    """Two nodes, a PostgreSQL server, and ``dysenvdm serve --ray``."""

    def __init__(self, folder: Path, postgres: Postgres) -> None:
        self.folder, self.witness = folder, folder / "witness"
        self.port, head = free_port(), free_port()
        self.address = f"{HEAD}:{head}"
        self.settings = Settings(
            folder=folder / "shared",
            database=postgres.url(),
            port=self.port,
            tokens=TOKENS,
            planners={"rules": {}},
            generators=2,
            max_batch=1,
            lease_seconds=5,
            limits=Limits(requests_per_minute=6000),  # the client's test asks every 20 ms until its video is made
        )
        (folder / "home").mkdir()
        (folder / "home" / "ray_bootstrap_config.yaml").write_text("{}")
        (folder / "python").mkdir()
        (folder / "python" / "sitecustomize.py").write_text(WITNESS)
        self.environment = os.environ | {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(16),
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_USAGE_STATS_REPORT_URL": "http://127.0.0.1:9/",
            "RAY_worker_niceness": "0",
            "HOME": str(folder / "home"),
            "PYTHONPATH": str(folder / "python"),
            "DYSENVDM_HOME": os.environ.get("DYSENVDM_HOME", str(Path.home() / ".local/share/dysenvdm")),
            "WITNESS": str(self.witness),
        }
        self.head = self._node(
            *("--head", "--node-ip-address", HEAD, "--port", str(head), "--num-cpus", "2", "--include-dashboard"),
            *("false", "--dashboard-port", str(free_port()), "--ray-client-server-port", str(free_port())),
            *("--temp-dir", str(folder / "ray")),
        )
        wait_for("the head", lambda: self.ray("status").returncode == 0)
        self.second = self._node("--address", self.address, "--node-ip-address", SECOND, "--num-cpus", "2")
        wait_for("the second node", lambda: self.ray("status").stdout.count("node_") >= 2)
        config = folder / "settings.yaml"
        config.write_text(yaml.safe_dump(self.settings.model_dump(mode="json", exclude_unset=True)))
        command = [Path(sys.executable).with_name("dysenvdm"), "serve", "--config", config, "--ray", self.address]
        with (folder / "serve.log").open("ab") as output:
            self.server = subprocess.Popen(
                list(map(str, command)), env=self.environment, stdout=output, stderr=subprocess.STDOUT
            )
        wait_for("the server", self._ready)

    def _node(self, *arguments: str) -> Node:
        return Node(self.folder / "nodes.log", self.environment, *arguments)

    def _ready(self) -> bool:
        assert self.server.poll() is None, (self.folder / "serve.log").read_text()
        with suppress(TimeoutError), self.client(patience=0) as client:
            return client.get("/readyz").status == 200
        return False

    def ray(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).with_name("ray")), *arguments, "--address", self.address]
        given = self.environment | environment
        return subprocess.run(command, env=given, capture_output=True, text=True, check=False)

    def client(self, patience: float = 120) -> Client:
        return Client(f"http://127.0.0.1:{self.port}", TOKENS["ben"], patience)

    def content(self, job: Job) -> bytes | None:
        path = Results(self.settings.folder).path(job, "video.mp4")
        return None if path is None else path.read_bytes()

    def close(self) -> None:
        if hasattr(self, "server") and self.server.poll() is None:
            self.server.send_signal(signal.SIGTERM)
            try:
                self.server.wait(60)
            except subprocess.TimeoutExpired:
                self.server.kill()
                self.server.wait()
        for node in (getattr(self, "second", None), getattr(self, "head", None)):
            if node is not None:
                node.stop()


def wait_for(what: str, there: Callable[[], bool], seconds: float = 400) -> None:
    given_up = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < given_up, f"{what} does not come"
        time.sleep(0.5)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # Ray's sockets have short names only
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        postgres = stack.enter_context(Postgres())
        made = Cluster.__new__(Cluster)
        stack.callback(made.close)
        made.__init__(folder, postgres)  # type: ignore[misc]  # what was started is ended, also where it fails half way
        yield made


@pytest.fixture(scope="module")
def store(cluster: Cluster) -> Iterator[JobStore]:
    opened = open_store(cluster.settings)
    yield opened
    opened.close()  # type: ignore[attr-defined]


@pytest.fixture
def served(cluster: Cluster, store: JobStore) -> SimpleNamespace:
    return SimpleNamespace(settings=cluster.settings, store=store)


@pytest.fixture
def client(cluster: Cluster) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"http://127.0.0.1:{cluster.port}/v1", api_key=TOKENS["ann"], max_retries=0) as one:
        yield one


def work(number: int, steps: int = 2) -> dict[str, Any]:
    prompt = "A girl in a red coat walks to the box, then she jumps over it."
    return {"prompt": prompt, "planner": "rules", "seed": number, "num_inference_steps": steps}


def at_work(store: JobStore) -> set[str]:
    """The generators that hold a job now."""
    jobs = store.list(kind="video", statuses=[Status.IN_PROGRESS], limit=100).jobs
    return {job.worker for job in jobs if job.worker and job.stage is Stage.GENERATE}


def test_a_prompt_becomes_a_plan_and_a_video(cluster: Cluster, store: JobStore) -> None:
    with cluster.client() as client:
        plan = client.create({"prompt": work(0)["prompt"], "planner": "rules"}, path="/v1/plans")
        video = client.create(work(0))
        assert set(client.wait([plan, video], every=0.3).values()) == {"completed"}
        assert client.get(f"/v1/plans/{plan}").json()["dsg"]["facts"]
        served = client.get(f"/v1/videos/{video}/content")
    job = store.get(video)
    assert job is not None
    assert served.body == cluster.content(job)
    assert b"ftyp" in served.body[:16]


def test_events_and_parts_of_a_video_come_through_rays_proxy(cluster: Cluster) -> None:
    with cluster.client() as client:
        video = client.create(work(1))
        events = client.get(f"/v1/videos/{video}/events").body.decode()  # ends with the job
        whole = client.get(f"/v1/videos/{video}/content").body
        part = client.ask("GET", f"/v1/videos/{video}/content", headers={"Range": "bytes=4-11"})
    assert "event: step" in events
    assert "event: completed" in events
    assert (part.status, part.body) == (206, whole[4:12])


def test_who_has_no_token_is_let_into_neither_the_api_nor_the_cluster(cluster: Cluster) -> None:
    with Client(f"http://127.0.0.1:{cluster.port}", "another-token-of-32-characters--") as stranger:
        assert stranger.get("/v1/videos").status == 401
    assert cluster.ray("status", RAY_AUTH_TOKEN=secrets.token_hex(16)).returncode != 0


def test_more_work_brings_another_generator_and_a_lost_node_loses_no_job(cluster: Cluster, store: JobStore) -> None:
    with cluster.client() as client:
        before = [job.id for kind in ("plan", "video") for job in store.list(kind=kind, limit=1000).jobs]  # type: ignore[arg-type]
        accepted = [client.create(work(number, steps=12)) for number in range(8)]
        wait_for("a second generator", lambda: len(at_work(store)) == 2)
        cluster.second.kill()
        assert set(client.wait(accepted, every=0.5).values()) == {"completed"}
    books = audit(store, accepted, cluster.content, others=before)
    assert books.right, books
    requeued = [job for job in accepted if any(event.kind == "requeued" for event in store.events(job))]
    assert requeued, "the node that was lost held a job"


def test_nobody_outside_was_spoken_to_or_looked_up(cluster: Cluster) -> None:
    assert not cluster.witness.exists() or not cluster.witness.read_text()
