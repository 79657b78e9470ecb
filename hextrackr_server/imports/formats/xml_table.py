"""XML exports as tables: each result is a row whose columns are the names that a profile uses.

The file is parsed as a stream by lxml. A document type declaration is refused, so that no entity is
ever expanded; libxml2 bounds the depth of elements and the size of texts.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lxml import etree

from hextrackr_server.imports.formats.csv_rows import HOST_ROW, NumberedRow
from hextrackr_server.imports.formats.csv_table import FileRefusedError, IncompleteFileError
from hextrackr_server.imports.formats.profile import Profile
from hextrackr_server.imports.formats.text_source import Checkpoint

CHECKPOINT_ROWS: Final = 500
LONGEST_TEXT: Final = 10_000
LARGEST_RESULT: Final = 100_000
"""Elements of one result; each takes about 200 bytes of memory while the result is read."""
_NESSUS_TAGS: Final = frozenset({"HostProperties", "ReportItem"})
# Elements of a ReportItem that occur more than once.
_NESSUS_LISTS: Final = ("cve", "xref")
_NEXPOSE_TAGS: Final = frozenset({"names", "fingerprints", "test"})
_BLOCK: Final = 1 << 18
_LEVELS: Final = re.compile(r"\blevels=([a-z]+)")
_PERCENT: Final = re.compile(r"[0-9]{1,3}")
_QUALITY: Final = re.compile(r"\bmin_qod=(\d{1,3})\b")

Record = dict[str, str]


class HostRecord(Record):
    """A record of a scanned host without results."""


Events = Iterator[tuple[str, "etree._Element"]]


@dataclass(slots=True)
class XmlTable:
    """The results of an XML file; `incomplete` is set as in `CsvTable`."""

    path: Path
    profile: Profile
    allow_partial: bool = False
    checkpoint: Checkpoint | None = None
    incomplete: str = field(default="", init=False)
    filtered: str = field(default="", init=False)
    """The filter of the report that the file states, once it was read; empty without a filter."""

    @property
    def names(self) -> tuple[str, ...]:
        """Return the columns of the table."""
        texts = (text for texts in self.profile.columns.values() for text in texts)
        return tuple(dict.fromkeys(texts))

    def rows(self) -> Iterator[NumberedRow]:
        """Yield the results, and hosts without results as rows with the number HOST_ROW.

        Raises IncompleteFileError or FileRefusedError.
        """
        names = self.names
        read = _READERS[self.profile.id]
        try:
            number = 0
            for record in read(self):
                cells = [record.get(name, "") for name in names]
                if isinstance(record, HostRecord):
                    yield HOST_ROW, cells, "", ()
                    continue
                number += 1
                if self.checkpoint is not None and number % CHECKPOINT_ROWS == 0:
                    self.checkpoint(number)
                yield number, cells, "", ()
        except etree.XMLSyntaxError as error:
            self.incomplete = f"the XML breaks off or is malformed: {error.msg}"
            if not self.allow_partial:
                raise IncompleteFileError(self.incomplete, "results") from None


def find_root(path: Path) -> str:
    """Return the name of the root element. Raises FileRefusedError for malformed XML."""
    try:
        with closing(_events(path)) as events:
            _, element = next(events)
            return _name(element)
    except etree.XMLSyntaxError as error:
        raise FileRefusedError(f"this is not well-formed XML: {error.msg}") from None


def _events(path: Path) -> Generator[tuple[str, etree._Element], None, None]:
    with path.open("rb") as file:
        file.seek(_find_start(file.read(_BLOCK)))
        parser = etree.iterparse(
            file, events=("start", "end"), resolve_entities=False, load_dtd=False,
            no_network=True, huge_tree=False, remove_comments=True, remove_pis=True,
        )  # fmt: skip
        is_checked = False
        for event, element in parser:
            if not is_checked:
                is_checked = True
                if element.getroottree().docinfo.doctype:
                    raise FileRefusedError(
                        "the XML has a document type declaration (DOCTYPE), which is not allowed"
                    )
            yield event, element


def _find_start(beginning: bytes) -> int:
    """Return where the XML begins: some exports have blanks before its declaration.

    A byte-order mark remains, because libxml2 prefers it to the encoding of the declaration: files
    of .NET in UTF-8 have a mark and declare UTF-16.
    """
    text = beginning.removeprefix(codecs.BOM_UTF8)
    declaration = text.lstrip()
    if len(declaration) == len(text) or not declaration.startswith(b"<?xml"):
        return 0
    return len(beginning) - len(declaration)


def _name(element: etree._Element) -> str:
    tag = element.tag
    return str(tag).rpartition("}")[2]


def _kept(path: Path, tags: frozenset[str]) -> Events:
    """Yield the start of every element, and the end of the kept elements with their subtrees.

    Everything else is freed as soon as it ends.
    """
    inside = size = 0
    for event, element in _events(path):
        name = _name(element)
        if event == "start":
            inside += name in tags
            size = size + 1 if inside else 0
            if size > LARGEST_RESULT:
                raise FileRefusedError(
                    f"one element {name!r} belongs to a result of more than {LARGEST_RESULT} "
                    "elements: this is not an export of a scanner"
                )
            yield event, element
            continue
        if name in tags:
            inside -= 1
            yield event, element
        elif not inside:
            yield "close", element
        if not inside:
            _free(element)


def _kept_until_break(path: Path, tags: frozenset[str]) -> Events:
    """Yield the same as `_kept`, and end at malformed XML: the pass over the results reports it."""
    with suppress(etree.XMLSyntaxError):
        yield from _kept(path, tags)


def _free(element: etree._Element) -> None:
    element.clear()
    parent = element.getparent()
    if parent is not None:
        while element.getprevious() is not None:
            del parent[0]


def _text(element: etree._Element | None) -> str:
    return "" if element is None or element.text is None else element.text[:LONGEST_TEXT].strip()


def _deep_text(element: etree._Element | None) -> str:
    if element is None:
        return ""
    texts = (str(text).strip() for text in element.itertext())
    return "\n".join(text for text in texts if text)[:LONGEST_TEXT]


# -- Nessus


def _read_nessus(table: XmlTable) -> Iterator[Record]:
    host: Record = {}
    has_items = False
    for event, element in _kept(table.path, _NESSUS_TAGS):
        name = _name(element)
        if event == "start":
            if name == "ReportHost":
                host = {"name": element.get("name", "")}
                has_items = False
        elif event == "close":
            # A host whose scan did not end has no such property.
            if name == "ReportHost" and not has_items and "HOST_END" in host:
                yield HostRecord(host)
        elif name == "HostProperties":
            host |= {tag.get("name", ""): _text(tag) for tag in element}
        elif name == "ReportItem":
            has_items = True
            yield host | _read_item(element)


def _read_item(element: etree._Element) -> Record:
    record = {name: str(value) for name, value in element.attrib.items() if isinstance(name, str)}
    lists: dict[str, list[str]] = {name: [] for name in _NESSUS_LISTS}
    for child in element:
        name, text = _name(child), _text(child)
        if name in lists:
            lists[name].append(text)
        else:
            record[name] = text
    return record | {name: ",".join(texts) for name, texts in lists.items()}


# -- Greenbone


def _read_greenbone(table: XmlTable) -> Iterator[Record]:
    systems = _read_systems(table.path)
    host: Record = {}
    detail, is_dead = "", False
    for event, element in _kept(table.path, frozenset({"result"})):
        if event == "end":
            record = _read_result(element)
            yield record | {"os": systems.get(record["host"], "")}
        elif event == "close":
            name = _name(element)
            if name in {"term", "filters"}:
                table.filtered = table.filtered or _find_filter(_text(element))
            elif name == "host":
                if host.get("ip") and host.get("end") and not is_dead:
                    yield HostRecord(host=host["ip"])
                host, is_dead = {}, False
            elif name in {"ip", "end"}:
                host[name] = _text(element)
            elif name == "name":
                detail = _text(element)
            elif name == "value" and detail == "Host dead":
                is_dead = _text(element) not in {"", "0"}


def _find_filter(term: str) -> str:
    """Return the parts of a filter that leave results out, or an empty string.

    `levels=hml` leaves out the level log, `min_qod=70` results of a lower quality of detection.
    """
    levels = _LEVELS.search(term)
    quality = _QUALITY.search(term)
    parts = [levels[0]] if levels and "g" not in levels[1] else []
    if quality and int(quality[1]):
        parts.append(quality[0])
    return " ".join(parts)


def _read_systems(path: Path) -> Record:
    """Return the operating systems of the hosts by address; their elements follow the results."""
    if not _contains(path, (b"best_os_txt", b">OS<")):
        return {}
    systems: Record = {}
    address = ""
    for event, element in _kept_until_break(path, frozenset({"detail"})):
        name = _name(element)
        if event == "close" and name == "ip":
            address = _text(element)
        elif event == "end" and _text(element.find("name")) in {"best_os_txt", "OS"}:
            value = _text(element.find("value"))
            if _text(element.find("name")) == "best_os_txt" or address not in systems:
                systems[address] = value
    return systems


def _contains(path: Path, texts: Sequence[bytes]) -> bool:
    with path.open("rb") as file:
        end = b""
        while block := file.read(_BLOCK):
            if any(text in end + block for text in texts):
                return True
            end = block[-32:]
    return False


def _split_port(text: str) -> tuple[str, str]:
    """Return the port and the protocol of `443/tcp`, `general/tcp` or `https (443/tcp)`."""
    port, _, protocol = text.rpartition("(")[2].rstrip(")").partition("/")
    return port, protocol


def _read_result(element: etree._Element) -> Record:
    nvt = element.find("nvt")
    port, protocol = _split_port(_text(element.find("port")))
    threat = _text(element.find("threat"))
    is_false_positive = threat.lower() == "false positive"
    record = {
        "host": _text(element.find("host")),
        "hostname": _text(element.find("host/hostname")),
        "port": port,
        "protocol": protocol,
        # An override changes the threat; the severity of a false positive is the original one.
        "threat": _text(element.find("original_threat")) if is_false_positive else threat,
        "severity": _text(element.find("severity")),
        "state": threat if is_false_positive else "",
        "creation_time": _text(element.find("creation_time")),
        "description": _text(element.find("description")),
        "name": _text(element.find("name")),
    }
    if nvt is None:
        return record
    tags = dict(part.partition("=")[::2] for part in _text(nvt.find("tags")).split("|"))
    cves = [ref.get("id", "") for ref in nvt.iterfind("refs/ref") if ref.get("type") == "cve"]
    record |= {
        "oid": nvt.get("oid", ""),
        "name": _text(nvt.find("name")) or record["name"],
        "family": _text(nvt.find("family")),
        "cve": ",".join(cves) or _text(nvt.find("cve")),
        "epss": _text(nvt.find("epss/max_severity/score")),
        "summary": tags.get("summary", ""),
        "solution": _text(nvt.find("solution")) or tags.get("solution", ""),
    }
    if record["severity"].startswith("-"):
        return record
    record["cvss_base"] = _text(nvt.find("cvss_base"))
    is_percent = _is_percent(nvt.find("severities"), record["cvss_base"])
    for severity in nvt.iterfind("severities/severity"):
        score = _text(severity.find("score"))
        record[severity.get("type", "")] = _tenth(score) if is_percent else score
    return record


def _is_percent(severities: etree._Element | None, base: str) -> bool:
    """Return whether the scores are those of GVM 20.8 and 21.4: 75 stands for 7.5.

    `base` is the score of the test from 0 to 10. Later versions write scores with a decimal point.
    """
    score = "" if severities is None else severities.get("score", "")
    return _PERCENT.fullmatch(score) is not None and _tenth(score) in {base, base + ".0"}


def _tenth(score: str) -> str:
    return f"{int(score) / 10}" if _PERCENT.fullmatch(score) else score


# -- Nexpose


def _read_nexpose(table: XmlTable) -> Iterator[Record]:
    definitions = _read_definitions(table.path)
    end_time = ""
    node: Record = {}
    endpoint: Record = {}
    status, has_tests = "", False
    for event, element in _kept(table.path, _NEXPOSE_TAGS):
        name = _name(element)
        if event == "start":
            if name == "scan":
                ended = element.get("endTime", "") or element.get("startTime", "")
                end_time = max(end_time, ended)
            elif name == "node":
                mac = element.get("hardware-address", "")
                status, has_tests = element.get("status", ""), False
                node = {
                    "address": element.get("address", ""),
                    "hardware-address": ":".join(mac[i : i + 2] for i in range(0, len(mac), 2)),
                }
            elif name == "endpoint":
                endpoint = {
                    "port": element.get("port", ""), "protocol": element.get("protocol", "")
                }  # fmt: skip
        elif event == "close":
            if name == "endpoint":
                endpoint = {}
            elif name == "node" and not has_tests and status == "alive":
                yield HostRecord(node)
        elif name == "names":
            node["name"] = _text(element.find("name"))
        elif name == "fingerprints":
            # Services have fingerprints too, which name no system.
            node["os"] = _surest_system(element) or node.get("os", "")
        elif name == "test":
            has_tests = True
            identifier = element.get("id", "")
            definition = definitions.get(identifier.lower(), {"title": identifier})
            yield (
                node
                | endpoint
                | definition
                | {
                    "id": identifier,
                    "status": element.get("status", ""),
                    "vulnerable-since": element.get("vulnerable-since", ""),
                    "endTime": end_time,
                    "output": _deep_text(element),
                }
            )


def _read_definitions(path: Path) -> dict[str, Record]:
    """Return the definitions by id in lower case: tests spell ids in another case."""
    definitions: dict[str, Record] = {}
    for event, element in _kept_until_break(path, frozenset({"vulnerability"})):
        if event != "end":
            continue
        references = element.iterfind("references/reference")
        cves = [_text(each) for each in references if each.get("source", "").upper() == "CVE"]
        definitions[element.get("id", "").lower()] = {
            "title": element.get("title", ""),
            "severity": element.get("severity", ""),
            "cvssScore": element.get("cvssScore", ""),
            "published": element.get("published", ""),
            "riskScore": element.get("riskScore", ""),
            "cve": ",".join(each if each[:4].upper() == "CVE-" else f"CVE-{each}" for each in cves),
            "description": _deep_text(element.find("description")),
            "solution": _deep_text(element.find("solution")),
        }
    return definitions


def _surest_system(fingerprints: etree._Element) -> str:
    systems = fingerprints.findall("os")
    if not systems:
        return ""
    best = max(systems, key=_certainty)
    parts = (best.get(name, "") for name in ("vendor", "product", "version"))
    return " ".join(part for part in parts if part)


def _certainty(system: etree._Element) -> float:
    try:
        return float(system.get("certainty", "0"))
    except ValueError:
        return 0.0


_READERS: Final[dict[str, Callable[[XmlTable], Iterator[Record]]]] = {
    "nessus_xml": _read_nessus,
    "greenbone_xml": _read_greenbone,
    "nexpose_xml": _read_nexpose,
}
