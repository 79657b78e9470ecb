"""Days from the timestamps of scanners and from file names."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hextrackr_server.imports.formats.dates import OrderEvidence, day_in_file_name, read_day

TODAY = date(2030, 11, 28)


@pytest.mark.parametrize(
    "text",
    [
        "2030-05-03", "2030-05-03T20:51:21.228Z", "2030-05-03T23:30:00-05:00",
        "2030-05-03 10:13:34.8476880", "2030/05/03", "2030/5/3", "20300503", "20300503T163822649",
        "03.05.2030", "3.5.2030 07:00", "May 3, 2030 21:01:08 UTC", "May 03, 2030 07:00 AM",
        "May 3 2030", "3 May 2030 10:00AM GMT-0500", "03-May-2030", "03-MAY-30",
        "Fri May  3 15:24:32 2030", "Friday, May 3, 2030", "1904040000", "1904040000000",
        "3/May/2030", "03/May/30:10:00:00", "2030-May-03", "3rd May 2030", "\u200e5/3/2030",
        "'2030-05-03", "05/03/2030", "5/3/30 7:00", "05-03-2030",
        "May-03-2030", "May/3/2030", "3. May 2030", "03.May.2030", "03May2030", "3  May 2030",
        "20300503101112", "20300503 10:11", "20300503T10:11:12.123Z",
    ],
)  # fmt: skip
def test_day_is_read_from_every_form(text: str) -> None:
    assert read_day(text, "mdy", 2031) == "2030-05-03"


@pytest.mark.parametrize(
    ("text", "order", "day"),
    [
        ("03/05/2030", "dmy", "2030-05-03"),
        ("13/05/2030", "mdy", "2030-05-13"),
        ("05/13/2030", "dmy", "2030-05-13"),
        ("05.06.2030", "mdy", "2030-06-05"),
    ],
)
def test_numeric_day_follows_the_order_unless_a_number_settles_it(
    text: str, order: str, day: str
) -> None:
    assert read_day(text, order, 2031) == day  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "year"), [("1/1/97", "1997"), ("1/1/30", "2030"), ("1/1/31", "1931")]
)
def test_two_digit_year_is_the_latest_that_is_not_after_the_scan(text: str, year: str) -> None:
    assert (read_day(text, "mdy", 2030) or "")[:4] == year


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "2030-13-01", "31/02/2030", "13/13/2030", "5", "190404000", "2030",
     "32 May 2030", "3 Maius 2030", "99999999", "9" * 5000,
     "3 May 10:11:12 2030", "20301303101112"],
)  # fmt: skip
def test_text_that_is_not_a_date_gives_none(text: str) -> None:
    assert read_day(text, "mdy", 2030) is None


@given(st.text(max_size=40))
def test_any_text_gives_a_day_or_none(text: str) -> None:
    day = read_day(text, "dmy", 2030)
    assert day is None or date.fromisoformat(day)


@given(st.dates(date(1990, 1, 1), date(2030, 12, 31)))
def test_every_day_survives_the_forms_of_scanners(day: date) -> None:
    for form in ("%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%m/%d/%Y", "%b %d, %Y 10:00:00 UTC"):
        assert read_day(day.strftime(form), "mdy", 2030) == day.isoformat()


def evidence(*cells: str) -> OrderEvidence:
    found = OrderEvidence()
    for cell in cells:
        found.add(cell)
    return found


@pytest.mark.parametrize(
    ("cells", "order", "is_open"),
    [
        (("01/05/2030", "22/05/2030"), "dmy", False),
        (("01/05/2030", "05/22/2030"), "mdy", False),
        (("01/05/2030",), "default", True),
        (("22/05/2030", "05/22/2030", "01/05/2030"), "default", True),
        (("05/05/2030", "2030-05-01", "01.05.2030"), "default", False),
    ],
)
def test_one_cell_settles_the_order_of_its_column(
    cells: tuple[str, ...], order: str, is_open: bool
) -> None:
    found = evidence(*cells)
    assert found.is_open == is_open
    for default in ("mdy", "dmy"):
        assert found.order(default) == (default if order == "default" else order)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "day"),
    [
        ("scan-09-30-2025.csv", "2025-09-30"),
        ("scan_2025_09_30.csv", "2025-09-30"),
        ("scan_09_30_2025.csv", "2025-09-30"),
        ("vuln-cisco-sept01.csv", "2030-09-01"),
        ("vuln-cisco-dec24.csv", "2029-12-24"),
        ("vuln-cisco-dec24-2030.csv", "2030-12-24"),
        ("export 2025-09-30T10-00.csv", "2025-09-30"),
        ("20250930.csv", "2025-09-30"),
        ("30-09-2025.csv", "2025-09-30"),
        ("v2_scan.csv", None),
        ("decoder7.csv", None),
        ("scan_2025_13_40.csv", None),
    ],
)
def test_scan_date_is_read_from_the_file_name(name: str, day: str | None) -> None:
    assert day_in_file_name(name, TODAY) == day
