"""Every command in the documents is one that there is, and is run by a test or says why not."""

from __future__ import annotations

import re
import shlex
from importlib.util import find_spec

import pytest
import typer

from dysenvdm.cli.main import app
from dysenvdm.cli.reference import commands
from tests.documents import REASONS, ROOT, Block, blocks, command_blocks

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
OURS = re.compile(r"^(\S*/)?(dysenvdm|make) |^python\S* -m (benchmarks|dysenvdm|serving)", re.MULTILINE)


COMMANDS = dict(commands(typer.main.get_command(app), "dysenvdm"))


def parsed(words: list[str]) -> None:
    """Parse a ``dysenvdm`` command as it would be when run."""
    names = [" ".join(["dysenvdm", *words[:number]]) for number in (3, 2, 1)]
    name = next((name for name in names if name in COMMANDS), "")
    assert name, f"no command {words}"
    COMMANDS[name].make_context(name, words[name.count(" ") :])


@pytest.mark.parametrize("block", command_blocks(), ids=str)
def test_a_block_of_commands_is_run_or_says_why_not_and_its_commands_exist(block: Block) -> None:
    if block.mark is not None:
        kind, _, rest = block.mark.partition(": ")
        if kind == "not run":
            assert rest in REASONS
        else:
            assert kind.startswith("run by ")
            assert (ROOT / kind.removeprefix("run by ")).is_file()
    for words in block.commands:
        match words:
            case [program, *rest] if program.rpartition("/")[2] == "dysenvdm" and rest:
                parsed(rest)
            case ["make", *targets]:
                for target in targets:
                    assert "=" in target or re.search(rf"^{re.escape(target)}:", MAKEFILE, re.MULTILINE), target
            case [program, "-m", module, *_] if program.startswith("python") and module.startswith("benchmarks"):
                assert find_spec(module) is not None, module


def test_what_looks_like_a_command_is_marked_as_one() -> None:
    assert [str(block) for block in blocks() if not block.language and OURS.search(block.text)] == []


def test_every_reason_is_needed() -> None:
    given = {block.mark.removeprefix("not run: ") for block in command_blocks() if block.mark}
    assert set(REASONS) <= given


@pytest.mark.parametrize("line", ["generate a --no-such", "dsg shew x", "plan a --ticks many -o x"])
def test_a_command_that_does_not_exist_is_seen(line: str) -> None:
    with pytest.raises((typer.TyperException, AssertionError)):
        parsed(shlex.split(line))
