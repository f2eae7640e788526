"""Prometheus as it is asked: an answer for everything that can come back, and nothing told that must not be."""

from __future__ import annotations

import asyncio
import json
import math
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from sevrouter.domain.promql import QueryAnswer, QueryProblem, QueryTemplate, Series
from sevrouter.sources.answers import LONGEST_DETAIL, MOST_SERIES, MOST_WARNINGS, read_answer
from sevrouter.sources.connection import MOST_AT_ONCE, Basic, Bearer, open_session
from sevrouter.sources.prometheus import LARGEST_ANSWER
from sevrouter.sources.prometheus import Prometheus as Source
from tests.real.ports import free_port
from tests.real.prometheus import RealPrometheus
from tests.standins.prometheus import PASSWORD, TOKEN, USER, Prometheus, failure, success, vector
from tests.standins.server import a_server, a_server_that_says

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

P = QueryProblem


@asynccontextmanager
async def open_prometheus(url: str, **options: Any) -> AsyncIterator[Source]:
    """A Prometheus with connections of its own."""
    async with open_session() as session:
        yield Source(session, url=url, **options)


@pytest_asyncio.fixture
async def standin() -> AsyncIterator[Prometheus]:
    """A Prometheus that everybody may ask, and that must be asked correctly."""
    async with Prometheus() as vendor:
        yield vendor
        vendor.assert_nothing_unexpected()


async def ask_at(url: str, query: str = "up", **options: Any) -> QueryAnswer:
    """One question by a client of its own."""
    async with open_prometheus(url, **options) as prometheus:
        return await prometheus.ask(query)


async def ask(standin: Prometheus, query: str = "up", **options: Any) -> QueryAnswer:
    """The same, of the fake Prometheus."""
    return await ask_at(standin.url, query, **options)


# What it answers


async def test_a_vector_gives_the_number_of_each_series_with_its_labels(standin: Prometheus) -> None:
    standin.reply = success(vector("12.5", "-Inf", "1e+06", job="a"))
    answer = await ask(standin)
    assert answer == QueryAnswer((
        Series({"job": "a", "n": "0"}, 12.5),
        Series({"job": "a", "n": "1"}, -math.inf),
        Series({"job": "a", "n": "2"}, 1e6),
    ))  # fmt: skip


async def test_a_scalar_gives_one_number_without_labels(standin: Prometheus) -> None:
    standin.reply = success({"resultType": "scalar", "result": [1700000000, "3"]})
    assert await ask(standin) == QueryAnswer((Series({}, 3.0),))


async def test_no_series_are_no_data(standin: Prometheus) -> None:
    standin.reply = success(vector(), warnings=["a store is away"])
    assert await ask(standin) == QueryAnswer(problem=P.EMPTY, detail="no series", warnings=("a store is away",))


@pytest.mark.parametrize(
    ("data", "detail", "kept"),
    [
        (vector("1", "NaN", "2"), "1 of 3 series NaN", [1.0, None, 2.0]),
        ({"resultType": "scalar", "result": [0, "NaN"]}, "1 of 1 series NaN", [None]),
    ],
)
async def test_nan_is_no_number_and_the_numbers_beside_it_are_kept(
    standin: Prometheus, data: dict[str, Any], detail: str, kept: list[float | None]
) -> None:
    standin.reply = success(data)
    answer = await ask(standin)
    assert (answer.problem, answer.detail) == (P.NOT_A_NUMBER, detail)
    assert [None if math.isnan(each.number) else each.number for each in answer.series] == kept


async def test_warnings_and_infos_are_kept_some_of_them_each_as_a_line(standin: Prometheus) -> None:
    standin.reply = success(
        vector("1"), warnings=["not all\nstores", "x" * 9_000], infos=[f"info {n}" for n in range(9)]
    )
    warnings = (await ask(standin)).warnings
    assert len(warnings) == MOST_WARNINGS
    assert (warnings[0], len(warnings[1]), warnings[2]) == ("not all stores", LONGEST_DETAIL, "info 0")


