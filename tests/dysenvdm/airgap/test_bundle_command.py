"""`dysenvdm bundle`, as it is typed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from dysenvdm.cli.main import main


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Runs a command; gives its exit code and all that it said, in one line."""

    def call(*words: object) -> tuple[int, str]:
        with pytest.raises(SystemExit) as end:
            main(["bundle", *map(str, words)])
        said = capsys.readouterr()
        assert isinstance(end.value.code, int | None)
        return end.value.code or 0, " ".join((said.out + said.err).split())

    return call


Run = Callable[..., tuple[int, str]]


def test_verify_says_what_is_wrong_and_exits_with_1(run: Run, plain: Path, key: Path) -> None:
    code, said = run("verify", plain, "--key", key.with_suffix(".pub"))
    assert (code, "error" in said) == (0, False)
    (plain / "added").write_text("x")
    code, said = run("verify", plain)
    assert code == 1
    assert "'added': a file that the manifest does not know" in said
    code, said = run("verify", plain, "--json")
    assert {row["level"] for row in json.loads(said)} == {"ok", "note", "error"}
    assert run("verify", plain / "absent")[0] == 2


@pytest.mark.usefixtures("world")
def test_from_a_key_to_an_upgrade(run: Run, order: Callable[..., object], tmp_path: Path) -> None:
    assert run("key", tmp_path / "lab.key")[0] == 0
    public, prefix = tmp_path / "lab.pub", tmp_path / "p"
    for number, version in enumerate(("0.1.0", "0.2.0")):
        wanted = order(tmp_path / version, version=version)
        words = ["-o", tmp_path / version, "--wheel", wanted.wheel, "--constraints", wanted.wanted.constraints]  # type: ignore[attr-defined]
        words += ["--model", "tiny-model", "--key", tmp_path / "lab.key", *(["--volume-size", "20K"] * number)]
        code, said = run("create", *words)
        assert code == 0, said
        assert "2 packages" in said
        code, said = run("install", tmp_path / version, "--prefix", prefix, "--key", public)
        assert code == 0, said
        assert "current/bin/dysenvdm" in said
    code, said = run("diff", tmp_path / "0.1.0", prefix / "current")
    assert code == 1
    assert "package dysenvdm 0.1.0 0.2.0" in said
    assert run("diff", tmp_path / "0.2.0", prefix / "current") == (
        0,
        run("diff", tmp_path / "0.2.0", prefix / "current")[1],
    )
    code, said = run("versions", "--prefix", prefix, "--json")
    states = json.loads(said)
    assert code == 0
    assert [name[:5] for name in states] == ["0.2.0", "0.1.0"]
    assert run("use", list(states)[1], "--prefix", prefix)[0] == 0
    assert (prefix / "current").resolve().name.startswith("0.1.0")
    shutil.rmtree(next((prefix / "current" / "venv" / "lib").glob("*/site-packages/tiny_part-*")))
    code, said = run("versions", "--prefix", prefix)
    assert code == 1
    assert "package tiny-part 1.0 is missing" in said


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["create", "-o", "b", "--volume-size", "0"], "give a number of bytes"),
        (["create", "-o", "b", "--no-models", "--model", "x"], "exclude each other"),
        (["create", "-o", "b", "--file", "absent"], "absent: no such file"),
        (["create", "-o", "b", "--key", "absent"], "absent: not a private key"),
        (["install", "absent", "--prefix", "p"], "manifest.json: cannot be read"),
        (["diff", "absent", "absent"], "manifest.json: cannot be read"),
        (["versions", "--prefix", "absent"], "no versions there"),
        (["use", "x", "--prefix", "absent"], "no version 'x' (there are: none)"),
    ],
)
def test_mistakes_are_one_line(
    run: Run, words: list[str], error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, said = run(*words)
    assert code == 2
    assert error in said
    assert not list(tmp_path.iterdir()), "a mistake made something"
