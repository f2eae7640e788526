"""What a configuration says about where incidents are kept, and which of its settings go together.

Each field's description holds its unit, its default and why. Must not know how a database is spoken to.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field

from sevrouter.config.fields import InlineSecretText, SchemaName, Section, Text, TlsMode, Wait
from sevrouter.config.problem import FieldError
from sevrouter.config.store_url import PostgresUrl, SqliteUrl, is_postgres, is_socket, parse_store_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sevrouter.config.document import Document, Tree
    from sevrouter.config.problem import Problem

TLS_FILES = ("ca_file", "cert_file", "key_file")


def _checked(url: str) -> str:
    parse_store_url(url)
    return url


class Tls(Section):
    """How a connection to PostgreSQL is encrypted, and how both sides know whom they speak to."""

    mode: TlsMode | None = Field(
        None,
        description="disable, require (encrypted, to whoever answers), verify-ca (to a holder of a certificate of "
        "`ca_file`) or verify-full (to the host that is named). Default: verify-full, because what encrypts without "
        "knowing to whom protects from nobody who can listen; disable where every host is this machine.",
    )
    ca_file: Text | None = Field(
        None, description="A file of certificates (PEM) to trust. Default: those that the system trusts."
    )
    cert_file: Text | None = Field(
        None, description="A file with our own certificate (PEM). Default: none. Goes together with `key_file`."
    )
    key_file: Text | None = Field(
        None, description="A file with its private key (PEM, no pass phrase). Default: none. Goes with `cert_file`."
    )


class Store(Section):
    """Where incidents are kept. All but `url` is for PostgreSQL; a change of any of it needs a restart."""

    url: Annotated[Text, AfterValidator(_checked)] = Field(
        "sqlite:sevrouter.db",
        description="`sqlite:` and a file, relative to the configuration's directory, for one process; or "
        "`postgresql://user@host:5432/database` for several. Several hosts are tried in turn: `host1,host2:5433`. "
        "Default: sqlite:sevrouter.db.",
    )
    password_file: Text | None = Field(
        None, description="A file that holds the password. Default: none is sent. Read again when it changes."
    )
    password: InlineSecretText | None = Field(
        None, description="The password itself. Default: none. Only with `allow_inline_secrets`."
    )
    # A model of pydantic has something else by the name of schema.
    schema_name: SchemaName | None = Field(
        None,
        alias="schema",
        description="The schema that holds the tables. Default: the first of the role's search_path. A shadow has "
        "one of its own beside it, with `_shadow` behind its name: sevrouter_shadow by default.",
    )
    tls: Tls = Field(Tls(), description="How the connection is encrypted. Default: as its fields say.")
    connect_timeout: Wait = Field(
        timedelta(seconds=5),
        description="A duration from 1s to 1h. Default: 5s, so that a host that is gone is given up for the next one.",
    )
    statement_timeout: Wait = Field(
        timedelta(seconds=30),
        description="A duration from 1s to 1h. Default: 30s. What takes longer is ended, and Alertmanager asks again.",
    )
    lock_timeout: Wait = Field(
        timedelta(seconds=10),
        description="A duration from 1s to 1h. Default: 10s. How long a statement waits for what another one holds.",
    )

    @property
    def target(self) -> SqliteUrl | PostgresUrl:
        """What the address names."""
        return parse_store_url(self.url)


def check_store(document: Document) -> Iterator[Problem]:
    """Every setting that is not one of the store that is chosen, or that goes without what it needs."""
    store = document.at("store")
    if not isinstance(store, dict):
        return
    url = store.get("url")
    if "url" not in store or (isinstance(url, str) and url.startswith("sqlite:")):
        for key in store.keys() & _of_postgres():
            hint = "leave it out, or write url: postgresql://user@host/database"
            yield document.problem(
                ("store", key), "is for PostgreSQL, and this store is SQLite", hint=hint, at_key=True
            )
    tls = store.get("tls")
    if isinstance(url, str) and is_postgres(url) and isinstance(tls, dict):
        yield from _tls(document, tls)
        if tls.get("mode") != "disable" and _only_sockets(url):
            hint = "leave it out; what is said there never leaves the machine"
            yield document.problem(("store", "tls"), "a Unix socket has no TLS", hint=hint, at_key=True)


def _of_postgres() -> set[str]:
    return {field.alias or name for name, field in Store.model_fields.items()} - {"url"}


def _only_sockets(url: str) -> bool:
    try:
        target = parse_store_url(url)
    except FieldError:
        return False
    return isinstance(target, PostgresUrl) and all(is_socket(host) for host, _ in target.hosts)


def _tls(document: Document, tls: dict[str, Tree]) -> Iterator[Problem]:
    mode = tls.get("mode")
    useless = {"disable": TLS_FILES, "require": ("ca_file",)}.get(mode if isinstance(mode, str) else "", ())
    for key in (key for key in useless if key in tls):
        hint = "leave it out, or write mode: verify-full"
        yield document.problem(("store", "tls", key), f"is of no use with mode: {mode}", hint=hint, at_key=True)
    for key, other in (("cert_file", "key_file"), ("key_file", "cert_file")):
        if key in tls and other not in tls:
            hint = f"{key} goes together with it"
            yield document.problem(("store", "tls", other), "is missing", hint=hint, at_key=True)