def test_as_many_series_as_are_read_are_whole_and_one_more_is_too_many() -> None:
    def answered(count: int) -> QueryAnswer:
        return read_answer(200, json.dumps({"status": "success", "data": vector(*["1"] * count)}).encode())

    assert len(answered(MOST_SERIES).series) == MOST_SERIES
    answer = answered(MOST_SERIES + 1)
    assert (answer.problem, answer.series) == (P.TOO_MANY, ())
    assert "10001 series" in answer.detail
    assert "sum()" in answer.detail


@pytest.mark.parametrize(
    ("status", "error_type", "problem"),
    [
        (400, "bad_data", P.BAD_QUERY),
        (422, "execution", P.BAD_QUERY),
        (422, "422", P.BAD_QUERY),
        (400, "", P.BAD_QUERY),
        (503, "timeout", P.TIMED_OUT),
        (422, "timeout", P.TIMED_OUT),
        (503, "canceled", P.AWAY),
        (499, "canceled", P.AWAY),
        (503, "unavailable", P.AWAY),
        (500, "internal", P.AWAY),
        (200, "execution", P.BAD_QUERY),
        (200, "internal", P.AWAY),
        (200, "unavailable", P.AWAY),
        (200, "unheard_of", P.UNREADABLE),
        (404, "not_found", P.UNREADABLE),
        (401, "bad_data", P.REFUSED),
        (403, "execution", P.REFUSED),
        (429, "too_many_requests", P.AWAY),
    ],
)
async def test_an_error_in_the_words_of_the_api(
    standin: Prometheus, status: int, error_type: str, problem: QueryProblem
) -> None:
    standin.reply = failure(status, error_type, "parse error\nhere")
    answer = await ask(standin)
    assert answer == QueryAnswer(problem=problem, detail=f"answered {status}: parse error here")


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        (301, P.REFUSED), (302, P.REFUSED), (307, P.REFUSED), (308, P.REFUSED), (400, P.UNREADABLE),
        (401, P.REFUSED), (403, P.REFUSED), (404, P.UNREADABLE), (405, P.UNREADABLE), (407, P.REFUSED),
        (408, P.TIMED_OUT), (413, P.UNREADABLE), (422, P.UNREADABLE), (429, P.AWAY), (500, P.AWAY), (502, P.AWAY),
        (503, P.AWAY), (504, P.AWAY), (200, P.UNREADABLE), (204, P.UNREADABLE),
    ],
)  # fmt: skip
async def test_a_page_of_something_in_between(standin: Prometheus, status: int, problem: QueryProblem) -> None:
    standin.fail_next(status, body="<html>Log in</html>" if status != 204 else "", content_type="text/html")
    answer = await ask(standin)
    assert (answer.problem, answer.series) == (problem, ())
    assert answer.detail.startswith(f"answered {status}")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"7",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"status": "success"}',
        b'{"status": 7}',
        b'{"status": "\xff"}',
        b'{"status": "success", "data": null}',
        b'{"status": "success", "data": {"resultType": "vector"}}',
        b'{"status": "success", "data": {"resultType": "vector", "result": null}}',
        b'{"status": "success", "data": {"resultType": "vector", "result": {}}}',
        b'{"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}}]}}',
        b'{"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}, "histogram": [1, {}]}]}}',
        b'{"status": "success", "data": {"resultType": "vector", "result": [{"metric": {"a": 1}, "value": [1, "1"]}]}}',
        b'{"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}, "value": [1, "one"]}]}}',
        b'{"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}, "value": [1, 2]}]}}',
        b'{"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}, "value": [1, NaN]}]}}',
        b'{"status": "success", "data": {"resultType": "scalar", "result": "1"}}',
        b'{"status": "success", "data": {"resultType": "scalar", "result": [1, "\xff"]}}',
        b'{"status": "success", "data": {"resultType": "string", "result": [1, "text"]}}',
        b'{"status": "success", "data": {"resultType": "matrix", "result": []}}',
        b'{"status": "success", "data": {"resultType": "", "result": ' + b"[" * 100_000 + b"}}",
    ],
)
async def test_an_answer_of_another_shape_is_unreadable(standin: Prometheus, body: bytes) -> None:
    standin.fail_next(200, body=body)
    answer = await ask(standin)
    assert (answer.problem, answer.series) == (P.UNREADABLE, ())
    assert answer.detail.startswith("answered 200")
    assert len(answer.detail) <= 400


