"""Edits of one text file, collected: deletions may overlap, insertions at one place are joined in their order."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch_stabilize.model import Confidence, Edit, FileEdit, Span
from torch_stabilize.source.spans import merged


@dataclass
class TextEdits:
    """What is to change in one file. Texts use "\\n"; they get the file's own line ending in the end."""

    path: str
    data: bytes
    _deletions: list[Span] = field(default_factory=list)
    _replacements: dict[Span, tuple[str, str, Confidence]] = field(default_factory=dict)
    _insertions: dict[int, list[tuple[str, str, Confidence]]] = field(default_factory=dict)
    _deletion_rule: str = ""

    def delete(self, span: Span, rule: str) -> None:
        """Remove `span`; spans that touch or overlap become one edit."""
        if len(span):
            self._deletions.append(span)
            self._deletion_rule = self._deletion_rule or rule

    def replace(self, span: Span, text: str, rule: str, confidence: Confidence = Confidence.SAFE) -> None:
        """Put `text` in the place of `span`."""
        self._replacements[span] = (text, rule, confidence)

    def insert(self, at: int, text: str, rule: str, confidence: Confidence = Confidence.SAFE) -> None:
        """Put `text` at offset `at`, behind what was inserted there before."""
        self._insertions.setdefault(at, []).append((text, rule, confidence))

    @property
    def is_empty(self) -> bool:
        """Whether nothing changes."""
        return not (self._deletions or self._replacements or self._insertions)

    def edits(self) -> tuple[FileEdit, ...]:
        """Everything as edits that do not overlap."""
        insertions = dict(self._insertions)
        made: list[Edit] = []
        for span in merged(self._deletions):
            inside = sorted(at for at in insertions if span.start <= at <= span.end)
            parts = [part for at in inside for part in insertions.pop(at)]
            made.append(self._edit(span, parts or [("", self._deletion_rule, Confidence.SAFE)]))
        for span, part in self._replacements.items():
            if not any(deleted.contains(span) for deleted in merged(self._deletions)):
                made.append(self._edit(span, [part]))
        for at, parts in insertions.items():
            made.append(self._edit(Span(at, at), parts))
        kept = [edit for edit in made if self.data[edit.span.start : edit.span.end] != edit.replacement]
        return tuple(FileEdit(self.path, edit) for edit in sorted(kept))

    def _edit(self, span: Span, parts: list[tuple[str, str, Confidence]]) -> Edit:
        text = "".join(part[0] for part in parts)
        if b"\r\n" in self.data:
            text = text.replace("\r\n", "\n").replace("\n", "\r\n")
        doubtful = any(part[2] is Confidence.REVIEW for part in parts)
        confidence = Confidence.REVIEW if doubtful else Confidence.SAFE
        return Edit(span, text.encode("utf-8", "surrogateescape"), parts[0][1], confidence)
