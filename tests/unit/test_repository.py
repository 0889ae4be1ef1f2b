"""The repository itself: what may lie where, and lists that must agree."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ALLOWED = {
    ".ci", ".env.example", ".gitignore", ".pre-commit-config.yaml", "CHANGELOG.md",
    "CONTRIBUTING.md", "LICENSE", "Makefile", "README.md", "benchmarks", "docs",
    "pyproject.toml", "requirements", "scripts", "src", "tests",
}  # fmt: skip
FORBIDDEN_NAMES = {"utils", "helpers", "manager", "common", "misc", "service", "legacy"}


def tracked() -> list[str]:
    done = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.skip("not a git checkout")
    return done.stdout.splitlines()


def test_nothing_else_lies_at_the_root() -> None:
    assert {name.split("/")[0] for name in tracked()} <= ALLOWED


def test_no_module_is_named_by_a_word_that_says_nothing() -> None:
    stems = {Path(name).stem for name in tracked() if name.startswith("src/")}
    assert not stems & FORBIDDEN_NAMES


def test_no_media_enters_the_repository() -> None:
    suffixes = {Path(name).suffix for name in tracked()}
    assert not suffixes & {".mp4", ".mkv", ".avi", ".mov", ".webm", ".npz", ".db", ".pdf"}


def test_lock_files_hold_hashes_and_no_address() -> None:
    for path in (ROOT / "requirements").glob("*.lock"):
        text = path.read_text(encoding="utf-8")
        assert "--hash=sha256:" in text
        assert not re.search(r"https?://|--(extra-)?index-url|--find-links", text), path.name


def _requirements(name: str) -> set[str]:
    lines = (ROOT / "requirements" / name).read_text(encoding="utf-8").splitlines()
    return {line.strip() for line in lines if line.strip() and not line.startswith(("#", "-c"))}


def test_requirement_inputs_equal_the_project_table() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert _requirements("core.in") == set(project["dependencies"])
    assert _requirements("dev.in") >= set(project["optional-dependencies"]["dev"])
    assert _requirements("asr.in") == set(project["optional-dependencies"]["asr"])


def test_make_help_lists_every_verb() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    verbs = re.search(r"^\.PHONY: (.+)$", text, re.MULTILINE)
    assert verbs
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert [verb for verb in verbs.group(1).split() if f"make {verb}" not in done.stdout] == []


def test_decisions_are_numbered_without_gaps() -> None:
    numbers = sorted(int(path.name[:4]) for path in (ROOT / "docs/decisions").glob("*.md"))
    assert numbers == list(range(1, len(numbers) + 1))
