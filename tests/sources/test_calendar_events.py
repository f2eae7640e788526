"""What a calendar says, whoever exported it: who is on call at each time, by the clock of the right place."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from sevrouter.domain.duty import Duties
from sevrouter.sources.calendar_events import MOST_EVENTS, CalendarError, Expanded, expand
from tests.sources.calendars import GOOGLE, OUTLOOK, PAGERDUTY, ics

PEOPLE = ("ana", "ben", "cleo")
STARTS = datetime(2026, 2, 20, tzinfo=UTC)
ENDS = STARTS + timedelta(days=70)


def expanded(text: str, zone: str | None = None) -> Expanded:
    return expand(text, STARTS, ENDS, ZoneInfo(zone) if zone else None)


def shifts(text: str, zone: str | None = None) -> list[tuple[str, str]]:
    """From when on who is on call, in UTC; nobody is empty."""
    duties, found = Duties(expanded(text, zone).events, PEOPLE), list[tuple[str, str]]()
    at: datetime | None = STARTS
    while at is not None:
        duty = duties.at(at)
        found.append((f"{at:%m-%d %H:%M}", " ".join(duty.people)))
        at = duty.until
    return found[1:]


def test_as_google_exports_it_nine_stays_nine_and_exceptions_count() -> None:
    assert shifts(GOOGLE)[:7] == [
        ("03-02 08:00", "ana"),
        ("03-09 08:00", "ben"),
        ("03-16 08:00", "ana"),
        ("03-23 08:00", "cleo"),
        ("03-30 07:00", "ana"),
        ("04-06 07:00", "ben"),
        ("04-13 07:00", ""),
    ]
    assert expanded(GOOGLE).notes == ()


def test_as_pagerduty_exports_it() -> None:
    assert shifts(PAGERDUTY) == [("03-02 14:00", "ana"), ("03-09 13:00", "ben"), ("03-16 13:00", "")]


def test_as_outlook_exports_it_with_zones_of_microsoft_and_of_its_own() -> None:
    assert shifts(OUTLOOK) == [
        ("03-02 14:00", "ana"),  # nine in New York is 14:00 …
        ("03-09 13:00", "ben"),  # … and 13:00 from 8 March on, which is 14:00 at the head office
        ("03-16 13:00", "ana"),
        ("03-23 13:00", "ben"),
        ("03-30 12:00", ""),  # the head office's clocks are changed three weeks later, which leaves an hour to nobody
        ("03-30 13:00", "ana"),
        ("04-06 13:00", ""),
    ]


def test_whole_days_are_those_of_the_calendar_of_the_configuration_or_of_utc() -> None:
    event = "SUMMARY:ana\nDTSTART;VALUE=DATE:20260328\nDTEND;VALUE=DATE:20260330"
    assert shifts(ics(event)) == [("03-28 00:00", "ana"), ("03-30 00:00", "")]
    berlin = ics(event, head="X-WR-TIMEZONE:Europe/Berlin")
    assert shifts(berlin) == [("03-27 23:00", "ana"), ("03-29 22:00", "")]
    assert shifts(berlin, "America/New_York") == [("03-28 04:00", "ana"), ("03-30 04:00", "")]
    assert shifts(ics("SUMMARY:ana\nDTSTART;VALUE=DATE:20260328"), "Europe/Berlin")[1] == ("03-28 23:00", "")


def test_whole_days_recur() -> None:
    event = "SUMMARY:ana\nDTSTART;VALUE=DATE:20260327\nDTEND;VALUE=DATE:20260328\nRRULE:FREQ=WEEKLY;UNTIL=20260403"
    assert shifts(ics(event), "Europe/Berlin") == [
        ("03-26 23:00", "ana"),
        ("03-27 23:00", ""),
        ("04-02 22:00", "ana"),
        ("04-03 22:00", ""),
    ]


def test_times_without_a_zone_are_those_of_the_same() -> None:
    event = "SUMMARY:ana\nDTSTART:20260302T090000\nDTEND:20260302T100000"
    assert shifts(ics(event)) == [("03-02 09:00", "ana"), ("03-02 10:00", "")]
    assert shifts(ics(event, head="X-WR-TIMEZONE:Europe/Berlin"))[0] == ("03-02 08:00", "ana")
    assert shifts(ics(event), "America/New_York")[0] == ("03-02 14:00", "ana")


def test_what_recurs_in_utc_recurs_by_the_clock_of_the_zone_that_is_named_beside_it() -> None:
    event = "SUMMARY:ana\nDTSTART:20260323T080000Z\nDTEND:20260323T160000Z\nRRULE:FREQ=WEEKLY;COUNT=2"
    assert [at for at, who in shifts(ics(event)) if who] == ["03-23 08:00", "03-30 08:00"]
    in_berlin = ics(event, head="X-WR-TIMEZONE:Europe/Berlin")
    assert [at for at, who in shifts(in_berlin) if who] == ["03-23 08:00", "03-30 07:00"]


def test_what_else_of_an_event_cannot_be_read_does_not_matter() -> None:
    event = "SUMMARY:ana\nDTSTART:20260302T090000Z\nDTEND:20260303T090000Z\nLAST-MODIFIED:lately\nPRIORITY:high"
    assert shifts(ics(event))[0] == ("03-02 09:00", "ana")


def test_what_is_cancelled_is_not() -> None:
    series = "UID:1\nSUMMARY:ana\nDTSTART:20260302T090000Z\nDTEND:20260303T090000Z\nRRULE:FREQ=WEEKLY;COUNT=3"
    once = "UID:1\nRECURRENCE-ID:20260309T090000Z\nDTSTART:20260309T090000Z\nDTEND:20260310T090000Z\nSTATUS:CANCELLED"
    whole = "SUMMARY:ben\nDTSTART:20260302T090000Z\nDTEND:20260401T090000Z\nSTATUS:CANCELLED"
    assert [at for at, who in shifts(ics(series, once, whole)) if who] == ["03-02 09:00", "03-16 09:00"]


def test_a_repetition_may_be_moved() -> None:
    series = "UID:1\nSUMMARY:ana\nDTSTART:20260302T090000Z\nDTEND:20260302T170000Z\nRRULE:FREQ=WEEKLY;COUNT=2"
    moved = "UID:1\nRECURRENCE-ID:20260309T090000Z\nSUMMARY:ana\nDTSTART:20260311T120000Z\nDTEND:20260311T130000Z"
    assert [at for at, who in shifts(ics(series, moved)) if who] == ["03-02 09:00", "03-11 12:00"]


def test_an_event_by_duration_and_one_without_an_end() -> None:
    lasting = "SUMMARY:ana\nDTSTART;TZID=Europe/Berlin:20260323T090000\nDURATION:P7D"
    moment = "SUMMARY:ben\nDTSTART:20260302T090000Z"
    assert shifts(ics(lasting, moment)) == [("03-23 08:00", "ana"), ("03-30 07:00", "")]


def test_a_shift_without_an_end_in_sight_is_one() -> None:
    assert shifts(ics("SUMMARY:ana\nDTSTART:20260302T090000Z\nDTEND:99991231T235959Z"))[0] == ("03-02 09:00", "ana")


def test_attendees_count_by_name_and_address_unless_they_have_declined() -> None:
    event = """SUMMARY:Shift
    DTSTART:20260302T090000Z
    DTEND:20260303T090000Z
    ATTENDEE;CN=Ana;PARTSTAT=ACCEPTED:mailto:a@example.com
    ATTENDEE;CN=Ben;PARTSTAT=DECLINED:mailto:b@example.com"""
    assert shifts(ics(event))[0] == ("03-02 09:00", "ana")


def test_what_is_wrong_with_one_event_is_said_and_hides_no_other() -> None:
    good = "SUMMARY:ana\nDTSTART:20260302T090000Z\nDTEND:20260303T090000Z"
    bad = {
        "SUMMARY:no start": "it has no start",
        "SUMMARY:odd start\nDTSTART:yesterday": "DTSTART cannot be read",
        "SUMMARY:odd end\nDTSTART:20260302T090000Z\nDTEND:soon": "DTEND cannot be read",
        "SUMMARY:odd rule\nDTSTART:20260302T090000Z\nRRULE:FREQ=NEVER": "RRULE cannot be read",
        "SUMMARY:every second\nDTSTART:20260302T090000Z\nRRULE:FREQ=SECONDLY": "more often than every hour",
        "SUMMARY:every minute\nDTSTART:20260302T090000Z\nRRULE:FREQ=MINUTELY;COUNT=9": "more often than every hour",
    }
    for event, said in bad.items():
        found = expanded(ics(event, good, event))
        assert [each.title for each in found.events] == ["ana"], event
        assert len(found.notes) == 1
        assert said in found.notes[0]


@pytest.mark.parametrize(
    ("event", "head", "said"),
    [
        (
            "DTSTART;TZID=Mars/Base:20260302T090000\nDTEND;TZID=Mars/Base:20260303T090000",
            "",
            "'Mars/Base'; UTC is taken",
        ),
        ("DTSTART:20260302T090000\nDTEND:20260303T090000", "X-WR-TIMEZONE:../../etc/passwd", "X-WR-TIMEZONE"),
    ],
)
def test_a_zone_that_nobody_knows_is_said(event: str, head: str, said: str) -> None:
    text = ics(f"SUMMARY:ana\n{event}", head=head)
    assert shifts(text)[0] == ("03-02 09:00", "ana")
    assert [said in note for note in expanded(text).notes] == [True]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<!doctype html><html><body>Sign in</body></html>",
        "\0\1\2",
        "BEGIN:VCALENDAR",
        "BEGIN:VEVENT\r\nSUMMARY:ana\r\nEND:VEVENT\r\n",
        GOOGLE[: len(GOOGLE) // 2],
        GOOGLE.removesuffix("END:VCALENDAR\r\n"),
        "garbage\r\nEND:VCALENDAR",
    ],
    ids=range(8),
)
def test_what_is_no_calendar_or_not_all_of_one_is_refused(text: str) -> None:
    with pytest.raises(CalendarError):
        expanded(text)


def test_an_empty_calendar_has_nobody_and_two_in_one_file_are_both_read() -> None:
    assert expanded(ics()).events == ()
    one = ics("SUMMARY:ana\nDTSTART:20260302T090000Z\nDTEND:20260303T090000Z")
    other = ics("SUMMARY:ben\nDTSTART:20260303T090000Z\nDTEND:20260304T090000Z")
    assert [who for _, who in shifts(one + other)] == ["ana", "ben", ""]


def test_more_events_than_anybody_keeps_are_refused_as_a_whole() -> None:
    hourly = "SUMMARY:ana\nDTSTART:20260101T000000Z\nDTEND:20260101T010000Z\nRRULE:FREQ=HOURLY"
    assert 1_000 < len(expanded(ics(hourly)).events) < MOST_EVENTS
    with pytest.raises(CalendarError, match="more than 10000 events"):
        expanded(ics(*[hourly] * 7))


def test_a_title_is_one_clean_line() -> None:
    (event,) = expanded(
        ics("SUMMARY:ana\\nben\x1b[2J" + "x" * 500 + "\nDTSTART:20260302T090000Z\nDURATION:PT1H")
    ).events
    assert event.title.startswith("ana ben")
    assert (event.title.isprintable(), len(event.title)) == (True, 200)