def test_what_is_no_single_number_is_told_with_what_to_ask_instead() -> None:
    matrix = read_answer(200, b'{"status": "success", "data": {"resultType": "matrix", "result": []}}')
    assert "max_over_time" in matrix.detail


@pytest.mark.parametrize(
    ("status", "word", "problem"),
    [
        (500, "success", P.AWAY),
        (302, "success", P.REFUSED),
        (400, "success", P.UNREADABLE),
        (400, "fail", P.UNREADABLE),
    ],
)
def test_numbers_beside_another_status_are_not_believed(status: int, word: str, problem: QueryProblem) -> None:
    body = {"status": word, "data": vector("1"), "errorType": "", "error": ""}
    answer = read_answer(status, json.dumps(body).encode())
    assert (answer.problem, answer.series) == (problem, ())


@pytest.mark.parametrize("warnings", [b"null", b"7", b'"x"', b"[7, null]", b"{}"])
def test_warnings_of_another_shape_do_not_cost_the_numbers(warnings: bytes) -> None:
    data = b'{"resultType": "scalar", "result": [1, "2"]}'
    answer = read_answer(200, b'{"status": "success", "data": %b, "warnings": %b}' % (data, warnings))
    assert answer == QueryAnswer((Series({}, 2.0),))


async def test_an_answer_that_is_too_large_is_not_read_to_its_end(standin: Prometheus) -> None:
    number = b'{"status": "success", "data": {"resultType": "scalar", "result": [1, "2"]}'
    standin.fail_next(200, body=number + b" " * (LARGEST_ANSWER - len(number) - 1) + b"}")
    assert (await ask(standin)).problem is None
    standin.fail_next(200, body=number + b" " * (LARGEST_ANSWER - len(number)) + b"}")
    answer = await ask(standin)
    assert answer.problem is P.UNREADABLE
    assert "more than 8 MiB" in answer.detail


# How it is asked


async def test_it_is_asked_by_a_form_and_told_how_long_we_wait(standin: Prometheus) -> None:
    standin.prefix = "/prometheus"
    query = 'sum(up{pod="a&b=c+d é%20\\n"}) # x'
    async with open_prometheus(f"{standin.url}/prometheus/", answer_within=2.5) as prometheus:
        assert (await prometheus.ask(query)).problem is None
    assert standin.asked == [{"query": query, "timeout": "2500ms"}]


async def test_half_a_character_is_no_query(standin: Prometheus) -> None:
    assert (await ask(standin, "up\ud800")).problem is P.BAD_QUERY
    assert standin.requests == []


@pytest.mark.parametrize("credentials", [Bearer(lambda: TOKEN), Basic(USER, lambda: PASSWORD)])
async def test_it_lets_us_in_with_a_token_or_a_password(standin: Prometheus, credentials: Bearer | Basic) -> None:
    standin.secured = True
    assert (await ask(standin, credentials=credentials)).problem is None


async def test_a_secret_that_is_rotated_is_the_new_one_at_the_next_question(standin: Prometheus) -> None:
    standin.secured = True
    token = "old"
    async with open_prometheus(standin.url, credentials=Bearer(lambda: token)) as prometheus:
        standin.allow_refusals()
        assert (await prometheus.ask("up")).problem is P.REFUSED
        token = TOKEN
        assert (await prometheus.ask("up")).problem is None


def _unreadable() -> str:
    raise ValueError("the file holds s3cr3t")


