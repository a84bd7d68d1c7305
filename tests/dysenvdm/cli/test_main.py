"""The command as a whole: help is quick, mistakes are one line."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from dysenvdm import __version__
from dysenvdm.cli.console import plain
from dysenvdm.cli.main import COMMANDS, OFFLINE


def test_no_command_and_help_list_every_command(run) -> None:
    for arguments in ([], ["--help"]):
        done = run(*arguments)
        assert done.code == 0
        assert all(command in done.out for command in COMMANDS)


def test_version(run) -> None:
    assert run("--version").out.strip() == __version__


@pytest.mark.parametrize("arguments", [["nothing"], ["dsg"], ["dsg", "nothing"], ["plan"], ["generate", "--seed", "x"]])
def test_a_wrong_call_is_answered_by_one_line(run, arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.code == 2
    [line] = done.err.strip().splitlines()
    assert line.startswith("error: ")
    assert line.endswith("(see --help)")


def test_every_command_sets_the_libraries_offline(run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in OFFLINE:
        monkeypatch.setenv(name, "0")
    run("--version")
    assert {name: os.environ[name] for name in OFFLINE} == OFFLINE


def test_help_takes_less_than_a_second_of_processor_time() -> None:
    code = "from dysenvdm.cli.main import main; main(['--help'])"
    before = os.times()
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    after = os.times()
    assert after.children_user + after.children_system - before.children_user - before.children_system < 1.0


def test_text_from_files_cannot_command_the_terminal() -> None:
    assert plain("a\x1b[31mb\rc\n") == "a\ufffd[31mb\ufffdc\ufffd"
    assert plain("犬 · é") == "犬 · é"
