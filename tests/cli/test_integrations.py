"""The action and the hook for CI call verbs and options that there are."""

from __future__ import annotations

import re

import click
import pytest
from torch_stabilize.cli.main import program

from tests.conftest import ROOT

FILES = ("action.yml", ".pre-commit-hooks.yaml", "docs/ci.md")


@pytest.mark.parametrize("name", FILES)
def test_commands_and_options_exist(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    called = re.findall(r"torch-stabilize(?:\"|) (check|verify|golden|scan|migrate)\b([^\n`]*)", text)
    assert called
    for verb, rest in called:
        command = program.get_command(click.Context(program), verb)
        assert command is not None
        known = {option for parameter in command.params for option in parameter.opts}
        assert set(re.findall(r"--[a-z-]+", rest)) <= known
