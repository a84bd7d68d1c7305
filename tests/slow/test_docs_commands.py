"""The documents' commands, run as they stand there, page after page in one folder: what one makes the next ones use.

Only the number of denoising steps is smaller than the usual one. Blocks that are not run say why (tests/documents.py).
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.airgap import can_unshare
from dysenvdm.models import home
from tests.documents import ROOT, Block, command_blocks

BLOCKS = [block for block in command_blocks() if block.mark is None]
DYSENVDM = """#!/bin/sh
case " $* " in *" --steps "*|*" --edit-of "*) ;; " generate "*) set -- "$@" --steps 2;; esac
exec "{python}" -c "from dysenvdm.cli.main import main; main()" "$@"
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the commands work in, with the programs that they call in ``bin``."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "bin").mkdir()
    (folder / "bin" / "dysenvdm").write_text(DYSENVDM.format(python=sys.executable))
    (folder / "bin" / "dysenvdm").chmod(0o755)
    (folder / "work").mkdir()
    return folder


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_the_commands_do_what_they_say(block: Block, place: Path) -> None:
    environment = {
        **os.environ,
        "PATH": f"{place / 'bin'}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "HOME": str(place),
        "DYSENVDM_HOME": str(home().absolute()),
    }
    command = [*(can_unshare() or []), "sh", "-eu", "-c", block.text]
    done = subprocess.run(command, cwd=place / "work", env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
