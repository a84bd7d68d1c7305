"""Bundles, measured and harmed: ``python -m benchmarks.airgap [-o FOLDER] [--extra NAME ...] [--flips 200]``.

Makes the real bundle of this machine (wheels, models, documents, signed), verifies it, flips bits in it, and installs
it into an empty prefix inside a network namespace that has nothing but a loopback device; there `doctor`, `plan` and
`generate` run. Then the same installation is killed at random moments and starved of disk. One row per figure; exit
code 1 where a harm went unnoticed, a half-made installation looked whole, or something asked for a network. Without
the right to make a namespace (root, or user namespaces) the run says so and guards Python's sockets instead.

``--bundle FOLDER`` takes a finished bundle, ``--only NAME`` (create, flips, install, kills, disk) chooses steps.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from dysenvdm.airgap.comparing import sizes
from dysenvdm.airgap.installer.layout import SIGNATURE, read_manifest
from dysenvdm.airgap.installer.state import prefix_states
from dysenvdm.airgap.installer.verify import problems, verify

STEPS = ("create", "flips", "install", "kills", "disk")
PROMPT = "A girl walks to the box, then she jumps over it."
GUARD = """
import ipaddress, os, sys
def _local(host):
    if host in (None, "", b"", "localhost", b"localhost"): return True
    try: return ipaddress.ip_address(host.decode() if isinstance(host, bytes) else host).is_loopback
    except ValueError: return False
def _guard(event, arguments):
    if event in ("socket.connect", "socket.sendto") and isinstance(arguments[1], tuple): host = arguments[1][0]
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"): host = arguments[0]
    else: return
    if not _local(host):
        os.write(2, f"NETWORK: {event} {host!r}\\n".encode())
        raise OSError(101, "Network is unreachable")
