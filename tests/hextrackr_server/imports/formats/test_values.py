"""Scores, hosts, CVE ids and vendors from single cells."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hextrackr_server.imports.formats.advisories import (
    find_cisco_advisory,
    find_cves,
    find_kev_due,
    find_malformed_cve,
    vendor_of_family,
    vendor_of_plugin,
)
from hextrackr_server.imports.formats.hosts import read_addresses, read_name, split_url
from hextrackr_server.imports.formats.numbers import read_port, read_score, split_port
from hextrackr_server.imports.formats.value_reader import band_of


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7.5", 7.5), ("10", 10.0), ("0.0", 0.0), (".00042", 0.00042), ("7,5", 7.5),
        ("8.1 (AV:N/AC:H/PR:N)", 8.1), ("9.8/10", 9.8), ("+5", 5.0), ("5.", 5.0), ("'7.5", 7.5),
        ("8,1 (AV:N/AC:H)", 8.1), ("0,9438", 0.9438), ("0,943", 0.943),
    ],
)  # fmt: skip
def test_score_is_the_leading_number(text: str, value: float) -> None:
    assert read_score(text, 10) == value


@pytest.mark.parametrize("text", ["75", "-1", "1e3", "10.1", "9438", "-0.1"])
def test_score_out_of_range_is_refused(text: str) -> None:
    assert read_score(text, 10) == "not within 0 to 10"


@pytest.mark.parametrize(
    "text", ["", "high", "7.5x", "1,184,933", "7,555", "7,5,5", "7.5.1", "nan", "inf", "1" * 99]
)
def test_score_that_is_not_a_number_is_refused(text: str) -> None:
    assert isinstance(read_score(text, 10), str)


@given(st.text(max_size=30))
def test_any_text_gives_a_score_in_range_or_a_reason(text: str) -> None:
    value = read_score(text, 10)
    assert isinstance(value, str) or 0 <= value <= 10


@pytest.mark.parametrize(
    ("text", "port"),
    [("443", 443), (" 22 ", 22), ("22-22", 22), ("0", None), ("general", None), ("", None),
     ("65536", None), ("99999999", None)],
)  # fmt: skip
def test_port_is_a_number_from_1_to_65535(text: str, port: int | None) -> None:
    assert read_port(text) == port


@pytest.mark.parametrize(
    ("text", "port", "protocol"),
    [("443/tcp", 443, "tcp"), ("UDP/53", 53, "udp"), ("TCP 443", 443, "tcp"),
     ("0/tcp", None, "tcp"), ("443 (https)", 443, ""), ("udp:53", 53, "udp"),
     ("general/tcp", None, ""), ("443", 443, ""), ("443.0", 443, ""), ("", None, ""),
     ("https", None, "")],
)  # fmt: skip
def test_port_may_stand_next_to_its_protocol(text: str, port: int | None, protocol: str) -> None:
    assert split_port(text) == (port, protocol)


def test_long_cell_is_not_a_port() -> None:
    assert split_port("443" + " " * 4_000_000 + "!") == (443, "")
    assert split_port("4" * 4_000_000) == (None, "")


@pytest.mark.parametrize("hyphen", ["-", "\u2010", "\u2011", "\u2012", "\u2013", "\u2212"])
def test_cve_with_the_hyphens_of_a_word_processor_is_read(hyphen: str) -> None:
    text = f"é CVE{hyphen}2030{hyphen}1001"
    assert find_cves(text) == ["CVE-2030-1001"]
    assert find_malformed_cve(text, 1) == ""


@pytest.mark.parametrize(
    ("text", "first", "others"),
    [
        ("192.0.2.1", "192.0.2.1", ()),
        ("2001:DB8:0::1", "2001:db8::1", ()),
        ("[2001:db8::1]", "2001:db8::1", ()),
        ("2001:db8::121, 198.51.100.121", "198.51.100.121", ("2001:db8::121",)),
        ("fe80::1%eth0 2001:db8::1", "2001:db8::1", ("fe80::1%eth0",)),
        ("fe80::1", "fe80::1", ()),
        ("host.example.test", "", ()),
        ("::ffff:192.0.2.1", "192.0.2.1", ()),
    ],
)
def test_addresses_have_one_spelling_and_order(
    text: str, first: str, others: tuple[str, ...]
) -> None:
    found = read_addresses(text)
    assert (found.first, found.others, found.problem) == (first, others, "")


def test_network_counts_as_its_address_with_a_problem() -> None:
    found = read_addresses("192.0.2.1/24")
    assert found.first == "192.0.2.1"
    assert "network" in found.problem


@pytest.mark.parametrize(
    ("text", "address"),
    [("192.0.2.1:443", "192.0.2.1"), ("[2001:db8::1]:8443", "2001:db8::1")],
)
def test_address_with_a_port_counts_as_the_address_with_a_problem(text: str, address: str) -> None:
    found = read_addresses(text)
    assert (found.first, "has a port" in found.problem) == (address, True)


@pytest.mark.parametrize("text", ["192.000.002.001", "192.0.2.256", "1.2.3.4/99x 1.2.3.400"])
def test_address_that_does_not_parse_is_a_problem(text: str) -> None:
    assert read_addresses(text).problem


@pytest.mark.parametrize(
    ("text", "short", "whole"),
    [
        ("Core1.Site-A.example.test", "core1", "core1.site-a.example.test"),
        ("WORKGROUP\\SRV21", "srv21", "srv21"),
        ("srv72.example.test, srv72", "srv72", "srv72.example.test"),
        ("Box 2", "box 2", "box 2"),
    ],
)
def test_host_name_has_a_short_and_a_whole_form(text: str, short: str, whole: str) -> None:
    name = read_name(text)
    assert name is not None
    assert (name.short, name.whole) == (short, whole)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("https://app.example.test/r/a", "app.example.test", 443),
        ("192.0.2.150:8443", "192.0.2.150", 8443),
        ("foo.example/path", "foo.example", None),
        ("//foo.example:81/path", "foo.example", 81),
        ("/path", "", None),
        ("http://[2001:db8::1]:8080/", "2001:db8::1", 8080),
        ("http://[broken/", "", None),
        ("host:99999", "", None),
    ],
)
def test_url_gives_its_host_and_port(text: str, host: str, port: int | None) -> None:
    assert split_url(text) == (host, port)


def test_cves_are_found_with_any_separator_once_each() -> None:
    text = (
        'cve-2030-1001,CVE-2030-1002; <a href="?name=CVE-2030-1003">CVE-2030-1003</a> CVE-3011-32'
    )
    assert find_cves(text) == ["CVE-2030-1001", "CVE-2030-1002", "CVE-2030-1003"]


def test_cisco_advisory_is_found_at_the_end_of_a_name() -> None:
    assert find_cisco_advisory("Example (cisco-sa-Example-bbbb)") == "cisco-sa-example-bbbb"
    assert find_cisco_advisory("cisco-sa-example in the middle") == ""


def test_due_date_is_found_among_references() -> None:
    assert find_kev_due("CWE:787;CISA-KNOWN-EXPLOITED:2030/02/01") == "2030-02-01"
    assert find_kev_due("CWE:787") is None


@pytest.mark.parametrize(
    ("family", "name", "vendor"),
    [
        ("CISCO", "", "CISCO"),
        ("Palo Alto Local Security Checks", "", "Palo Alto"),
        ("General", "Cisco IOS XE Example", "CISCO"),
        ("", "Palo Alto Example", "Palo Alto"),
        ("", "A bug that San Francisco reported", ""),
    ],
)
def test_vendor_is_that_of_the_family_or_of_the_beginning_of_the_name(
    family: str, name: str, vendor: str
) -> None:
    assert (vendor_of_family(family) or vendor_of_plugin(name)) == vendor


@pytest.mark.parametrize(
    ("score", "version", "band"),
    [(9.0, "3", "Critical"), (8.9, "3", "High"), (9.9, "2", "High"), (10.0, "2", "Critical"),
     (4.0, "", "Medium"), (0.1, "4", "Low"), (0.0, "3", "Info"), (None, "3", "Unknown")],
)  # fmt: skip
def test_severity_band_depends_on_score_and_version(
    score: float | None, version: str, band: str
) -> None:
    assert band_of(score, version) == band