@pytest.mark.parametrize("secret", [_unreadable, lambda: "s3cr3t\n", lambda: "s3cr3té", lambda: ""])
async def test_a_secret_that_cannot_be_sent_is_a_refusal_and_is_not_told(
    standin: Prometheus, secret: Callable[[], str]
) -> None:
    answer = await ask(standin, credentials=Bearer(secret))
    assert answer.problem is P.REFUSED
    assert "s3cr3t" not in repr(answer)
    assert standin.requests == []


@pytest.mark.parametrize("credentials", [Bearer(lambda: TOKEN), Basic(USER, lambda: PASSWORD)])
async def test_an_answer_that_echoes_a_secret_is_told_without_it(
    standin: Prometheus, credentials: Bearer | Basic
) -> None:
    header, _ = credentials.read()
    echo = f"you sent {header}, which is {PASSWORD} of {USER}:{PASSWORD}" if isinstance(credentials, Basic) else header
    answers = []
    for reply in (failure(400, "bad_data", echo), success(vector(), warnings=[echo]), success(vector(echo))):
        standin.secured, standin.reply = True, reply
        answers.append(await ask(standin, credentials=credentials))
    standin.fail_next(500, body=echo)
    answers.append(await ask(standin, credentials=credentials))
    told = repr(answers)
    assert told.count("[redacted]") >= 4
    for secret in (TOKEN, PASSWORD, header.split()[1]):
        assert secret not in told
    assert TOKEN not in repr(credentials)


async def test_an_error_that_holds_a_secret_is_told_without_it() -> None:
    async with a_server_that_says(f"HTTP/1.1 {TOKEN}\r\n\r\n".encode()) as url:
        answer = await ask_at(url, credentials=Bearer(lambda: TOKEN))
    assert answer.problem is P.UNREADABLE
    assert "[redacted]" in answer.detail
    assert TOKEN not in answer.detail


async def test_cookies_are_not_kept(standin: Prometheus) -> None:
    standin.fail_next(500, headers={"Set-Cookie": "a=b"})
    # Cookies of bare addresses would not be kept anyway.
    async with open_prometheus(standin.url.replace("127.0.0.1", "localhost")) as prometheus:
        assert [(await prometheus.ask("up")).problem for _ in range(2)] == [P.AWAY, None]
    assert ["Cookie" in seen.headers for seen in standin.requests] == [False, False]


async def test_a_redirect_is_not_followed(standin: Prometheus) -> None:
    async with Prometheus() as elsewhere:
        standin.fail_next(307, headers={"Location": f"{elsewhere.url}/api/v1/query"})
        answer = await ask(standin, credentials=Bearer(lambda: TOKEN))
        assert elsewhere.requests == []
    assert (answer.problem, answer.detail) == (P.REFUSED, "answered 307: a redirect, which is not followed")


# When it does not answer


async def test_one_that_hangs_is_not_waited_for(standin: Prometheus) -> None:
    standin.hang()
    async with asyncio.timeout(5):
        answer = await ask(standin, answer_within=0.1)
    assert (answer.problem, answer.series) == (P.TIMED_OUT, ())


