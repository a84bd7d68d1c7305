"""Who may ask, from where, and how much of a request is read: everything that is decided before a route runs.

Without tokens the server answers this machine only: it binds to a loopback address, takes no request from elsewhere
(also none that a proxy forwards), and none that was sent under another host's name (DNS rebinding). With tokens every
request but for :data:`OPEN` needs one, as ``Authorization: Bearer`` or as the cookie that ``POST /v1/session`` gives to
the page. A browser's request from another site's page is refused either way.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import cookie_parser

from planners.dsg import UserError
from serving.api.context import LOCAL, Caller
from serving.api.errors import ApiError
from serving.rates import Rates
from serving.settings import Settings

COOKIE = "dysenvdm_session"
SESSION_SECONDS = 12 * 3600
SHORTEST_TOKEN = 16
MAX_HEADER_BYTES = 32 * 1024
MAX_TARGET_BYTES = 8 * 1024
FAILED_PER_MINUTE = 60
"""Wrong tokens from one address."""

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
OPEN = frozenset(("/", "/healthz", "/icon.svg", "/plan.html", "/v1/session"))
"""Asks for no token: the page's files (which hold no data; ``/assets/`` too), its signing in, and the life sign."""

POLICY = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
HEADERS = (
    ("content-security-policy", POLICY),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
)
"""Of every answer."""


def check_settings(settings: Settings) -> None:
    """Raise :class:`UserError` for an address that demands tokens where there are none, and for weak ones."""
    if not settings.tokens and not is_loopback(settings.host):
        raise UserError(
            f"--host {settings.host}: others can reach this address, so tokens are demanded; give some, or 127.0.0.1"
        )
    for name, secret in settings.tokens.items():
        if len(secret) < SHORTEST_TOKEN or not secret.isascii() or not secret.isprintable() or " " in secret:
            raise UserError(
                f"token {name!r}: give at least {SHORTEST_TOKEN} visible ASCII characters, for example those of: "
                f"python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"
            )
    if len(set(settings.tokens.values())) < len(settings.tokens):
        raise UserError("tokens: two names have the same one; make one for each")


def is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True)
class Asking:
    """A request as far as it is looked at here."""

    method: str
    path: str
    query: bytes
    client: str | None
    headers: Headers


class Gate:
    """Lets a request in, or raises :class:`ApiError`."""

    def __init__(self, settings: Settings) -> None:
        check_settings(settings)
        self._tokens = {name: secret.encode() for name, secret in settings.tokens.items()}
        own = () if self._tokens else LOOPBACK_NAMES
        self._hosts = frozenset(name.lower().strip("[]") for name in settings.allowed_hosts or own)
        self._rates = Rates(settings.limits.requests_per_minute)
        self._failed = Rates(FAILED_PER_MINUTE)

    def admit(self, asking: Asking) -> Caller | None:
        """Who asks; None for somebody unknown at an address that is open."""
        self._check_size(asking)
        self._check_host(asking)
        self._check_site(asking)
        if not self._tokens:
            if asking.client is None or not is_loopback(asking.client):
                raise ApiError(403, "this server answers its own machine only; set tokens to open it", "not_local")
            caller = Caller(LOCAL, None)
        elif _is_open(asking.path):
            return None
        else:
            name = self._name(asking)
            caller = Caller(name, name)
        if asking.path not in OPEN and (wait := self._rates.wait(caller.name)):
            raise ApiError(
                429, "too many requests; ask less often", "rate_limited", headers={"Retry-After": str(int(wait) + 1)}
            )
        return caller

    def sign_in(self, token: str, client: str | None) -> str:
        """The cookie's value for a token; raises :class:`ApiError` 401."""
        name = self._owner_of(token, client)
        until = int(time.time()) + SESSION_SECONDS
        return f"{until}.{self._signature(name, until)}"

    def _check_size(self, asking: Asking) -> None:
        if sum(len(name) + len(value) for name, value in asking.headers.raw) > MAX_HEADER_BYTES:
            raise ApiError(431, f"the headers are longer than {MAX_HEADER_BYTES} bytes", "headers_too_large")
        if len(asking.path) + len(asking.query) > MAX_TARGET_BYTES:
            raise ApiError(414, f"the address is longer than {MAX_TARGET_BYTES} bytes", "address_too_long")

    def _check_host(self, asking: Asking) -> None:
        given = asking.headers.getlist("host")
        name = _hostname(given[0]) if len(given) == 1 else None
        if name is None or (self._hosts and name not in self._hosts):
            raise ApiError(400, "Host: this server does not go by that name (see allowed_hosts)", "bad_host")

    def _check_site(self, asking: Asking) -> None:
        """A page of another site may link to the page, and nothing else."""
        refused = ApiError(403, "requests from pages of other sites are not taken", "cross_site")
        origin = asking.headers.get("origin")
        if origin is not None:
            scheme, _, host = origin.lower().partition("://")
            if scheme not in ("http", "https") or host != asking.headers["host"].lower():
                raise refused
        site = asking.headers.get("sec-fetch-site", "none")
        if site not in ("same-origin", "none") and not (asking.path == "/" and asking.method == "GET"):
            raise refused

    def _name(self, asking: Asking) -> str:
        kind, _, token = asking.headers.get("authorization", "").partition(" ")
        if token:
            if kind.lower() != "bearer":
                raise _unauthorized("Authorization: write Bearer and the token")
            return self._owner_of(token.strip(), asking.client)
        cookie = cookie_parser(asking.headers.get("cookie", "")).get(COOKIE)
        if cookie is not None and (name := self._owner_of_session(cookie)):
            return name
        raise _unauthorized("a token is needed: Authorization: Bearer TOKEN")

    def _owner_of(self, token: str, client: str | None) -> str:
        """All are compared, so that how long it takes tells nothing."""
        given = token.encode("utf-8", "replace")
        matching = [name for name, secret in self._tokens.items() if hmac.compare_digest(given, secret)]
        if matching:
            return matching[0]
        if wait := self._failed.wait(client or "?"):
            raise ApiError(429, "too many wrong tokens", "rate_limited", headers={"Retry-After": str(int(wait) + 1)})
        raise _unauthorized("that token is not known")

    def _owner_of_session(self, cookie: str) -> str | None:
        until, _, given = cookie.partition(".")
        if not (until.isascii() and until.isdecimal() and len(until) <= 12 and int(until) > time.time()):
            return None
        signed = given.encode("utf-8", "replace")
        names = [
            name for name in self._tokens if hmac.compare_digest(signed, self._signature(name, int(until)).encode())
        ]
        return names[0] if names else None

    def _signature(self, name: str, until: int) -> str:
        """Of a session: it tells nothing about the token and ends with it, and every process can check it."""
        return hmac.new(self._tokens[name], f"dysenvdm session {until} {name}".encode(), hashlib.sha256).hexdigest()


def _is_open(path: str) -> bool:
    return path in OPEN or path.startswith("/assets/")


def _hostname(host: str) -> str | None:
    """The name in a Host header, None where it is none."""
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port
    except ValueError:
        return None
    clean = (
        parts.netloc == host and parts.username is None and not parts.path and not parts.query and not parts.fragment
    )
    return parts.hostname if clean else None


def _unauthorized(message: str) -> ApiError:
    return ApiError(401, message, "invalid_token", headers={"WWW-Authenticate": "Bearer"})
