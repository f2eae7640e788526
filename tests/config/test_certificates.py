"""Files of certificates and keys are tried before a connection needs them."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from sevrouter.config.certificates import check_certificates
from sevrouter.config.document import parse

if TYPE_CHECKING:
    from pathlib import Path

CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")


def certified(folder: Path, name: str, *, pass_phrase: str = "") -> None:
    """Make NAME.crt and NAME.key, the key with a pass phrase where one is given."""
    phrase = ("-passout", f"pass:{pass_phrase}") if pass_phrase else ("-nodes",)
    files = ("-keyout", folder / f"{name}.key", "-out", folder / f"{name}.crt")
    subprocess.run(
        ["openssl", "req", "-x509", *CURVE, *phrase, *files, "-subj", f"/CN={name}"], check=True, capture_output=True
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two certificates with their keys, one whose key has a pass phrase, and both in one file."""
    folder = tmp_path_factory.mktemp("certificates")
    certified(folder, "ours")
    certified(folder, "theirs")
    certified(folder, "locked", pass_phrase="hunter2")
    (folder / "both.pem").write_text((folder / "ours.crt").read_text() + (folder / "ours.key").read_text())
    (folder / "broken.crt").write_text((folder / "ours.crt").read_text()[:120])
    (folder / "empty").touch()
    return folder


def problems(folder: Path, tls: str) -> list[str]:
    document = parse("sevrouter.yaml", f"store: {{tls: {{{tls}}}}}")
    return [f"{each.path}: {each.message}" for each in check_certificates(document, folder)]


@pytest.mark.parametrize(
    "tls",
    [
        "mode: verify-full",
        "ca_file: ours.crt",
        "ca_file: both.pem",
        "cert_file: ours.crt, key_file: ours.key",
        "cert_file: both.pem, key_file: both.pem",
        "ca_file: theirs.crt, cert_file: ours.crt, key_file: ours.key",
    ],
)
def test_files_that_can_be_used_are_fine(folder: Path, tls: str) -> None:
    assert problems(folder, tls) == []


@pytest.mark.parametrize("file", ["ours.key", "broken.crt", "empty"])
def test_an_authority_is_a_certificate(folder: Path, file: str) -> None:
    assert problems(folder, f"ca_file: {file}") == [
        "store.tls.ca_file: the file named here holds no certificate in PEM"
    ]


@pytest.mark.parametrize(
    ("cert", "key"),
    [("ours.crt", "theirs.key"), ("ours.key", "ours.crt"), ("locked.crt", "locked.key"), ("ours.crt", "empty")],
)
def test_a_certificate_goes_with_its_key_and_nobody_is_asked_for_a_pass_phrase(
    folder: Path, cert: str, key: str
) -> None:
    (problem,) = problems(folder, f"cert_file: {cert}, key_file: {key}")

    assert problem.startswith("store.tls.cert_file: the file named here and key_file hold no certificate and its key")


def test_each_file_that_is_not_there_is_said(folder: Path) -> None:
    assert problems(folder, "ca_file: nowhere, cert_file: '.', key_file: ours.key") == [
        "store.tls.ca_file: the file named here cannot be read: No such file or directory",
        "store.tls.cert_file: the file named here is a directory",
    ]
