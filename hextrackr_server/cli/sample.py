"""The command `sample`: write a generated export of a scanner.

The same seed gives the same rows on every machine. Like real Tenable exports, the rows contain
several CVEs in a cell, recurring hosts, texts of several lines, and invalid values.
"""

from __future__ import annotations

import argparse
import csv
import random
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

from hextrackr_server.cli.arguments import Commands
from hextrackr_server.errors import SettingsError

HEADER = (
    "asset.id",
    "asset.name",
    "asset.display_ipv4_address",
    "asset.operating_systems",
    "definition.id",
    "definition.name",
    "definition.family",
    "definition.cve",
    "definition.cvss3.base_score",
    "definition.vpr.score",
    "definition.plugin_published",
    "definition.description",
    "definition.solution",
    "severity",
    "state",
    "port",
    "protocol",
    "first_seen",
    "last_seen",
)
#: Every row with a number divisible by this is invalid.
BAD_ROW_EVERY = 97
SCAN_DAY = date(2025, 9, 30)

_PRODUCTS = (
    ("Cisco IOS XE", "CISCO", "Cisco IOS XE 17.9"),
    ("Cisco NX-OS", "CISCO", "Cisco NX-OS 10.2"),
    ("Palo Alto PAN-OS", "Palo Alto Local Security Checks", "PAN-OS 11.1"),
    ("Microsoft Windows Server", "Windows : Microsoft Bulletins", "Windows Server 2022"),
    ("Red Hat Enterprise Linux kernel", "Red Hat Local Security Checks", "RHEL 9.4"),
    ("OpenSSL", "General", "Ubuntu 22.04"),
    ("Apache HTTP Server", "Web Servers", "Debian 12"),
    ("PostgreSQL", "Databases", "Ubuntu 24.04"),
)
_FLAWS = (
    "Remote Code Execution",
    "Privilege Escalation",
    "Denial of Service",
    "Information Disclosure",
    "Authentication Bypass",
    "Path Traversal",
)
_SITES = ("ams", "ber", "dub", "lis", "mad", "oslo", "par", "vie")
_ROLES = ("core-sw", "edge-rtr", "fw", "app", "db", "web", "build")
_SEVERITIES = (("Critical", 9.0, 10.0), ("High", 7.0, 8.9), ("Medium", 4.0, 6.9), ("Low", 0.5, 3.9))


class _Host(NamedTuple):
    asset_id: str
    name: str
    address: str


class _Plugin(NamedTuple):
    plugin_id: str
    name: str
    family: str
    operating_system: str
    cves: str
    severity: str
    cvss: str
    vpr: str
    published: str
    description: str
    solution: str


def add_parser(commands: Commands) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser("sample", help="write a generated export to try the server with")
    parser.add_argument("file", type=Path, metavar="FILE.csv")
    parser.add_argument("--rows", type=int, default=1000, help="number of rows (default: 1000)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the rows (default: 1)")
    parser.add_argument("--force", action="store_true", help="replace an existing file")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write a sample; return the exit code."""
    if options.rows < 0:
        raise SettingsError(f"--rows must not be negative, got {options.rows}")
    try:
        write_sample(options.file, options.rows, options.seed, replace=options.force)
    except FileExistsError as error:
        raise SettingsError(
            f"{options.file} exists: choose another file, or replace it with --force"
        ) from error
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise SettingsError(f"{options.file} cannot be written: {reason}") from error
    print(f"wrote {options.file}: {options.rows:,} rows, seed {options.seed}")
    return 0


def write_sample(path: Path, rows: int, seed: int, *, replace: bool = False) -> None:
    """Write an export with a header and `rows` rows; FileExistsError unless `replace` is set."""
    with path.open("w" if replace else "x", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        writer.writerows(sample_rows(rows, seed))


def sample_rows(rows: int, seed: int) -> Iterator[list[str]]:
    """Yield the rows of an export; every 97th row is invalid."""
    chance = random.Random(seed)
    hosts = [_host(chance, number) for number in range(max(1, rows // 25))]
    plugins = [_plugin(chance, number) for number in range(max(5, min(1500, rows // 12)))]
    for number in range(1, rows + 1):
        row = _row(chance, chance.choice(hosts), chance.choice(plugins))
        if number % BAD_ROW_EVERY == 0:
            _break(row, number // BAD_ROW_EVERY)
        yield row


def _host(chance: random.Random, number: int) -> _Host:
    asset_id = f"{chance.getrandbits(32):08x}-{chance.getrandbits(16):04x}-4{number:07x}"
    name = f"{chance.choice(_SITES)}-{chance.choice(_ROLES)}-{number:04d}.corp.example"
    return _Host(asset_id, name, f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}")


def _plugin(chance: random.Random, number: int) -> _Plugin:
    product, family, operating_system = chance.choice(_PRODUCTS)
    severity, low, high = chance.choices(_SEVERITIES, weights=(8, 27, 45, 20))[0]
    year = chance.randint(2019, 2025)
    cves = [
        f"CVE-{year}-{chance.randint(1000, 59999)}" for _ in range(chance.choice((1, 1, 1, 2, 4)))
    ]
    flaw = chance.choice(_FLAWS)
    published = date(year, 1, 1) + timedelta(days=chance.randrange(240))
    return _Plugin(
        plugin_id=str(150_000 + number),
        name=f"{product} {flaw} ({year}-{number:04d})",
        family=family,
        operating_system=operating_system,
        cves=chance.choice((", ", ",", " ")).join(cves),
        severity=severity,
        cvss=f"{chance.uniform(low, high):.1f}",
        vpr=f"{max(0.1, chance.uniform(low - 1, high)):.1f}" if chance.random() < 0.95 else "",
        published=f"{published.isoformat()}T00:00:00.000Z",
        description=(
            f"The version of {product} on the remote host is affected by a vulnerability.\n\n"
            f'- A flaw of the kind "{flaw}" exists because input is not checked, allowing a '
            "remote attacker to affect the host with a crafted request."
        ),
        solution=f"Upgrade {product} to a version that its vendor has fixed.",
    )


def _row(chance: random.Random, host: _Host, plugin: _Plugin) -> list[str]:
    first_seen = SCAN_DAY - timedelta(days=chance.randint(1, 200))
    return [
        host.asset_id,
        host.name,
        host.address,
        plugin.operating_system,
        plugin.plugin_id,
        plugin.name,
        plugin.family,
        plugin.cves,
        plugin.cvss,
        plugin.vpr,
        plugin.published,
        plugin.description,
        plugin.solution,
        plugin.severity,
        chance.choice(("ACTIVE", "ACTIVE", "ACTIVE", "NEW", "RESURFACED")),
        chance.choice(("22", "80", "443", "8443", "0")),
        "TCP",
        f"{first_seen.isoformat()}T04:12:00.000Z",
        f"{SCAN_DAY.isoformat()}T04:12:00.000Z",
    ]


def _break(row: list[str], number: int) -> None:
    """Make a row invalid in one of four ways: two lose the row, two lose one value."""
    match number % 4:
        case 0:
            row[1] = row[2] = ""
        case 1:
            row[4] = row[5] = ""
            row[7] = "pending"
        case 2:
            row[9] = "unrated"
        case _:
            row[13] = "Catastrophic"
