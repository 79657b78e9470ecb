"""The commands `inspect` and `formats`, as the console script runs them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hextrackr_server.__main__ import main
from hextrackr_server.imports.formats.profile import load_profiles

SAMPLES = Path(__file__).parents[1] / "imports" / "formats" / "samples"
CUT = "hostname,cve,severity\nh1,CVE-2030-1001,High\nh2,CVE-2030-1"


def test_inspect_prints_the_format_the_columns_and_the_findings(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["inspect", "--scan-date", "2030-06-01", str(SAMPLES / "04_qualys_vm.csv")]) == 0
    text = capsys.readouterr().out
    assert "Qualys VM CSV (qualys_vm), scan date 2030-06-01" in text
    assert "3 rows: 4 findings (1 closed), 0 rows skipped, 0 rows rejected" in text
    assert "  plugin_id         QID" in text
    assert "192.0.2.40  CVE-2030-4001  High 9.9  open  2030-05-13 to 2030-05-25" in text


def test_inspect_prints_json_with_every_finding(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "--json", str(SAMPLES / "01_nessus_10_8.csv")]) == 0
    body = json.loads(capsys.readouterr().out)
    assert (body["profile"], body["rows"], len(body["findings"])) == ("nessus", 3, 3)
    assert {"scan_date", "warnings", "rows_skipped", "rows_rejected"} <= body.keys()


def test_inspect_exits_with_1_and_json_for_a_refused_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "cut.csv"
    path.write_text(CUT)
    assert main(["inspect", "--json", str(path)]) == 1
    body = json.loads(capsys.readouterr().out)
    assert body["findings"] == []
    assert "incomplete" in body["refused"]
    assert main(["inspect", "--allow-partial", str(path)]) == 0
    assert "1 findings" in capsys.readouterr().out


def test_inspect_prints_why_no_row_is_valid(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "export.csv"
    path.write_text("hostname,cve\n,CVE-2030-1001\n,CVE-2030-1002\n")
    assert main(["inspect", str(path)]) == 1
    text = capsys.readouterr().out
    assert "export.csv is refused: none of the 2 rows is valid" in text
    assert "rejected rows (2):\n  2 x hostname: the row names no host\n" in text
    assert "warnings" not in text


def test_inspect_prints_warnings_by_kind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "export.csv"
    rows = "".join(f"h{number},CVE-2030-1001,Urgent,9.8\n" for number in range(3))
    path.write_text(f"hostname,cve,severity,cvss\n{rows}")
    assert main(["inspect", str(path)]) == 0
    text = capsys.readouterr().out
    assert "WARNING: severity: no value of this column was understood as severity" in text
    assert "  3 x severity: unknown severity; Critical by the CVSS score" in text


def test_inspect_counts_rejected_rows_apart_from_warnings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "export.csv"
    path.write_text(
        "hostname,cve,severity,cvss\nh1,CVE-2030-1001,Urgent,9.8\n,CVE-2030-1001,High,7\n"
    )
    assert main(["inspect", str(path)]) == 0
    text = capsys.readouterr().out
    assert "2 rows: 1 findings (0 closed), 0 rows skipped, 1 rows rejected" in text
    assert "rejected rows (1):\n  1 x hostname: the row names no host\n" in text
    assert "warnings (1):\n  1 x severity: unknown severity; Critical by the CVSS score\n" in text


def test_inspect_prints_the_columns_that_were_read_by_their_usual_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "list.csv"
    path.write_text("Asset;Vulnerability;CVE;Risk\nweb01;Example;CVE-2030-1001;High\n")
    assert main(["inspect", str(path)]) == 0
    text = capsys.readouterr().out
    assert "WARNING: no known format; columns are read by their usual names (host: 'Asset'" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.csv"], "is not a file"),
        ([__file__, "--scan-date", "yesterday"], "--scan-date must be a date"),
        ([__file__, "--mapping", "missing.toml"], "cannot be read"),
    ],
)
def test_inspect_explains_a_wrong_argument(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", *arguments]) == 1
    assert message in capsys.readouterr().err


def test_formats_lists_every_profile_that_is_imported(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["formats"]) == 0
    text = capsys.readouterr().out
    for profile in load_profiles().values():
        assert (profile.title in text) == (profile.refuse is None)
