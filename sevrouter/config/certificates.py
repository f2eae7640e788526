"""Whether the files of TLS can be used. Knows files of certificates and keys; keeps and shows nothing of them."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from sevrouter.config.secret import SecretError, beginning, signature
from sevrouter.config.storage import TLS_FILES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sevrouter.config.document import Document
    from sevrouter.config.problem import Problem


def check_certificates(document: Document, base: Path) -> Iterator[Problem]:
    """Every file of `store.tls` that is not there or holds something else. A relative name starts at `base`."""
    files: dict[str, Path] = {}
    for key in TLS_FILES:
        name = document.at("store", "tls", key)
        if not isinstance(name, str) or not name.strip():
            continue
        try:
            beginning(base / name)
        except SecretError as error:
            hint = "a relative name starts at the configuration's directory" if signature(base / name) is None else ""
            yield _problem(document, key, str(error), hint)
        else:
            files[key] = base / name
    if "ca_file" in files and not _holds_certificates(files["ca_file"]):
        yield _problem(document, "ca_file", "holds no certificate in PEM")
    if {"cert_file", "key_file"} <= files.keys() and not _fit(files["cert_file"], files["key_file"]):
        reason = "and key_file hold no certificate and its key in PEM, without a pass phrase"
        yield _problem(document, "cert_file", reason)


def _problem(document: Document, key: str, reason: str, hint: str = "") -> Problem:
    return document.problem(("store", "tls", key), f"the file named here {reason}", hint=hint)


def _holds_certificates(file: Path) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(file)
    except (OSError, ValueError):
        return False
    return bool(context.cert_store_stats()["x509"])


def _fit(cert_file: Path, key_file: Path) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        # Without a pass phrase to give, OpenSSL would ask the terminal for it, and wait.
        context.load_cert_chain(cert_file, key_file, password="")
    except (OSError, ValueError):
        return False
    return True
