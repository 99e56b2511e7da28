"""The pages of TSA6xx: build files and Python call sites."""

from __future__ import annotations

from codemod.codes import Code

CODES: tuple[Code, ...] = ()
