"""Write the tables of docs/ and .env.example from the code; `--check` only compares.

Run as `make docs`; CI runs it with `--check`, so a setting, error or route without its row fails.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from sopilot.core import errors
from sopilot.core.config import Settings, variable_names

ROOT = Path(__file__).resolve().parents[1]
START, END = "<!-- generated: {} -->", "<!-- end of generated: {} -->"


def _default_text(name: str) -> str:
    if name == "data_dir":
        return "the user's cache folder"
    value = Settings.model_fields[name].get_default()
    if value is None or value == "":
        return "_(empty)_"
    if isinstance(value, tuple):
        value = ",".join(value)
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def settings_table() -> str:
    """Variable, other names, default, meaning."""
    lines = ["| variable | also read | default | meaning |", "|---|---|---|---|"]
    for name, field in Settings.model_fields.items():
        first, *others = variable_names(name)
        also = ", ".join(f"`{other}`" for other in others)
        lines.append(f"| `{first}` | {also} | {_default_text(name)} | {field.description} |")
    return "\n".join(lines)


def error_classes() -> list[type[errors.SopilotError]]:
    """The tree, parents before children, siblings as declared."""
    found: list[type[errors.SopilotError]] = []

    def visit(kind: type[errors.SopilotError]) -> None:
        found.append(kind)
        for child in kind.__subclasses__():
            visit(child)

    visit(errors.SopilotError)
    return found


def error_table() -> str:
    """Code, HTTP status, retry, meaning."""
    from sopilot.api.errors import status_of

    lines = ["| code | class | HTTP | retried |", "|---|---|---|---|"]
    for kind in error_classes():
        retried = "yes" if kind.retryable else ""
        lines.append(f"| `{kind.code}` | {kind.__name__} | {status_of(kind)} | {retried} |")
    return "\n".join(lines)


def route_table() -> str:
    """Method, path, least role, summary."""
    from sopilot.api.app import route_rows

    lines = ["| method | path | role | what it does |", "|---|---|---|---|"]
    for row in route_rows():
        lines.append(f"| {row.method} | `{row.path}` | {row.role} | {row.summary} |")
    return "\n".join(lines)


def env_example() -> str:
    """The template of quickstart §1: every variable, commented out, with its meaning."""
    lines = [
        "# Copy to .env and set at least SOPILOT_API_KEY. Every other value has a safe default.",
        "# Written by `make docs` from src/sopilot/core/config.py.",
        "",
    ]
    for name, field in Settings.model_fields.items():
        default = Settings.model_fields[name].get_default()
        if isinstance(default, tuple):
            default = ",".join(default)
        shown = "" if default is None else default
        shown = str(shown).lower() if isinstance(shown, bool) else shown
        lines += [f"# {field.description}", f"#{variable_names(name)[0]}={shown}", ""]
    return "\n".join(lines).rstrip() + "\n"


TABLES: dict[str, tuple[str, Callable[[], str]]] = {
    "settings": ("docs/configuration.md", settings_table),
    "errors": ("docs/errors.md", error_table),
    "routes": ("docs/api.md", route_table),
}


def _with_table(text: str, name: str, table: str) -> str:
    start, end = START.format(name), END.format(name)
    before, _, rest = text.partition(start)
    _, found, after = rest.partition(end)
    if not found:
        raise SystemExit(f"no `{start} … {end}` block found; add it to the page")
    return f"{before}{start}\n{table}\n{end}{after}"


def pages() -> dict[Path, str]:
    """What every generated file should hold."""
    wanted = {ROOT / ".env.example": env_example()}
    for name, (place, make) in TABLES.items():
        path = ROOT / place
        wanted[path] = _with_table(path.read_text(encoding="utf-8"), name, make())
    return wanted


def main() -> int:
    """0 when in step (or written), 1 when `--check` finds a difference."""
    stale = [
        path
        for path, text in pages().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    if "--check" in sys.argv[1:]:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is out of step with the code; run `make docs`")
        return 1 if stale else 0
    wanted = pages()
    for path in stale:
        path.write_text(wanted[path], encoding="utf-8")
        print(f"wrote {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
