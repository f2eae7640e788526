"""What is written of the store becomes one value: with its defaults, without a secret, and one for a shadow."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from sevrouter.config import (
    ConfigurationError,
    PostgresSettings,
    SecretError,
    SqliteSettings,
    StoreSettings,
    TlsSettings,
    load,
)
from sevrouter.config.quantity import parse_duration
from sevrouter.config.secret import InlineSecret, SecretFile

Write = Callable[..., Path]
Stored = Callable[[str], StoreSettings]
Postgres = Callable[[str], PostgresSettings]

ELSEWHERE = "url: 'postgresql://me@db/incidents'"


@pytest.fixture
def stored(write: Write, smallest: str) -> Stored:
    """The store of a configuration that says this of it."""
    return lambda store: load(write(f"{smallest}store: {{{store}}}\n")).store


@pytest.fixture
def postgres(stored: Stored) -> Postgres:
    """The same where it is PostgreSQL."""

    def settings(store: str) -> PostgresSettings:
        found = stored(store)
        assert isinstance(found, PostgresSettings)
        return found

    return settings


def test_what_is_not_written_of_postgresql_has_its_default(postgres: Postgres) -> None:
    assert postgres("url: 'postgresql://localhost/incidents'") == PostgresSettings(
        hosts=(("localhost", 5432),),
        database="incidents",
        user=None,
        password=None,
        tls=None,
        schema=None,
        application_name="sevrouter",
        connect_timeout=timedelta(seconds=5),
        statement_timeout=timedelta(seconds=30),
        lock_timeout=timedelta(seconds=10),
    )


def test_what_is_written_of_postgresql_is_taken() -> None:
    path = Path(__file__).parent / "good" / "store-postgresql.yaml"
    secrets = path.parent / "secrets"

    assert load(path).store == PostgresSettings(
        hosts=(("db-1.example", 5432), ("db-2.example", 5433)),
        database="sevrouter",
        user="sevrouter",
        password=SecretFile(secrets / "good"),
        tls=TlsSettings(mode="verify-ca", ca_file=secrets / "ca.pem"),
        schema="alerts",
        application_name="sevrouter-eu",
        connect_timeout=timedelta(seconds=2),
        statement_timeout=timedelta(minutes=1),
        lock_timeout=timedelta(seconds=20),
    )


@pytest.mark.parametrize("host", ["db", "10.0.0.1", "localhost,db", "%2Frun%2Fpostgresql,db"])
def test_a_host_that_is_not_this_machine_has_to_prove_who_it_is(postgres: Postgres, host: str) -> None:
    assert postgres(f"url: 'postgresql://{host}/x'").tls == TlsSettings(mode="verify-full")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "%2Frun%2Fpostgresql", "localhost,127.0.0.1"])
def test_what_stays_on_this_machine_is_not_encrypted(postgres: Postgres, host: str) -> None:
    assert postgres(f"url: 'postgresql://{host}/x'").tls is None


@pytest.mark.parametrize(
    ("tls", "mode"),
    [
        ("{}", "verify-full"),
        ("{mode: disable}", None),
        ("{mode: require}", "require"),
        ("{mode: verify-ca}", "verify-ca"),
        ("{mode: verify-full}", "verify-full"),
    ],
)
def test_the_mode_that_is_written_counts(postgres: Postgres, tls: str, mode: str | None) -> None:
    found = postgres(f"{ELSEWHERE}, tls: {tls}").tls

    assert (found.mode if found else None) == mode


def test_whoever_names_a_certificate_wants_tls_on_this_machine_too(postgres: Postgres, write: Write) -> None:
    ca = write((Path(__file__).parent / "good" / "secrets" / "ca.pem").read_bytes(), "ca.pem")

    settings = postgres("url: 'postgresql://localhost/x', tls: {ca_file: ca.pem}")

    assert settings.tls == TlsSettings(mode="verify-full", ca_file=ca)


def test_the_password_is_the_one_that_is_in_the_file_now(postgres: Postgres, write: Write) -> None:
    write("hunter2\n", "password")
    settings = postgres(f"{ELSEWHERE}, password_file: password")
    assert settings.password is not None
    before = settings.password()
    write("hunter2000\n", "password")

    assert (before, settings.password()) == ("hunter2", "hunter2000")


def test_the_password_alone_can_be_read_where_secrets_were_not_loaded(write: Write, smallest: str) -> None:
    call = smallest.replace("{type: console}", "{type: pagerduty, routing_key_file: nowhere}")
    store = load(write(f"{call}store: {{{ELSEWHERE}, password_file: password}}\n"), secrets=False).store
    assert isinstance(store, PostgresSettings)
    assert store.password is not None

    with pytest.raises(SecretError, match="password cannot be read: No such file"):
        store.password()
    write("hunter2\n", "password")
    assert store.password() == "hunter2"
    assert "hunter2" not in repr(store)


def test_without_secrets_certificates_are_not_looked_at(write: Write, smallest: str) -> None:
    path = write(f"{smallest}store: {{{ELSEWHERE}, tls: {{ca_file: nowhere}}}}\n")

    assert isinstance(load(path, secrets=False).store, PostgresSettings)
    with pytest.raises(ConfigurationError, match="the file named here cannot be read"):
        load(path)


def test_files_are_relative_to_the_directory_of_the_configuration(
    write: Write, smallest: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = "{ca_file: tls/ca, cert_file: /etc/cert, key_file: key}"
    write(f"{smallest}store: {{{ELSEWHERE}, password_file: password, tls: {tls}}}\n", "conf/sevrouter.yaml")
    write("hunter2", "conf/password")
    monkeypatch.chdir(tmp_path)
    store = load(Path("conf/sevrouter.yaml"), secrets=False).store
    monkeypatch.chdir("/")

    assert isinstance(store, PostgresSettings)
    assert store.tls is not None
    assert store.tls.ca_file == tmp_path / "conf" / "tls" / "ca"
    assert store.tls.cert_file == Path("/etc/cert")
    assert store.tls.key_file == tmp_path / "conf" / "key"
    assert store.password is not None
    assert store.password() == "hunter2"


def test_a_shadow_has_a_store_of_its_own(stored: Stored, postgres: Postgres, tmp_path: Path) -> None:
    assert stored("url: 'sqlite:a.db'").in_shadow() == SqliteSettings(tmp_path / "a.db.shadow")
    assert postgres(ELSEWHERE).in_shadow().schema == "sevrouter_shadow"
    assert postgres(f"{ELSEWHERE}, schema: alerts").in_shadow().schema == "alerts_shadow"
    assert postgres(ELSEWHERE).in_shadow().hosts == (("db", 5432),)


def test_the_shadow_of_the_longest_schema_still_fits(postgres: Postgres) -> None:
    assert len(postgres(f"{ELSEWHERE}, schema: {'a' * 56}").in_shadow().schema or "") == 63
    for name in ("a" * 57, "pg_temp", "1a", "a-b", "a;drop", '"a"', "é"):
        with pytest.raises(ConfigurationError, match="is not the name of a schema"):
            postgres(f"{ELSEWHERE}, schema: '{name}'")


def test_as_text_it_is_an_address_without_a_secret(stored: Stored, postgres: Postgres, write: Write) -> None:
    write("hunter2", "password")
    settings = postgres("url: 'postgresql://m%40e@db,[::1]:5433/x?application_name=a', password_file: password")

    assert str(settings) == "postgresql://m%40e@db:5432,[::1]:5433/x"
    assert str(stored("url: 'sqlite:/a/b.db'")) == "sqlite:/a/b.db"
    assert "hunter2" not in f"{settings!r} {settings} {settings.password!r}"


def test_an_inline_password_is_not_shown(write: Write, smallest: str) -> None:
    store = load(write(f"{smallest}allow_inline_secrets: true\nstore: {{{ELSEWHERE}, password: hunter2}}\n")).store

    assert isinstance(store, PostgresSettings)
    assert store.password == InlineSecret("hunter2")
    assert "hunter2" not in f"{store!r} {store}"


@pytest.mark.parametrize("setting", ["connect_timeout", "statement_timeout", "lock_timeout"])
def test_a_wait_is_between_a_second_and_an_hour(postgres: Postgres, setting: str) -> None:
    for within in ("1s", "1h"):
        assert getattr(postgres(f"{ELSEWHERE}, {setting}: {within}"), setting) == parse_duration(within)
    for beyond in ("0s", "1h1s"):
        with pytest.raises(ConfigurationError, match=rf"store\.{setting}: is (shorter than a second|longer than an h)"):
            postgres(f"{ELSEWHERE}, {setting}: {beyond}")


def test_everything_that_is_wrong_with_a_store_comes_at_once(stored: Stored) -> None:
    with pytest.raises(ConfigurationError) as refused:
        stored("url: 'postgresql://me:hunter2@db/x', password_file: no, tls: {mode: no, key_file: no}, schema: A")

    assert [problem.path for problem in refused.value.problems] == [
        "store.url",
        "store.password_file",
        "store.tls.cert_file",
        "store.tls.mode",
        "store.tls.key_file",
        "store.schema",
    ]


def test_every_setting_of_postgresql_is_refused_beside_sqlite(stored: Stored) -> None:
    others = "password_file: a, schema: a, tls: {}, connect_timeout: 1s, statement_timeout: 2s, lock_timeout: 1s"
    for url in ("", "url: 'sqlite:a.db', "):
        with pytest.raises(ConfigurationError) as refused:
            stored(url + others)

        said = [problem for problem in refused.value.problems if "is for PostgreSQL" in problem.message]
        assert len(said) == 6
