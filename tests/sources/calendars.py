"""Calendars as they are exported by what people keep them in, and the events of one's own."""

from __future__ import annotations


def ics(*events: str, head: str = "") -> str:
    """A calendar with these events, each a few lines; `head` is what stands before them."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Example//Rota//EN", *_lines(head)]
    for number, event in enumerate(events):
        uid = [] if "UID:" in event else [f"UID:{number}@example.com"]
        lines += ["BEGIN:VEVENT", "DTSTAMP:20260101T000000Z", *uid, *_lines(event), "END:VEVENT"]
    return "\r\n".join([*lines, "END:VCALENDAR", ""])


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.strip().splitlines() if line.strip()]


# Two people who take weeks in turn, from Monday to Monday at nine: an event that recurs for each of them, one of them
# exchanged, and one week given up. As Google Calendar exports it.
GOOGLE = ics(
    """
    UID:ana@google.com
    SUMMARY:Ana
    DTSTART;TZID=Europe/Berlin:20260302T090000
    DTEND;TZID=Europe/Berlin:20260309T090000
    RRULE:FREQ=WEEKLY;INTERVAL=2
    EXDATE;TZID=Europe/Berlin:20260413T090000
    STATUS:CONFIRMED
    TRANSP:TRANSPARENT
    """,
    """
    UID:ben@google.com
    SUMMARY:Ben
    DTSTART;TZID=Europe/Berlin:20260309T090000
    DTEND;TZID=Europe/Berlin:20260316T090000
    RRULE:FREQ=WEEKLY;INTERVAL=2
    TRANSP:OPAQUE
    """,
    """
    UID:ben@google.com
    RECURRENCE-ID;TZID=Europe/Berlin:20260323T090000
    SUMMARY:cleo
    DTSTART;TZID=Europe/Berlin:20260323T090000
    DTEND;TZID=Europe/Berlin:20260330T090000
    SEQUENCE:1
    """,
    head="""
    CALSCALE:GREGORIAN
    METHOD:PUBLISH
    X-WR-CALNAME:On call: shop
    X-WR-TIMEZONE:Europe/Berlin
    BEGIN:VTIMEZONE
    TZID:Europe/Berlin
    X-LIC-LOCATION:Europe/Berlin
    BEGIN:DAYLIGHT
    TZOFFSETFROM:+0100
    TZOFFSETTO:+0200
    TZNAME:GMT+2
    DTSTART:19700329T020000
    RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU
    END:DAYLIGHT
    BEGIN:STANDARD
    TZOFFSETFROM:+0200
    TZOFFSETTO:+0100
    TZNAME:GMT+1
    DTSTART:19701025T030000
    RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU
    END:STANDARD
    END:VTIMEZONE
    """,
)

# Each shift by itself and in UTC, folded lines, mail addresses without their scheme. As PagerDuty exports it.
PAGERDUTY = ics(
    """
    UID:Q1@example.pagerduty.com
    DTSTART:20260302T140000Z
    DTEND:20260309T130000Z
    SUMMARY:On Call - Ana - Shop, prim
    ATTENDEE:ana@example.com
    """.replace("prim\n", "prim\n ").replace("\n ", "\n"),
    """
    UID:Q2@example.pagerduty.com
    DTSTART:20260309T130000Z
    DTEND:20260316T130000Z
    SUMMARY:On Call - Ben - Shop
    ATTENDEE:ben@example.com
    """,
    head="X-WR-CALNAME:On Call Schedule for Shop",
)

# A zone by Microsoft's name, one that only this file knows, a rule that ends. As Outlook exports it.
OUTLOOK = ics(
    """
    SUMMARY:Ana on call
    DTSTART;TZID=Eastern Standard Time:20260302T090000
    DTEND;TZID=Eastern Standard Time:20260309T090000
    RRULE:FREQ=WEEKLY;UNTIL=20260330T130000Z;INTERVAL=2;BYDAY=MO;WKST=SU
    CLASS:PUBLIC
    X-MICROSOFT-CDO-BUSYSTATUS:FREE
    """,
    """
    SUMMARY:Ben on call
    DTSTART;TZID=Head office:20260309T140000
    DTEND;TZID=Head office:20260316T140000
    RRULE:FREQ=WEEKLY;COUNT=2;INTERVAL=2
    """,
    head="""
    METHOD:PUBLISH
    BEGIN:VTIMEZONE
    TZID:Head office
    BEGIN:STANDARD
    DTSTART:16010101T030000
    TZOFFSETFROM:+0200
    TZOFFSETTO:+0100
    RRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=10
    END:STANDARD
    BEGIN:DAYLIGHT
    DTSTART:16010101T020000
    TZOFFSETFROM:+0100
    TZOFFSETTO:+0200
    RRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=3
    END:DAYLIGHT
    END:VTIMEZONE
    """,
)
