"""What CI asks of a tree: no unstable site where everything is stable already, and an allow-list that only shrinks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from torch_stabilize.checking.inline_allow import InlineAllow, inline_allows
from torch_stabilize.codes import Code
from torch_stabilize.config import Allowed, Config
from torch_stabilize.model import Confidence
from torch_stabilize.report.places import Place
from torch_stabilize.report.view import Concern, Finding
from torch_stabilize.repository.sources import matches

if TYPE_CHECKING:
    from torch_stabilize.program.scan import FoundSite, Scan

STALE_ENTRY = "TSA791"
ALLOW_LIST_GREW = "TSA792"
INLINE_ALLOW = "TSA793"

CODES = (
    Code(
        STALE_ENTRY,
        "An entry of the allow-list allows nothing any more.",
        "No unstable site matches the entry: the code it was written for has migrated or is gone. Take the entry out, "
        "or the next unstable site at that place passes unseen.",
        Confidence.MANUAL,
    ),
    Code(
        ALLOW_LIST_GREW,
        "An entry was added to the allow-list.",
        "The allow-list is for sites that cannot migrate yet; it may only get shorter. Migrate the new site, or write "
        "it without the unstable API. The list is compared with the one of the revision given as `--base`, by default "
        "the last commit; a repository's first allow-list is accepted.",
        Confidence.MANUAL,
    ),
    Code(
        INLINE_ALLOW,
        "A comment that allows an unstable name has no reason, or allows nothing.",
        "`// torch-stabilize: allow at::Tensor: waits for torch 2.14` allows that name on its line, or on the next "
        "where the comment has a line of its own; without a name it allows every one there. The reason after the colon "
        "is for reviewers. Once the line is stable, take the comment out.",
        Confidence.MANUAL,
    ),
)


class CheckResult(NamedTuple):
    """What `check` found. `sites` counts the unstable sites in the files that have to be stable, `allowed` of them."""

    findings: tuple[Finding, ...]
    files: int
    sites: int
    allowed: int


def check(
    scan: Scan,
    config: Config,
    files: Iterable[str],
    codes: Mapping[str, Code],
    *,
    base: Config | None = None,
    read: Callable[[str], bytes] | None = None,
) -> CheckResult:
    """Judge the sites of `scan` that lie in `files`, the allow-list of `config`, and comments that allow a site.

    `base` is the configuration to compare the allow-list with, None where there is none to compare with. `read` gives
    the bytes of a file; without it comments are not looked for.
    """
    stable = set(files)
    inside = [site for site in scan.sites if site.path in stable]
    comments = {path: inline_allows(read(path).decode("utf-8", "replace")) for path in sorted(stable)} if read else {}
    forbidden = [
        site
        for site in inside
        if not any(allows(entry, site) for entry in config.allow)
        and not any(comment.allows(site.name, site.line) for comment in comments.get(site.path, ()))
    ]
    findings = [_site_finding(site, codes) for site in forbidden]
    findings += _list_findings(scan, config, codes, base)
    findings += _comment_findings(comments, inside, codes)
    return CheckResult(tuple(findings), len(stable), len(inside), len(inside) - len(forbidden))


def allows(entry: Allowed, site: FoundSite) -> bool:
    """Whether an entry of the allow-list is about `site`."""
    return matches(site.path, entry.path) and entry.name in ("", site.name)


def _site_finding(site: FoundSite, codes: Mapping[str, Code]) -> Finding:
    where = f" in {site.function}" if site.function else ""
    place = Place(site.path, site.line, site.column)
    end = Place(site.path, site.line, site.end_column)
    title = codes[site.code].title if site.code in codes else ""
    return Finding(Concern.MANUAL, site.code, title, place, place, f"unstable `{site.name}`{where}", end=end)


def _comment_findings(
    comments: Mapping[str, tuple[InlineAllow, ...]], sites: Iterable[FoundSite], codes: Mapping[str, Code]
) -> Iterable[Finding]:
    """Comments without a reason, and those that allow nothing."""
    at_line: dict[tuple[str, int], list[FoundSite]] = {}
    for site in sites:
        at_line.setdefault((site.path, site.line), []).append(site)
    for path, found in comments.items():
        for comment in found:
            here = at_line.get((path, comment.covers), ())
            if not comment.reason:
                message = "the comment gives no reason: write it after a colon"
            elif any(comment.allows(site.name, site.line) for site in here):
                continue
            else:
                message = "the comment allows nothing: take it out"
            place = Place(path, comment.line, 1)
            yield Finding(Concern.MANUAL, INLINE_ALLOW, codes[INLINE_ALLOW].title, place, place, message)


def _list_findings(
    scan: Scan,
    config: Config,
    codes: Mapping[str, Code],
    base: Config | None,
) -> Iterable[Finding]:
    before = {entry.text for entry in base.allow} if base is not None else set()
    for entry in config.allow:
        place = Place(config.source, entry.line, 1 if entry.line else 0)
        if not any(allows(entry, site) for site in scan.sites):
            message = f"`{entry.text}` allows nothing: take it out"
            yield Finding(Concern.MANUAL, STALE_ENTRY, codes[STALE_ENTRY].title, place, place, message)
        if before and entry.text not in before:
            message = f"`{entry.text}` is new: the allow-list may only shrink"
            yield Finding(Concern.MANUAL, ALLOW_LIST_GREW, codes[ALLOW_LIST_GREW].title, place, place, message)
