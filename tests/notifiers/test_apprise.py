"""Apprise: every address once, what its yes and its no come to, and that no address is ever told on."""

from __future__ import annotations

import logging
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from sevrouter.domain.delivery import Delivered, NoticeKind, OutcomeReason, Rejected, Retry, Unknown
from sevrouter.domain.sev import Sev
from sevrouter.notifiers import apprise as module
from sevrouter.notifiers.apprise import SCHEDULE, Apprise
from tests.notifiers.notices import INJECTIONS, a_delivery, a_notice, nasty

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.standins.hook import AppriseTarget

# A plug-in of theirs imports it, at the first address that is read.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

R = OutcomeReason
SAYS_NO = Unknown(R.UNREADABLE_ANSWER, "Apprise says that it failed, and not why")


@pytest.fixture(autouse=True)
def loggers() -> Iterator[None]:
    """The loggers as they were before."""
    levels = {name: logging.getLogger(name).level for name in module._LOGGERS}
    yield
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


@pytest.fixture
def notifier(apprise_target: AppriseTarget) -> Apprise:
    return Apprise(urls=[apprise_target.apprise_url])


async def test_it_is_sent_to_each_address_with_all_that_explains_it(apprise_target: AppriseTarget) -> None:
    urls = [
        lambda: f"# the night shift\n\n{apprise_target.apprise_url('one')}\n",
        lambda: f"  {apprise_target.apprise_url('two')}  ",
    ]
    assert await Apprise(urls=urls).deliver(a_delivery(bridge="https://meet.example/major")) == Delivered("apprise-7")
    messages = [await apprise_target.expect_message("too many errors") for _ in urls]
    assert sorted(each.path for each in messages) == ["/one", "/two"]
    assert {each.title for each in messages} == {a_notice().title}
    lines = messages[0].body.splitlines()
    assert lines[:2] == ["opened", "Bridge: https://meet.example/major"]
    assert f"Because {a_notice().why[0]}" in lines
    assert lines[-1] == f"{a_notice().key} · configuration c0ffee12"


@pytest.mark.parametrize(
    ("kind", "sev", "word"),
    [
        (NoticeKind.OPENED, Sev.SEV_1, "failure"),
        (NoticeKind.ROSE, Sev.SEV_2, "failure"),
        (NoticeKind.OPENED, Sev.SEV_3, "warning"),
        (NoticeKind.ACKNOWLEDGED, Sev.SEV_1, "info"),
        (NoticeKind.RESOLVED, Sev.SEV_1, "success"),
    ],
)
async def test_what_happened_is_one_of_their_four_words(
    notifier: Apprise, apprise_target: AppriseTarget, kind: NoticeKind, sev: Sev, word: str
) -> None:
    await notifier.deliver(a_delivery(kind, sev=sev))
    assert (await apprise_target.expect_message()).kind == word


@pytest.mark.parametrize("status", [400, 401, 404, 410, 429, 500, 503])
async def test_a_status_that_is_no_success_is_unknown(
    notifier: Apprise, apprise_target: AppriseTarget, status: int
) -> None:
    apprise_target.fail_next(status, body=apprise_target.apprise_url())
    assert await notifier.deliver(a_delivery()) == SAYS_NO


async def test_a_redirect_is_not_followed(notifier: Apprise, apprise_target: AppriseTarget) -> None:
    apprise_target.fail_next(307, headers={"Location": "/elsewhere"})
    assert await notifier.deliver(a_delivery()) == SAYS_NO
    assert len(apprise_target.requests) == 1


async def test_a_reset_before_the_answer_is_unknown(notifier: Apprise, apprise_target: AppriseTarget) -> None:
    apprise_target.reset_before()
    assert await notifier.deliver(a_delivery()) == SAYS_NO
    assert len(apprise_target.requests) == 1


async def test_a_lost_answer_is_unknown_although_it_was_done(notifier: Apprise, apprise_target: AppriseTarget) -> None:
    apprise_target.lose_answer()
    assert await notifier.deliver(a_delivery()) == SAYS_NO
    await apprise_target.expect_message()


async def test_a_refused_connection_is_unknown_and_after_it_the_same_notifier_delivers(
    notifier: Apprise, apprise_target: AppriseTarget
) -> None:
    url = apprise_target.apprise_url()
    await apprise_target.go_down()
    assert await Apprise(urls=[lambda: url]).deliver(a_delivery()) == SAYS_NO
    await apprise_target.come_back()
    assert isinstance(await notifier.deliver(a_delivery()), Delivered)
    await apprise_target.expect_message()


async def test_no_answer_in_time_is_unknown(apprise_target: AppriseTarget) -> None:
    hang = apprise_target.hang()
    outcome = await Apprise(urls=[apprise_target.apprise_url], answer_within=0.1).deliver(a_delivery())
    assert outcome == Unknown(R.TIMED_OUT, "1 of 1 addresses did not answer in time")
    await hang.arrived.wait()
    hang.release()
    await apprise_target.expect_message()


