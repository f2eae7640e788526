"""Files named after their one mistake, with what is said of it in their first lines; files that are fine."""

from __future__ import annotations

from pathlib import Path

import pytest

from sevrouter.config import Configuration, ConfigurationError, load

HERE = Path(__file__).parent
BAD = sorted((HERE / "bad").glob("*.yaml"))
GOOD = sorted((HERE / "good").glob("*.yaml"))

# What stands for a secret in these files, and what belongs to the machinery rather than to the reader.
SECRETS = ("hunter", "xoxb")
JARGON = (
    "pydantic",
    "Input",
    "input",
    "validation",
    "tuple",
    "dict",
    "NoneType",
    "str_",
    "[type=",
    "<class",
    "object at",
)


def promised(path: Path, word: str) -> list[str]:
    """The lines `# expect: …` at the top of a file."""
    prefix = f"# {word}: "
    return [line.removeprefix(prefix) for line in path.read_text().splitlines() if line.startswith(prefix)]


def said(path: Path, problems: tuple[object, ...]) -> list[str]:
    """The problems as they are printed, without the name of the file."""
    return [str(problem).removeprefix(f"{path}:").lstrip() for problem in problems]


def test_there_are_files() -> None:
    assert len(BAD) > 100
    assert len(GOOD) > 20


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_a_bad_file_is_refused_with_exactly_its_problems(path: Path) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load(path)

    assert promised(path, "expect")
    assert said(path, refused.value.problems) == promised(path, "expect")


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_a_refusal_shows_no_secret_and_no_jargon(path: Path) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load(path)

    text = f"{refused.value} {refused.value!r} {refused.value.__cause__!r}".replace(str(HERE), "")
    assert not [word for word in (*SECRETS, *JARGON) if word in text]


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_a_bad_file_is_refused_without_its_secrets_too_unless_they_are_what_is_wrong(path: Path) -> None:
    only_the_file_is_wrong = "the file named here" in " ".join(promised(path, "expect"))

    if only_the_file_is_wrong:
        assert load(path, secrets=False).path == path
    else:
        with pytest.raises(ConfigurationError):
            load(path, secrets=False)


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_a_good_file_warns_of_exactly_what_it_says(path: Path) -> None:
    configuration = load(path)

    assert isinstance(configuration, Configuration)
    assert said(path, configuration.warnings) == promised(path, "warn")
    assert bool(configuration.warnings) == path.stem.startswith("warns-")


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_a_configuration_shows_no_secret(path: Path) -> None:
    text = repr(load(path))

    assert not [
        word for word in ("hunter", "xoxb", "R0UT1NG", "bearer-one", "password-one", "jira-inline") if word in text
    ]
