"""TOML as Python values: tomli, which is compiled and three times as fast, or the standard library's copy of it."""

from __future__ import annotations

try:
    from tomli import TOMLDecodeError, loads
except ImportError:  # it is a dependency, but a bare Python from 3.11 on will do
    from tomllib import TOMLDecodeError, loads  # type: ignore[import-not-found, assignment, no-redef, unused-ignore]

__all__ = ["TOMLDecodeError", "loads"]
