"""The address of a store: what one line names, or what is wrong with it.

Knows how SQLAlchemy writes the file of SQLite and libpq the address of PostgreSQL. Must not know the settings beside
it. Never repeats what was written: a password may stand in it, also where it is not looked for.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import NoReturn
from urllib.parse import quote, unquote

from sevrouter.config.problem import FieldError

APPLICATION = "sevrouter"
PORT = 5432

_SQLITE = "sqlite:"
_POSTGRES = ("postgresql:", "postgres:", "postgresql+", "postgres+")
_FORM = "write postgresql://user@host/database"
_PASSWORD = "put it into a file and write password_file"  # noqa: S105  the hint, not a password

_AUTHORITY = re.compile(r"postgres(?:ql)?://([^/?]*)([^?]*)(?:\?(.*))?", re.DOTALL)
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}", re.ASCII)
_DIGITS = re.compile(r"\d{1,5}", re.ASCII)
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")

# What libpq, asyncpg, SQLAlchemy and JDBC take behind the question mark, and what says the same here.
_INSTEAD = {
    **dict.fromkeys(("sslmode", "ssl"), "use store.tls.mode"),
    "sslrootcert": "use store.tls.ca_file",
    "sslcert": "use store.tls.cert_file",
    "sslkey": "use store.tls.key_file",
    "passfile": "use store.password_file",
    "statement_timeout": "use store.statement_timeout",
    "lock_timeout": "use store.lock_timeout",
    "connect_timeout": "use store.connect_timeout",
    **dict.fromkeys(("search_path", "currentschema", "schema"), "use store.schema"),
    "options": "use store.schema, store.statement_timeout or store.lock_timeout",
    "user": "write it before the host: user@host",
    "port": "write it behind the host: host:5432",
    "hostaddr": "write the address in place of the host",
    **dict.fromkeys(("dbname", "database"), "write it behind the host: host/database"),
    "target_session_attrs": "leave it out: the host that takes writes is looked for anyway",
}


@dataclass(frozen=True, slots=True)
class SqliteUrl:
    """A file, as it is written."""

    file: str


@dataclass(frozen=True, slots=True)
class PostgresUrl:
    """A database behind one of several hosts, each with its port. A host that is a path is that of a Unix socket."""

    hosts: tuple[tuple[str, int], ...]
    database: str
    user: str | None
    application_name: str = APPLICATION


def is_postgres(url: str) -> bool:
    """Whether PostgreSQL is meant, however well it is written."""
    return url.startswith(_POSTGRES)


def is_socket(host: str) -> bool:
    """Whether a host is the directory of a Unix socket."""
    return host.startswith("/")


def is_local(host: str) -> bool:
    """Whether what is said to a host never leaves this machine."""
    try:
        return is_socket(host) or host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def postgres_url(hosts: tuple[tuple[str, int], ...], database: str, user: str | None) -> str:
    """An address as libpq reads it."""
    return f"postgresql://{_escaped(user) + '@' if user else ''}{','.join(map(_shown, hosts))}/{_escaped(database)}"


def _shown(host: tuple[str, int]) -> str:
    return f"[{host[0]}]:{host[1]}" if ":" in host[0] and not is_socket(host[0]) else f"{_escaped(host[0])}:{host[1]}"


def _escaped(text: str) -> str:
    return quote(text, safe="")


def parse_store_url(url: str) -> SqliteUrl | PostgresUrl:
    """Read `sqlite:FILE` or `postgresql://[user@]host[:port][,…]/database`. Raises FieldError."""
    if is_postgres(url):
        return _postgres(url)
    if url.startswith(_SQLITE):
        return SqliteUrl(_file(url.removeprefix(_SQLITE)))
    raise FieldError("is not a store", f"write sqlite:FILE or {_FORM.removeprefix('write ')}")


def _file(file: str) -> str:
    if file.startswith("////"):
        # As SQLAlchemy writes an absolute path; with one slash less it would be a relative one.
        file = file[3:]
    if file.startswith("//"):
        raise FieldError("has slashes that read two ways", "write sqlite:FILE with a relative or an absolute path")
    if file.startswith(":") or not file.strip() or file.endswith("/") or not file.isprintable():
        raise FieldError("names no file", "write sqlite:FILE; what is only in memory would be lost at a restart")
    return file


def _postgres(url: str) -> PostgresUrl:
    if url.partition(":")[0].count("+"):
        raise FieldError("names a driver", _FORM)
    parts = _AUTHORITY.fullmatch(url)
    if parts is None:
        raise FieldError("is not an address of PostgreSQL", _FORM)
    authority, path, query = parts[1], parts[2], parts[3] or ""
    account, at, hosts = authority.rpartition("@")
    if ":" in account:
        raise FieldError("holds a password", _PASSWORD)
    if "@" in account or "@" in path or "@" in query:
        # It may end a password with a slash or a question mark in it.
        raise FieldError(
            "holds an @ that separates no user from a host",
            f"write %40 for any other @; if it is a password's, {_PASSWORD}",
        )
    if not url.isprintable() or " " in url or "#" in url or _BAD_ESCAPE.search(url):
        raise FieldError("holds a character that cannot stand there", "write %20 for a space, %23 for #, %25 for %")
    parameters = _parameters(query)
    if at and not account:
        raise FieldError("names no user before the @", _FORM)
    return PostgresUrl(
        hosts=_hosts(hosts, parameters.get("host")),
        database=_database(path),
        user=_decoded(account) if at else None,
        application_name=_application(parameters.get("application_name", APPLICATION)),
    )


def _decoded(text: str) -> str:
    try:
        plain = unquote(text, errors="strict")
    except UnicodeDecodeError:
        plain = "\0"
    if not plain.isprintable():
        raise FieldError("holds a character that cannot stand there", "escapes (%…) are those of UTF-8")
    return plain


def _parameters(query: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in filter(None, query.split("&")):
        name, _, value = each.partition("=")
        if name not in ("application_name", "host"):
            _refuse(name.lower())
        if name in found:
            raise FieldError(f"has the parameter {name} twice", "keep one of them")
        found[name] = _decoded(value)
    return found


def _refuse(parameter: str) -> NoReturn:
    if parameter in ("password", "pass", "pwd", "sslpassword"):
        raise FieldError("holds a password", _PASSWORD)
    if parameter in _INSTEAD:
        raise FieldError(f"does not take the parameter {parameter}", _INSTEAD[parameter])
    # It is not named: it may be the rest of a password with a question mark in it.
    raise FieldError(
        "has a parameter that is not known", "known: application_name, and host for the directory of a Unix socket"
    )


def _hosts(written: str, directory: str | None) -> tuple[tuple[str, int], ...]:
    if directory is None:
        return tuple(_host(each) for each in written.split(","))
    if not is_socket(directory) or "," in directory or written.partition(":")[0]:
        hint = "postgresql:///database?host=/run/postgresql; write other hosts behind the //"
        raise FieldError("takes the parameter host for the directory of a Unix socket only", hint)
    return ((directory, _port(written)),)


def _host(written: str) -> tuple[str, int]:
    bracket = written.rfind("]") + 1
    end = bracket or (written.index(":") if written.count(":") == 1 else len(written))
    name, port = written[:end], written[end:]
    if not name:
        raise FieldError("names no host", f"{_FORM}, or ?host=/run/postgresql for a Unix socket")
    host = name[1:-1] if bracket else _decoded(name)
    if not (_is_ipv6(name) if bracket else is_socket(host) or _NAME.fullmatch(host)):
        raise FieldError("names a host that cannot be one", "write a name, an IPv4 address, or [::1] for IPv6")
    return host, _port(port)


def _is_ipv6(name: str) -> bool:
    try:
        return name.startswith("[") and ipaddress.ip_address(name[1:-1]).version == 6
    except ValueError:
        return False


def _port(written: str) -> int:
    if written in ("", ":"):
        return PORT
    digits = written.removeprefix(":")
    if not (written.startswith(":") and _DIGITS.fullmatch(digits) and 0 < int(digits) < 2**16):
        raise FieldError("has a port that is no number from 1 to 65535", _FORM.replace("host", "host:5432"))
    return int(digits)


def _database(path: str) -> str:
    name = path.removeprefix("/")
    if not name:
        raise FieldError("names no database", _FORM)
    if "/" in name:
        raise FieldError("has more than a database behind the host", _FORM)
    return _decoded(name)


def _application(name: str) -> str:
    # PostgreSQL itself would cut it, and turn what is not ASCII into question marks.
    if not (name.isascii() and 0 < len(name) < 64):
        raise FieldError("has an application_name that PostgreSQL would change", "up to 63 letters of ASCII")
    return name
