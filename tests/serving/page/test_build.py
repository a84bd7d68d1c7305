"""The page that ships is the one that its source makes."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
WEB, BUILT = ROOT / "web", ROOT / "serving" / "page"


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_build_gives_the_same_bytes(tmp_path: Path) -> None:
    if shutil.which("node") is None or not (WEB / "node_modules").is_dir():
        pytest.skip("no node, or web/node_modules is missing: make page")
    command = [WEB / "node_modules" / ".bin" / "vite", "build", "--outDir", tmp_path / "page", "--logLevel", "error"]
    subprocess.run(command, cwd=WEB, check=True, timeout=240)
    assert files(tmp_path / "page") == files(BUILT)


def test_nothing_in_the_page_names_another_server() -> None:
    known = (b"http://www.w3.org/",)  # names of XML, not addresses
    for name, content in files(BUILT).items():
        rest = content
        for each in known:
            rest = rest.replace(each, b"")
        assert b"://" not in rest, name


def test_the_lock_file_names_no_host() -> None:
    text = (WEB / "package-lock.json").read_text(encoding="utf-8")
    assert '"resolved"' not in text
    assert text.count('"integrity"') > 10


def test_the_licences_of_all_that_is_built_in_ship_with_it() -> None:
    told = (BUILT / "licences.txt").read_text(encoding="utf-8")
    packages = json.loads((WEB / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    built_in = {path: said for path, said in packages.items() if path and not said.keys() & {"dev", "optional"}}
    assert {"node_modules/preact", "node_modules/@dagrejs/dagre"} <= built_in.keys()
    for path, said in built_in.items():
        assert f"{path.removeprefix('node_modules/')} {said['version']}, {said['license']}\n" in told