sys.addaudithook(_guard)
"""
"""A sitecustomize that refuses and names every attempt to leave the machine (of Python, not of native libraries)."""


@dataclass
class Report:
    """Rows as they come, and whether all is well."""

    wrong: list[str] = field(default_factory=list)

    def row(self, what: str, figure: str) -> None:
        print(f"{what:<44} {figure}", flush=True)

    def fault(self, what: str) -> None:
        self.wrong.append(what)
        print(f"WRONG: {what}", flush=True)


@contextmanager
def timed(report: Report, what: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    report.row(what, f"{time.perf_counter() - start:.1f} s")


def can_unshare() -> list[str] | None:
    """The command that runs another one with loopback as its only network; None where that is forbidden."""
    up = ["sh", "-c", 'ip link set lo up 2>/dev/null || true; exec "$@"', "sh"]
    for prefix in (["unshare", "-n"], ["unshare", "-r", "-n"]):
        if (
            shutil.which("unshare")
            and subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0
        ):
            return [*prefix, *up]
    return None


class Closed:
    """Runs commands where no network can be reached, and reports what asked for one."""

    def __init__(self, report: Report, folder: Path) -> None:
        self.report, self.folder = report, folder
        self.prefix = can_unshare()
        (folder / "guard").mkdir(parents=True, exist_ok=True)
        (folder / "guard" / "sitecustomize.py").write_text(GUARD)
        report.row(
            "network",
            "a namespace with loopback only" if self.prefix else "NO NAMESPACE ALLOWED: sockets of Python guarded",
        )

    def run(self, *words: object) -> subprocess.CompletedProcess[str]:
        """Run one command with an empty home; a guard inside names what asks for a network."""
        env = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON", "DYSENVDM"))}
        env |= {"PYTHONPATH": str(self.folder / "guard"), "HOME": str(self.folder / "home")}
        (self.folder / "home").mkdir(exist_ok=True)
        command = [*(self.prefix or []), *map(str, words)]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, cwd=self.folder)
        for line in done.stderr.splitlines():
            if line.startswith("NETWORK: "):
                self.report.fault(f"{Path(str(words[0])).name} asked for a network: {line}")
        if done.returncode:
            self.report.fault(f"{' '.join(map(str, words))}: code {done.returncode}: {done.stderr[-800:]}")
        return done


def create(report: Report, folder: Path, extras: list[str], requirements: list[Path]) -> Path:
    """The real bundle of this machine with its key pair; its size by kind of file."""
    command = [str(Path(sys.executable).with_name("dysenvdm"))]
    if not (folder / "lab.key").exists():
        subprocess.run([*command, "bundle", "key", str(folder / "lab.key")], check=True)
    words = [word for extra in extras for word in ("--extra", extra)]
    words += [word for path in requirements for word in ("--requirements", str(path))]
    with timed(report, "create (pip's cache as it is)"):
        subprocess.run(
            [*command, "bundle", "create", "-o", str(folder / "bundle"), "--key", str(folder / "lab.key"), *words],
            check=True,
        )
    return folder / "bundle"


def flips(report: Report, bundle: Path, key: Path | None, number: int, seed: int) -> None:
    """Single bits flipped in random places, each undone after verify has looked at the file that holds it."""
    chance = random.Random(seed)
    files = sorted(path for path in bundle.rglob("*") if path.is_file() and path.name != SIGNATURE)
    weights = [path.stat().st_size for path in files]
    missed = 0
    for _ in range(number):
        [path] = chance.choices(files, weights)
        with path.open("r+b") as stream:
            place, bit = chance.randrange(path.stat().st_size), 1 << chance.randrange(8)
            stream.seek(place)
            [byte] = stream.read(1)
            stream.seek(place)
            stream.write(bytes([byte ^ bit]))
            stream.flush()
            found = problems(verify(bundle, key))
            stream.seek(place)
            stream.write(bytes([byte]))
        if not found:
            missed += 1
            report.fault(f"a flipped bit at byte {place} of {path.relative_to(bundle)} was not found")
    report.row("flipped bits found", f"{number - missed} of {number}")
    if problems(verify(bundle, key)):
        report.fault("the bundle is not as it was after the flips")


def install(report: Report, closed: Closed, bundle: Path, prefix: Path, key: Path | None) -> None:
    """Install inside the closed world, then look, plan and generate there."""
    script = [Path(sys.base_prefix, "bin", f"python3.{sys.version_info[1]}"), bundle / "install.py"]
    signed: list[object] = ["--key", key] if key else []
    with timed(report, "verify (install.py --verify)"):
        closed.run(*script, "--verify", *signed)
    with timed(report, "install into an empty prefix"):
        closed.run(*script, "--prefix", prefix, *signed)
    command, out = prefix / "current" / "bin" / "dysenvdm", prefix.parent / "made"
    out.mkdir(exist_ok=True)
    steps: dict[str, list[object]] = {
        "doctor": ["doctor", "--json"],
        "plan": ["plan", PROMPT, "-o", out / "plan.json"],
        "generate": ["generate", PROMPT, "-o", out / "video.mp4", "--seed", "1"],
    }
    for what, words in steps.items():
        with timed(report, f"{what} in the closed world"):
            closed.run(command, *words)
    for path in (out / "plan.json", out / "video.mp4"):
        if not path.is_file() or not path.stat().st_size:
            report.fault(f"{path.name} was not made")
    report.row("installed", f"{size_of(prefix) / 2**20:.0f} MiB")


def size_of(folder: Path) -> int:
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return sum({path.stat().st_ino: path.stat().st_size for path in files}.values())


def fingerprint(prefix: Path) -> dict[str, str]:
    """The SHA-256 of every installed file below a prefix, links by their target; without bytecode."""
    found = {}
    for path in sorted((prefix / "versions").rglob("*")):
        if path.is_symlink():
            found[str(path.relative_to(prefix))] = f"-> {path.readlink()}"
        elif path.is_file() and path.suffix != ".pyc":
            with path.open("rb") as stream:
                found[str(path.relative_to(prefix))] = hashlib.file_digest(stream, "sha256").hexdigest()
    return found


def half_made(prefix: Path, whole: dict[str, str]) -> bool:
    """Whether the prefix calls anything whole that is not, file by file, the installation that nothing disturbed.

    A kill may come after the last file is in place and before the process has ended: that installation is whole.
    """
    states = prefix_states(prefix)
    called_whole = any(not wrong for wrong in states.values()) or (prefix / "current").exists()
    return called_whole and (any(states.values()) or fingerprint(prefix) != whole)


def harmed(
    report: Report, bundle: Path, prefix: Path, number: int, what: str, harm: Callable[[subprocess.Popen[bytes]], None]
) -> None:
    """Installations that are harmed: none may look whole unless it is, and the next call repairs all."""
    shutil.rmtree(prefix, ignore_errors=True)
    subprocess.run([sys.executable, "-I", str(bundle / "install.py"), "--prefix", str(prefix)], check=True)
    whole, ended = fingerprint(prefix), 0
    for _ in range(number):
        shutil.rmtree(prefix, ignore_errors=True)
        run = subprocess.Popen(
            [sys.executable, "-I", str(bundle / "install.py"), "--prefix", str(prefix)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        harm(run)
        if run.wait() == 0:
            ended += 1
        elif half_made(prefix, whole):
            report.fault(f"{what}: a half-made installation looks whole")
    last = subprocess.run([sys.executable, "-I", str(bundle / "install.py"), "--prefix", str(prefix)], check=False)
    if last.returncode or any(prefix_states(prefix).values()):
        report.fault(f"{what}: the call after it did not install")
    report.row(f"installations {what}", f"{number - ended} broken off, {ended} done before, none half-made looks whole")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, help="where to work; default: a temporary folder, removed")
    parser.add_argument("--bundle", type=Path, help="a finished bundle instead of a new one")
    parser.add_argument("--key", type=Path, help="the public key of --bundle")
    parser.add_argument("--extra", action="append", default=[], help="an extra to bring; repeat it")
    parser.add_argument("--requirements", action="append", default=[], type=Path, help="packages as listed in a file")
    parser.add_argument("--only", action="append", choices=STEPS, help="a step to run; repeat it; default: all")
    parser.add_argument("--flips", type=int, default=200)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    report = Report()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (given.output or Path(temporary)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        run_steps(report, given, folder)
    for line in report.wrong:
        print(f"WRONG: {line}")
    return int(bool(report.wrong))


def run_steps(report: Report, given: argparse.Namespace, folder: Path) -> None:
    steps = given.only or STEPS
    bundle, key = given.bundle, given.key
    if bundle is None:
        bundle, key = folder / "bundle", folder / "lab.pub"
        if "create" in steps or not bundle.exists():
            create(report, folder, given.extra, given.requirements)
    bundle = bundle.absolute()
    for kind, size in sizes(read_manifest(bundle)).items():
        report.row(f"size: {kind}", f"{size / 2**20:.1f} MiB")
    if "flips" in steps:
        with timed(report, f"{given.flips} times verify"):
            flips(report, bundle, key, given.flips, given.seed)
    prefix = folder / "prefix"
    if "install" in steps:
        install(report, Closed(report, folder), bundle, prefix, key)
    chance = random.Random(given.seed)
    if "kills" in steps:
        took = seconds_of_install(bundle, prefix)

        def kill(run: subprocess.Popen[bytes]) -> None:
            time.sleep(chance.uniform(0, took))
            run.send_signal(signal.SIGKILL)

        harmed(report, bundle, prefix, given.kills, "killed with -9", kill)
    if "disk" in steps:
        largest = max(file["size"] for file in read_manifest(bundle)["files"])

        def starve(run: subprocess.Popen[bytes]) -> None:
            limit = int(largest ** chance.uniform(0.2, 0.98))
            resource.prlimit(run.pid, resource.RLIMIT_FSIZE, (limit, limit))

        harmed(report, bundle, prefix, max(1, given.kills // 4), "on a disk that fills up", starve)


def seconds_of_install(bundle: Path, prefix: Path) -> float:
    shutil.rmtree(prefix, ignore_errors=True)
    start = time.perf_counter()
    subprocess.run([sys.executable, "-I", str(bundle / "install.py"), "--prefix", str(prefix)], check=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
