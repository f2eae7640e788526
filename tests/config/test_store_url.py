"""One line names a store, is refused in plain words, and shows no password whatever stands in it."""

from __future__ import annotations

import string
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sevrouter.config.problem import FieldError
from sevrouter.config.store_url import (
    PORT,
    PostgresUrl,
    SqliteUrl,
    is_local,
    parse_store_url,
    postgres_url,
)

SOCKET = "/run/postgresql"


def refusal(url: str) -> str:
    with pytest.raises(FieldError) as refused:
        parse_store_url(url)
    return f"{refused.value} ({refused.value.hint})"


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("postgresql://db/incidents", [("db", PORT)]),
        ("postgres://db/incidents", [("db", PORT)]),
        ("postgresql://db:/incidents", [("db", PORT)]),
        ("postgresql://db:6432/incidents", [("db", 6432)]),
        ("postgresql://a.example,b:5433,10.0.0.7/incidents", [("a.example", PORT), ("b", 5433), ("10.0.0.7", PORT)]),
        ("postgresql://[::1]:5433,[fe80::1]/incidents", [("::1", 5433), ("fe80::1", PORT)]),
        ("postgresql://%2Frun%2Fpostgresql:5433/incidents", [(SOCKET, 5433)]),
        ("postgresql:///incidents?host=/run/postgresql", [(SOCKET, PORT)]),
        ("postgresql://:5433/incidents?host=%2Frun%2Fpostgresql", [(SOCKET, 5433)]),
    ],
)  # fmt: skip
def test_hosts_are_read_as_libpq_reads_them(url: str, hosts: list[tuple[str, int]]) -> None:
    assert parse_store_url(url) == PostgresUrl(hosts=tuple(hosts), database="incidents", user=None)


def test_a_user_and_a_database_may_hold_anything_that_is_escaped() -> None:
    url = parse_store_url("postgresql://on%20call%40eu%3A1@db/a%2Fb%C3%A9")

    assert url == PostgresUrl(hosts=(("db", PORT),), database="a/bé", user="on call@eu:1")


def test_an_application_name_is_ours_unless_it_is_written() -> None:
    names = [parse_store_url(f"postgresql://db/x{query}") for query in ("", "?", "?application_name=sev%20eu")]

    assert [each.application_name for each in names if isinstance(each, PostgresUrl)] == [
        "sevrouter",
        "sevrouter",
        "sev eu",
    ]


@pytest.mark.parametrize(
    ("parameter", "setting"),
    [
        ("sslmode", "store.tls.mode"),
        ("ssl", "store.tls.mode"),
        ("sslrootcert", "store.tls.ca_file"),
        ("sslcert", "store.tls.cert_file"),
        ("sslkey", "store.tls.key_file"),
        ("passfile", "store.password_file"),
        ("PASSWORD", "password_file"),
        ("sslpassword", "password_file"),
        ("connect_timeout", "store.connect_timeout"),
        ("statement_timeout", "store.statement_timeout"),
        ("lock_timeout", "store.lock_timeout"),
        ("currentSchema", "store.schema"),
        ("options", "store.schema"),
        ("user", "user@host"),
        ("port", "host:5432"),
        ("dbname", "host/database"),
        ("hostaddr", "in place of the host"),
        ("target_session_attrs", "leave it out"),
        ("keepalives", "known: application_name"),
    ],
)
def test_a_parameter_that_has_a_setting_is_refused_with_its_name(parameter: str, setting: str) -> None:
    assert setting in refusal(f"postgresql://me@db/x?application_name=a&{parameter}=hunter2")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://a,/x", "names no host"),
        ("postgresql://a,,b/x", "names no host"),
        ("postgresql://me@/x", "names no host"),
        ("postgresql://db", "names no database"),
        ("postgresql://db?application_name=a", "names no database"),
        ("postgresql://db/x/", "more than a database"),
        ("postgresql://db:0/x", "has a port"),
        ("postgresql://db:65536/x", "has a port"),
        ("postgresql://db:000005432/x", "has a port"),
        ("postgresql://db:+5432/x", "has a port"),
        ("postgresql://db:\u0665/x", "has a port"),
        ("postgresql://[::1]5432/x", "has a port"),
        ("postgresql://[db]/x", "names a host"),
        ("postgresql://[10.0.0.1]/x", "names a host"),
        ("postgresql://[::1/x", "names a host"),
        ("postgresql://::1]/x", "names a host"),
        ("postgresql://::1/x", "names a host"),
        ("postgresql://-db/x", "names a host"),
        ("postgresql://run%2Fpostgresql/x", "names a host"),
        ("postgresql://me@eu@db/x", "holds an @"),
        ("postgresql://db/x?application_name=", "application_name"),
        ("postgresql://db/x?application_name=caf%C3%A9", "application_name"),
        ("postgresql://db/x?host=/run/postgresql", "parameter host"),
        ("postgresql:///x?host=/run,/tmp", "parameter host"),
        ("postgresql:///x?host=/run&host=/tmp", "twice"),
        ("postgresql://db/x#y", "cannot stand there"),
        ("postgresql://db/100%", "cannot stand there"),
        ("postgresql://db/a%00b", "cannot stand there"),
        ("postgresql://db/a\nb", "cannot stand there"),
        ("Postgresql://db/x", "is not a store"),
        ("mysql://db/x", "is not a store"),
    ],
)
def test_what_is_no_address_is_refused(url: str, words: str) -> None:
    assert words in refusal(url)