async def test_one_that_stops_half_way_is_not_waited_for() -> None:
    async def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{"status"')
        await writer.drain()
        await reader.read()

    async with asyncio.timeout(5), a_server(begin) as url:
        assert (await ask_at(url, answer_within=0.1)).problem is P.TIMED_OUT


async def test_a_connection_that_does_not_come_about_is_away_before_the_answer_is_late() -> None:
    # TLS is part of connecting, and a server that says nothing never gets through with it.
    async def listen(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with asyncio.timeout(5), a_server(listen) as url:
        answer = await ask_at(url.replace("http:", "https:"), connect_within=0.1)
    assert answer.problem is P.AWAY


async def test_a_wait_for_a_free_connection_is_no_sign_of_being_away(standin: Prometheus) -> None:
    hanging = [standin.hang() for _ in range(MOST_AT_ONCE)]
    async with open_prometheus(standin.url, connect_within=0.3) as prometheus, asyncio.TaskGroup() as tasks:
        asked = [tasks.create_task(prometheus.ask("up")) for _ in range(MOST_AT_ONCE + 1)]
        for hang in hanging:
            await hang.arrived.wait()
        await asyncio.sleep(0.4)
        assert len(standin.requests) == MOST_AT_ONCE
        for hang in hanging:
            hang.release()
    assert {task.result().problem for task in asked} == {None}


@pytest.mark.parametrize("misbehave", ["reset_before", "lose_answer"])
async def test_a_connection_that_is_cut_is_away_and_the_next_question_is_answered(
    standin: Prometheus, misbehave: str
) -> None:
    async with open_prometheus(standin.url) as prometheus:
        getattr(standin, misbehave)()
        assert (await prometheus.ask("up")).problem is P.AWAY
        assert (await prometheus.ask("up")).problem is None
    assert len(standin.requests) == 2


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (b"", P.AWAY),
        (b"HTTP/1.1 200", P.AWAY),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{", P.AWAY),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc", P.AWAY),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", P.UNREADABLE),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n", P.UNREADABLE),
    ],
)
async def test_an_answer_that_is_broken_is_no_answer(said: bytes, problem: QueryProblem) -> None:
    async with a_server_that_says(said) as url:
        assert (await ask_at(url)).problem is problem


@pytest.mark.parametrize("url", ["http://nobody.invalid", "http://[::1", "ftp://example.com", "not an address"])
async def test_an_address_where_nobody_is_is_away(url: str) -> None:
    answer = await ask_at(url)
    assert answer.problem is P.AWAY
    assert answer.detail


async def test_one_that_is_stopped_is_away_until_it_comes_back(standin: Prometheus) -> None:
    async with open_prometheus(standin.url) as prometheus:
        await standin.go_down()
        assert (await prometheus.ask("up")).problem is P.AWAY
        await standin.come_back()
        assert (await prometheus.ask("up")).problem is None


async def test_a_question_that_is_given_up_leaves_nothing_behind(standin: Prometheus) -> None:
    hang = standin.hang()
    async with open_prometheus(standin.url) as prometheus:
        asked = asyncio.create_task(prometheus.ask("up"))
        await hang.arrived.wait()
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        assert (await prometheus.ask("up")).problem is None


# The real thing


async def test_a_real_prometheus(prometheus_binary: Path, tmp_path: Path) -> None:
    rules = [{"record": "pods", "expr": f"vector({n})", "labels": {"pod": f"web-{n}"}} for n in range(3)]
    async with RealPrometheus(prometheus_binary, directory=tmp_path, rules=rules) as real:
        await real.wait_for("count(pods) == 3")
        async with open_prometheus(real.url) as prometheus:
            query = QueryTemplate.parse('pods{pod="{{ pod }}"}').render({"pod": "web-2"})
            assert isinstance(query, str)
            assert await prometheus.ask(query) == QueryAnswer((Series({"__name__": "pods", "pod": "web-2"}, 2.0),))
            assert len((await prometheus.ask("pods")).series) == 3
            assert await prometheus.ask("scalar(vector(12.5))") == QueryAnswer((Series({}, 12.5),))
            assert await prometheus.ask("vector(1) / 0") == QueryAnswer((Series({}, math.inf),))
            for text, problem in (
                ('pods{pod="nobody"}', P.EMPTY),
                ("vector(0) / 0", P.NOT_A_NUMBER),
                ("pods{", P.BAD_QUERY),
                ("pods + on () pods", P.BAD_QUERY),
                ('"text"', P.UNREADABLE),
                ("pods[5m]", P.UNREADABLE),
            ):
                answer = await prometheus.ask(text)
                assert answer.problem is problem, answer
                assert answer.detail
        assert (await ask_at(f"{real.url}/elsewhere")).problem is P.UNREADABLE
        # Ten million steps.
        late = await ask_at(real.url, "sum_over_time(vector(1)[115d:1s])", answer_within=0.2)
        assert late.problem is P.TIMED_OUT
    assert (await ask_at(f"http://127.0.0.1:{free_port()}")).problem is P.AWAY
