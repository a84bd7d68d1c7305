"""``dysenvdm serve``: planner, generator, API and web page as one service for a lab, on this machine's devices."""

from __future__ import annotations

import os
import re
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dysenvdm.cli.console import say
from planners.dsg import UserError, one_line

if TYPE_CHECKING:
    from serving.devices import Places
    from serving.settings import Settings

app = typer.Typer(add_completion=False)

TOKENS = "DYSENVDM_TOKENS"
"""Environment variable with tokens, as in a token file."""
NETWORK, MODELS, MEMORY, KEEPING = "Network", "Planners and models", "Memory", "Jobs and results"
"""Panels of ``--help``."""
_UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_AMOUNT = re.compile(r"([0-9]+(?:\.[0-9]+)?) *([kmgt]?)(?:i?b)?", re.IGNORECASE)


def _option(name: str, help: str, panel: str, **more: Any) -> Any:
    """An option whose default stands in ``help``: None says that it was not given, so that a file may."""
    return typer.Option(name, help=help, rich_help_panel=panel, show_default=False, **more)


@app.command()
def serve(
    config: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="Settings as YAML; options go before it.")
    ] = None,
    folder: Annotated[
        Path | None, _option("--folder", "Where jobs and results are kept (dysenvdm-server).", KEEPING)
    ] = None,
    host: Annotated[str | None, _option("--host", "Address; any but this machine's demands tokens.", NETWORK)] = None,
    port: Annotated[int | None, _option("--port", "Port (8000); 0: any that is free.", NETWORK)] = None,
    tokens: Annotated[
        Path | None,
        _option("--tokens", f"File of lines NAME=TOKEN; or set {TOKENS}.", NETWORK, metavar="FILE"),
    ] = None,
    allowed_host: Annotated[
        list[str] | None,
        _option("--allowed-host", "Name by which clients may call the server; may be given often.", NETWORK),
    ] = None,
    planner: Annotated[
        list[str] | None,
        _option("--planner", "A planner to offer, the first one the default (smollm2, rules).", MODELS),
    ] = None,
    planner_option: Annotated[
        list[str] | None,
        _option("--planner-option", "A planner's own option; may be given often.", MODELS, metavar="PLANNER:KEY=VALUE"),
    ] = None,
    planner_url: Annotated[
        str | None,
        _option("--planner-url", "Plan on this OpenAI-compatible server, such as vLLM's.", MODELS, metavar="URL"),
    ] = None,
    model: Annotated[
        list[str] | None,
        _option("--model", "A video model to offer, name or folder, the first one the default.", MODELS),
    ] = None,
    generators: Annotated[int | None, _option("--generators", "Generator workers, one per GPU (1).", MODELS)] = None,
    max_batch: Annotated[
        int | None, _option("--max-batch", "Compatible videos made together at most (4).", MODELS)
    ] = None,
    sharing: Annotated[
        str | None,
        _option("--sharing", "Planner and generator on a device: auto, coexist, turns, sleep, unload (auto).", MEMORY),
    ] = None,
    memory: Annotated[
        str | None,
        _option("--memory", "What they may use of the device together (all), as 20GiB.", MEMORY, metavar="AMOUNT"),
    ] = None,
    database: Annotated[
        str | None,
        _option("--database", "SQLAlchemy URL of the job store (SQLite in the folder).", KEEPING, metavar="URL"),
    ] = None,
    keep_hours: Annotated[
        float | None, _option("--keep-hours", "Delete results after so long (168); 0: never.", KEEPING)
    ] = None,
    disk_quota: Annotated[
        str | None,
        _option("--disk-quota", "Delete the oldest results beyond this, as 200GiB.", KEEPING, metavar="AMOUNT"),
    ] = None,
    limit: Annotated[
        list[str] | None,
        _option("--limit", "What a request or token may ask for: frames, width, height, steps, cost, prompts, "
                "body_bytes, upload_bytes, queued_jobs, requests_per_minute, event_streams.", KEEPING,
                metavar="NAME=NUMBER"),
    ] = None,
    ray: Annotated[
        str | None,
        _option("--ray", "Serve on this Ray cluster instead, several machines; auto: the one started here.",
                NETWORK, metavar="ADDRESS"),
    ] = None,
    audit_log: Annotated[
        Path | None, _option("--audit-log", "Append a line for every change that a client asks for.", KEEPING)
    ] = None,
) -> None:  # fmt: skip
    """Serve planner and generator together: an HTTP API and a web page, jobs that survive restarts."""
    missing = [name for name in ("fastapi", "sqlalchemy", "uvicorn") if find_spec(name) is None]
    if missing:
        raise UserError(f"serve: needs {', '.join(missing)}; run: pip install 'dysenvdm[serve]'")
    given: dict[str, Any] = {
        "host": host,
        "port": port,
        "folder": folder,
        "database": database,
        "tokens": _tokens(tokens),
        "allowed_hosts": tuple(allowed_host) if allowed_host else None,
        "planners": _planners(planner, planner_option),
        "planner_url": planner_url,
        "models": tuple(model) if model else None,
        "generators": generators,
        "max_batch": max_batch,
        "sharing": sharing,
        "memory_budget_bytes": _amount(memory, "--memory"),
        "disk_quota_bytes": _amount(disk_quota, "--disk-quota"),
        "limits": _limits(limit),
        "audit_log": audit_log,
    }
    given = {name: value for name, value in given.items() if value is not None}
    if keep_hours is not None:
        given["keep_hours"] = keep_hours or None
    settings = _settings(config, given)

    if ray is not None:
        from serving.ray_app import serve_on_ray

        serve_on_ray(settings, ray, say)
        say("ended; jobs that were under way wait for the next start")
        return

    from serving import offers, supervisor

    def started(address: str, where: Places) -> None:
        del where
        say(f"planners: {', '.join(offers.planners(settings))}; models: {', '.join(offers.models(settings))}")
        say(f"jobs and results: {settings.folder}")
        who = f"tokens: {', '.join(settings.tokens)}" if settings.tokens else "only this machine is answered"
        say(f"serving at {address} ({who}); API reference at {address}/docs; Ctrl-C ends it", "bold")

    supervisor.serve(settings, say, started)
    say("ended; jobs that were under way wait for the next start")


