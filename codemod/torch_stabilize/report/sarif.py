"""Findings as SARIF 2.1.0, for code scanning and editors."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any
from urllib.parse import quote

from torch_stabilize import __version__
from torch_stabilize.codes import Code, page_address
from torch_stabilize.explain import room
from torch_stabilize.report.places import Place
from torch_stabilize.report.view import Concern, Finding

LEVELS = {Concern.MANUAL: "error", Concern.REVIEW: "warning", Concern.NOTE: "note"}
SRCROOT = "SRCROOT"
FINGERPRINT = "findingHash/v1"


def sarif(findings: Iterable[tuple[Finding, Place]], codes: Mapping[str, Code]) -> str:
    """SARIF with one result for every finding at the place given with it, and the rules they break."""
    located = list(findings)
    used = sorted({finding.code for finding, _ in located})
    rules = [_rule(code, codes.get(code)) for code in used]
    index = {code: number for number, code in enumerate(used)}
    marks = _fingerprints(located)
    log = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "torch-stabilize", "version": __version__, "rules": rules}},
                "columnKind": "unicodeCodePoints",
                "originalUriBaseIds": {SRCROOT: {"description": {"text": "The root of the repository."}}},
                "results": [
                    _result(finding, place, index) | {"partialFingerprints": {FINGERPRINT: mark}}
                    for (finding, place), mark in zip(located, marks, strict=True)
                ],
            }
        ],
    }
    return json.dumps(log, indent=2) + "\n"


def _rule(name: str, code: Code | None) -> dict[str, Any]:
    properties = {"tags": ["libtorch-stable-abi", room(name)]}
    rule: dict[str, Any] = {"id": name, "helpUri": page_address(name), "properties": properties}
    if code is not None:
        rule["name"] = _readable_name(code.title)
        rule["shortDescription"] = {"text": code.title}
        if code.text:
            rule["fullDescription"] = {"text": code.text}
    rule["help"] = {"text": f"torch-stabilize explain {name}"}
    return rule


def _readable_name(title: str) -> str:
    """The first part of a title as one word, as SARIF names rules: `TypesGetTheirStableName`."""
    words = re.findall(r"\w+", re.split(r"[.;:,]", title, maxsplit=1)[0])
    return "".join(word[0].upper() + word[1:] for word in words)


def _result(finding: Finding, place: Place, index: Mapping[str, int]) -> dict[str, Any]:
    message = f"{finding.message}\n{finding.help}" if finding.help else finding.message
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": index[finding.code],
        "level": LEVELS[finding.concern],
        "message": {"text": message},
    }
    if place.path:
        location: dict[str, Any] = {"artifactLocation": {"uri": quote(os.fsencode(place.path)), "uriBaseId": SRCROOT}}
        if place.line:
            location["region"] = {"startLine": place.line, "startColumn": place.column} | _end(finding, place)
        result["locations"] = [{"physicalLocation": location}]
    return result


def _end(finding: Finding, place: Place) -> dict[str, int]:
    """Where the region of a finding at `place` ends; nothing where only its start is known."""
    end = finding.end if place == finding.place else None
    if end is None or end.line < place.line or (end.line, end.column) == (place.line, place.column):
        return {}
    return {"endLine": end.line, "endColumn": end.column}


def _fingerprints(located: Iterable[tuple[Finding, Place]]) -> list[str]:
    """What tells a finding from others though lines above it come and go: its code, file and message, and its number
    among those that have all three alike."""
    seen: Counter[str] = Counter()
    marks = []
    for finding, place in located:
        mark = sha256("\0".join((finding.code, place.path, finding.message)).encode("utf-8", "surrogateescape"))
        name = mark.hexdigest()[:16]
        marks.append(f"{name}:{seen[name]}")
        seen[name] += 1
    return marks
