"""Pages that state facts of the code are held to it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.main import get_command

from sopilot.cli.app import app
from sopilot.core.config import Settings, variable_names
from sopilot.core.errors import error_tree
from sopilot.core.unread import UNREAD

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md"]
CODES = sorted({item.code for item in error_tree() if item.__module__ == "sopilot.core.errors"})
VARIABLES = {name for field in Settings.model_fields for name in variable_names(field)}
COMMANDS = {command.name for command in app.registered_commands} | {
    group.name for group in app.registered_groups
}


@pytest.mark.parametrize("code", CODES)
def test_every_code_has_its_line_of_advice(code: str) -> None:
    page = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
    [line] = [text for text in page.splitlines() if text.startswith("|") and f"`{code}`" in text]
    reason, advice = (part.strip() for part in line.strip("|").split("|")[1:3])
    assert len(reason) > 10
    assert len(advice) > 3


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_a_page_names_only_variables_and_commands_that_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(r"\bSOPILOT_[A-Z0-9]+(?:_[A-Z0-9]+)*\b", text))
    tests = {"SOPILOT_TEST_DATA", "SOPILOT_TEST_REQUIRE"}
    assert named - VARIABLES - set(UNREAD) - tests == set()
    commands = set(re.findall(r"`(?:sudo -u sopilot )?sopilot ([a-z]+)", text))
    assert commands - COMMANDS == set()


def test_the_units_start_commands_that_take_their_arguments() -> None:
    page = (ROOT / "docs/deployment.md").read_text(encoding="utf-8")
    started = re.findall(r"^ *ExecStart=/opt/sopilot/.venv/bin/sopilot (.+)$", page, re.MULTILINE)
    assert [line.split()[0] for line in started] == ["serve", "backup"]
    for line in started:
        name, *arguments = line.split()
        get_command(app).commands[name].make_context(name, arguments)  # type: ignore[attr-defined]
    sections = re.findall(r"^ *\[(\w+)\]$", page, re.MULTILINE)
    assert sections == ["Unit", "Service", "Install", "Unit", "Service", "Unit", "Timer", "Install"]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target