def _settings(config: Path | None, given: dict[str, Any]) -> Settings:
    """Settings from a YAML file, and from options in their stead; raises :class:`UserError`."""
    from pydantic import ValidationError

    from serving.settings import Settings

    values = {"folder": "dysenvdm-server", **_read(config), **given}
    if "planners" not in values:
        values["planners"] = _usual_planners()
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        where = f"{config}: " if config else ""
        raise UserError(f"{where}{one_line(error)}") from None
    return settings.model_copy(update={"folder": settings.folder.expanduser().resolve()})


def _read(config: Path | None) -> dict[str, Any]:
    if config is None:
        return {}
    from dysenvdm.files import parsed_yaml

    try:
        data = parsed_yaml(config.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{config}: cannot be read as YAML ({error})") from None
    if data is not None and not isinstance(data, dict):
        raise UserError(f"{config}: write NAME: VALUE lines")
    return data or {}


def _usual_planners() -> dict[str, dict[str, Any]]:
    if find_spec("spacy") is None:
        say("the planner 'rules' is not offered: it needs pip install 'dysenvdm[rules]'", "yellow")
        return {"smollm2": {}}
    return {"smollm2": {}, "rules": {}}


def _planners(names: list[str] | None, options: list[str] | None) -> dict[str, dict[str, Any]] | None:
    """Name -> options, in the order of the names."""
    if names is None and not options:
        return None
    planners: dict[str, dict[str, Any]] = {name: {} for name in names} if names else _usual_planners()
    for text in options or ():
        name, colon, rest = text.partition(":")
        key, equals, value = rest.partition("=")
        if not (name and colon and key and equals):
            raise UserError(f"--planner-option {text[:60]!r}: write PLANNER:KEY=VALUE")
        if name not in planners:
            raise UserError(f"--planner-option {text[:60]!r}: offered are {', '.join(planners)}; add --planner {name}")
        planners[name][key] = value
    return planners


def _tokens(file: Path | None) -> dict[str, str] | None:
    """Name -> token, of a file's lines or the environment's words."""
    if file is not None:
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"--tokens {file}: cannot be read ({error})") from None
        if file.stat().st_mode & 0o077:
            raise UserError(f"--tokens {file}: others on this machine can read it; run: chmod 600 {file}")
        where = f"--tokens {file}"
    else:
        lines, where = re.split(r"[\s,]+", os.environ.get(TOKENS, "")), TOKENS
    tokens: dict[str, str] = {}
    for number, line in enumerate(map(str.strip, lines), 1):
        if not line or line.startswith("#"):
            continue
        name, equals, token = (part.strip() for part in line.partition("="))
        if not (name and equals and token) or name in tokens:
            raise UserError(f"{where}, entry {number}: write NAME=TOKEN, each name once")
        tokens[name] = token
    if file is not None and not tokens:
        raise UserError(f"{where}: no tokens in it; write lines NAME=TOKEN")
    return tokens or None


def _limits(given: list[str] | None) -> dict[str, str] | None:
    if not given:
        return None
    limits = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise UserError(f"--limit {text[:60]!r}: write NAME=NUMBER")
        limits[name] = value
    return limits


def _amount(text: str | None, option: str) -> int | None:
    """Bytes of a text like 20GiB."""
    if text is None:
        return None
    found = _AMOUNT.fullmatch(text.strip())
    if found is None:
        raise UserError(f"{option} {text!r}: write an amount of memory, for example 20GiB")
    return int(float(found[1]) * _UNITS[found[2].lower()])
