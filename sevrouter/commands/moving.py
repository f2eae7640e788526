"""`migrate --from … --to …`: moves all that a team has from SQLite to PostgreSQL, or back.

What speaks to PostgreSQL (password, TLS, schema) comes from a configuration alone, so an address of it is only
compared: what is moved to is then also what the next `serve` with that configuration finds.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from sevrouter.commands import GOOD
from sevrouter.commands.terminal import CommandError, config_path, load_config, say
from sevrouter.config import PostgresSettings, SqliteSettings, StoreSettings
from sevrouter.config.problem import FieldError
from sevrouter.config.store_url import PostgresUrl, SqliteUrl, is_postgres, parse_store_url, postgres_url
from sevrouter.opening import open_database
from sevrouter.store.move import move as move_all

if TYPE_CHECKING:
    import argparse


def move(arguments: argparse.Namespace) -> int:
    """Move everything, and say how much it was."""
    if arguments.shadow:
        raise CommandError("a shadow is not moved: it starts anew beside its real one")
    source, target = (_settings(each, arguments.config) for each in (arguments.source, arguments.target))
    if type(source) is type(target):
        raise CommandError(
            f"{source} and {target} are of one kind; between SQLite and PostgreSQL is what this moves "
            "(for others: copy the file of a stopped sevrouter, or pg_dump)"
        )
    if isinstance(source, SqliteSettings) and not source.path.is_file():
        raise CommandError(f"there is no database at {source.path}")
    with closing(open_database(source, shadow=False)) as old, closing(open_database(target, shadow=False)) as new:
        moved = move_all(old, new)
    for table, count in moved.items():
        say(f"{count:>10}  {table}")
    say(f"moved from {source} to {target}; the former is as it was: let no sevrouter serve from it any more")
    return GOOD


def _settings(named: str | None, config: Path | None) -> StoreSettings:
    if named is None:
        return load_config(config, secrets=False).store
    if not named.startswith("sqlite:") and not is_postgres(named):
        return load_config(Path(named), secrets=False).store
    try:
        url = parse_store_url(named)
    except FieldError as error:
        raise CommandError(f"the store {error} (hint: {error.hint})") from None
    if isinstance(url, SqliteUrl):
        return SqliteSettings(Path(url.file).absolute())
    return _configured(url, config)


def _configured(url: PostgresUrl, config: Path | None) -> PostgresSettings:
    store = load_config(config, secrets=False).store
    wanted = (url.hosts, url.database, url.user)
    if isinstance(store, PostgresSettings) and wanted == (store.hosts, store.database, store.user):
        return store
    address = postgres_url(*wanted)
    raise CommandError(
        f"{config_path(config)} keeps its incidents in {store}, not in {address}: write that as its store.url, "
        "with password_file and tls beside it, or name another configuration by --config"
    )
