"""No arrow runs up, no modules import each other, and docs/architecture.md has the picture."""

from __future__ import annotations

from tests.architecture import LAYERS, PAGE, arrows, circles, drawn, level, modules, room


def test_every_room_has_its_layer() -> None:
    named = [name for rooms in LAYERS for name in rooms]
    assert sorted(named) == sorted(set(named))
    assert {room(module) for module in modules()} == set(named)


def test_no_arrow_runs_up() -> None:
    assert {(this, other) for this, other in arrows() if level(other) > level(this)} == set()


def test_rooms_of_one_layer_do_not_import_each_other() -> None:
    pairs = {(this, other) for this, other in arrows() if level(other) == level(this)}
    assert {(this, other) for this, other in pairs if (other, this) in pairs} == {
        ("config", "repository"),  # settings name paths of a tree, and a tree's layout asks for settings
        ("repository", "config"),
    }


def test_no_modules_import_each_other() -> None:
    assert circles() == []


def test_the_page_has_the_picture() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert "<!-- rooms -->" in page
    assert drawn(page) == page, "python -m tests.architecture draws it"