@given(st.text(string.printable + "é%@:/?#[]&=,", min_size=1))
@example("1/2")
@example("5432/x?application_name=a")
@example("5432/x?host=/run&y")
@example("12?3")
@example("@")
def test_a_password_is_refused_whatever_it_holds_and_never_shown(password: str) -> None:
    plain = refusal(f"postgresql://me:hunter2{password}@db/incidents")
    numbers = refusal(f"postgresql://me:1{password}@db/incidents")
    escaped = refusal(f"postgresql://me:hunter2{quote(password, safe='')}@db/incidents?application_name=a")

    assert "password" in plain
    assert "hunter2" not in plain + escaped
    assert "password" in numbers
    assert escaped == refusal("postgresql://me:x@db/incidents")


PRINTABLE = st.text(
    st.characters(exclude_categories=["C", "Z"]) | st.sampled_from(" @:/?#%&,[]"), min_size=1, max_size=20
)
NAMES = st.from_regex(r"[a-z0-9_][a-z0-9._-]{0,30}", fullmatch=True)
ADDRESSES = st.ip_addresses().map(str)
SOCKETS = PRINTABLE.map(lambda text: f"/{text}")
HOSTS = st.lists(st.tuples(NAMES | ADDRESSES | SOCKETS, st.integers(1, 65535)), min_size=1, max_size=4).map(tuple)


@given(hosts=HOSTS, database=PRINTABLE, user=st.none() | PRINTABLE)
def test_an_address_that_is_shown_can_be_read_again(
    hosts: tuple[tuple[str, int], ...], database: str, user: str | None
) -> None:
    assert parse_store_url(postgres_url(hosts, database, user)) == PostgresUrl(hosts, database, user)


@given(st.text())
def test_whatever_is_written_is_read_or_refused_with_a_hint(text: str) -> None:
    for url in (text, f"sqlite:{text}", f"postgresql:{text}", f"postgresql://{text}", f"postgres://db/x?{text}"):
        try:
            parse_store_url(url)
        except FieldError as error:
            hint = error.hint
        else:
            continue
        assert hint


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.9.1", "::1", SOCKET])
def test_this_machine_is_local(host: str) -> None:
    assert is_local(host)


@pytest.mark.parametrize("host", ["db", "localhost.example", "10.0.0.1", "192.168.0.1", "fe80::1", "0.0.0.0"])
def test_another_machine_is_not(host: str) -> None:
    assert not is_local(host)


def test_a_file_of_sqlite_stays_as_it_is_written() -> None:
    files = ["a b.db", "/var/lib/x.db", "////var/lib/x.db"]

    assert [parse_store_url(f"sqlite:{file}") for file in files] == [
        SqliteUrl("a b.db"),
        SqliteUrl("/var/lib/x.db"),
        SqliteUrl("/var/lib/x.db"),
    ]