async def test_what_one_address_took_is_delivered_and_says_how_many_did_not(apprise_target: AppriseTarget) -> None:
    apprise_target.fail_next(500)
    urls = f"{apprise_target.apprise_url('one')}\n{apprise_target.apprise_url('two')}"
    outcome = await Apprise(urls=[lambda: urls]).deliver(a_delivery())
    assert outcome == Delivered("apprise-7", detail="1 of 2 addresses did not take it")
    await apprise_target.expect_message()


async def test_threads_that_do_not_come_back_are_not_piled_up(
    apprise_target: AppriseTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_THREADS", 1)
    goes_on = threading.Event()
    monkeypatch.setattr(module, "_send", lambda *_: goes_on.wait(10))
    notifier = Apprise(urls=[apprise_target.apprise_url], answer_within=0.01)
    assert isinstance(await notifier.deliver(a_delivery()), Unknown)
    outcome = await notifier.deliver(a_delivery())
    assert outcome == Retry(R.RATE_LIMITED, "1 messages before it have not come back yet")
    stuck = next(iter(notifier._threads))
    assert stuck.daemon, "it keeps no process alive"
    goes_on.set()
    stuck.join()
    assert isinstance(await notifier.deliver(a_delivery()), Delivered)


@pytest.mark.parametrize("url", ["nothing", "surprise://s3cr3t@host", "json://", "json://:s3cr3t@/x"])
async def test_what_apprise_cannot_read_is_refused_without_telling_it(url: str) -> None:
    outcome = await Apprise(urls=[lambda: url]).deliver(a_delivery())
    assert outcome == Rejected(R.NOT_CONFIGURED, "Not an address that Apprise knows how to reach.")


async def test_without_the_extra_it_says_what_to_install(notifier: Apprise, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    outcome = await notifier.deliver(a_delivery())
    assert outcome == Rejected(R.NOT_CONFIGURED, "Apprise is not there: install sevrouter[apprise].")


async def test_a_plug_in_that_breaks_is_unknown_and_its_words_are_not_told(
    notifier: Apprise, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(url: str, *_: str) -> bool:
        raise RuntimeError(url)

    monkeypatch.setattr(module, "_send", broken)
    outcome = await notifier.deliver(a_delivery())
    assert outcome == Unknown(SAYS_NO.reason, f"{SAYS_NO.detail} RuntimeError")


@pytest.mark.parametrize("text", ["", "\n \n", "# only a comment"])
async def test_without_an_address_nothing_is_sent(text: str) -> None:
    assert await Apprise(urls=[lambda: text]).deliver(a_delivery()) == Retry(R.SECRET_UNREADABLE, "there is no address")


async def test_unreadable_addresses_send_nothing() -> None:
    def gone() -> str:
        raise OSError("it held s3cr3t")

    outcome = await Apprise(urls=[gone]).deliver(a_delivery())
    assert outcome == Retry(R.SECRET_UNREADABLE, "the addresses cannot be read: OSError")


@pytest.mark.parametrize("misbehave", ["fail", "reset", "nothing", "unreadable"])
async def test_no_address_reaches_a_log_or_an_outcome(
    apprise_target: AppriseTarget, caplog: pytest.LogCaptureFixture, misbehave: str
) -> None:
    caplog.set_level(logging.DEBUG)
    url = apprise_target.apprise_url()
    if misbehave == "fail":
        apprise_target.fail_next(401, body=url)
    elif misbehave == "reset":
        apprise_target.reset_before()
    elif misbehave == "unreadable":
        url = "surprise://s3cr3t-path-0123456789@host/"
    notifier = Apprise(urls=[lambda: url])
    outcome = await notifier.deliver(a_delivery())
    if misbehave == "nothing":
        await apprise_target.expect_message()
    # The fake service logs what it is asked, which is no affair of ours.
    logged = [f"{each.name} {each.getMessage()}" for each in caplog.records if each.name != "aiohttp.access"]
    for told in (repr(outcome), *logged, repr(vars(notifier))):
        assert "s3cr3t" not in told


@pytest.mark.parametrize("text", [*INJECTIONS, "", "🔥" * 5_000, "%(x)s {y} \\n \\u0041"])
async def test_whatever_an_alert_says_is_text(notifier: Apprise, apprise_target: AppriseTarget, text: str) -> None:
    assert isinstance(await notifier.deliver(a_delivery(**nasty(text))), Delivered)
    message = await apprise_target.expect_message()
    assert len(message.body) < 10_000
    assert "<script" not in message.body
    assert "@here" not in message.body


async def test_it_can_be_prepared_before_it_is_needed(
    notifier: Apprise, apprise_target: AppriseTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    with capture_logs() as logs:
        await notifier.prepare()
    assert (apprise_target.requests, logs) == ([], [])
    monkeypatch.setitem(sys.modules, "apprise", None)
    with capture_logs() as logs:
        await notifier.prepare()
    assert [(each["event"], "install sevrouter[apprise]" in each["reason"]) for each in logs] == [
        ("apprise_not_loaded", True)
    ]


def test_a_call_is_tried_at_least_twice_a_minute() -> None:
    assert (SCHEDULE.first.total_seconds(), SCHEDULE.longest.total_seconds(), SCHEDULE.settle) == (1, 30, ())
