"""Write the tables of docs/ and .env.example from the code and the measured figures; `--check` only
compares.

Run as `make docs`; CI runs it with `--check`, so a setting, error or route without its row fails,
and so does a page that tells other figures than `benchmarks/results`.
"""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic_core import PydanticUndefined

from sopilot.core.config import Settings, variable_names
from sopilot.core.unread import UNREAD, Unread

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


def unread_table() -> str:
    """Variables of the older products that no setting reads, the same reason together."""
    groups: dict[Unread, list[str]] = {}
    for name, known in UNREAD.items():
        groups.setdefault(known, []).append(f"`{name}`")
    lines = ["| variables | why not | when set |", "|---|---|---|"]
    for known, names in groups.items():
        action = "warning"
        if known.allowed is not None:
            others = " or ".join(f"`{value}`" for value in known.allowed)
            action = f"the start is refused, except for {others}" if others else "refused"
        lines.append(f"| {', '.join(names)} | {known.reason} | {action} |")
    return "\n".join(lines)


def error_table() -> str:
    """Code, class, HTTP status, whether a job tries again; parents before children."""
    from sopilot.api.errors import status_of
    from sopilot.core.errors import error_tree

    lines = ["| code | class | HTTP | retried |", "|---|---|---|---|"]
    # Only the public tree: bands derive a few private ones that never reach a caller.
    for kind in (item for item in error_tree() if item.__module__ == "sopilot.core.errors"):
        retried = "yes" if kind.retryable else ""
        lines.append(f"| `{kind.code}` | {kind.__name__} | {status_of(kind)} | {retried} |")
    return "\n".join(lines)


def route_table() -> str:
    """Method, path, least role, summary; in the order of the routers."""
    from fastapi.routing import APIRoute

    from sopilot.api.app import PLACED_ROUTERS, ROUTERS
    from sopilot.api.openapi import least_roles
    from sopilot.api.routers import docs

    lines = ["| method | path | role | what it does |", "|---|---|---|---|"]
    for router in (*ROUTERS, *PLACED_ROUTERS, docs.router):
        for route in router.routes:
            # HEAD twins and the page at /docs have no summary of their own.
            if isinstance(route, APIRoute) and route.summary:
                role = ", ".join(item.name.lower() for item in least_roles(route.dependant))
                methods = ", ".join(sorted(route.methods))
                lines.append(f"| {methods} | `{route.path}` | {role} | {route.summary} |")
    return "\n".join(lines)


def role_table() -> str:
    """Least role and the routes that ask for it, ascending."""
    from fastapi.routing import APIRoute

    from sopilot.api.app import PLACED_ROUTERS, ROUTERS
    from sopilot.api.auth import Access
    from sopilot.api.openapi import least_roles

    routes: dict[Access, list[str]] = {role: [] for role in Access}
    for router in (*ROUTERS, *PLACED_ROUTERS):
        for route in router.routes:
            if isinstance(route, APIRoute) and route.include_in_schema:
                [role] = least_roles(route.dependant)
                routes[role] += [f"`{method} {route.path}`" for method in sorted(route.methods)]
    lines = ["| least role | routes |", "|---|---|"]
    for role, own in routes.items():
        name = "none" if role is Access.PUBLIC else role.name.lower()
        lines.append(f"| {name} | {', '.join(own)} |")
    return "\n".join(lines)


def acceptance_table() -> str:
    """Row of the contract, feature, the tests that prove it or what it waits for."""
    rows = tomllib.loads((ROOT / "docs/acceptance.toml").read_text(encoding="utf-8"))
    lines = ["| row | feature | proven by |", "|---|---|---|"]
    for name, row in rows.items():
        tests = "<br>".join(f"`{test}`" for test in row.get("tests", ()))
        proof = tests or f"planned: {row['planned']}"
        lines.append(f"| {name} | {row['feature']} | {proof} |")
    return "\n".join(lines)


def verdict_table() -> str:
    """Films, figure, floor, what was measured; without figures that have no floor, and without the
    tasks that the method was set by."""
    lines = ["| films | figure | floor | measured |", "|---|---|---|---|"]
    for suite, record in _verdicts().items():
        for row in record["rows"]:
            if row["floor"] is not None and not row["name"].startswith("dev: "):
                sign = "≥" if row["at_least"] else "≤"
                floor = f"{sign} {row['floor']:g}"
                lines.append(f"| {suite} | {row['name']} | {floor} | {_measured(row)} |")
    return "\n".join(lines)


def ablation_table() -> str:
    """What is taken away, then per set of films: AUC, good ones with an alarm, defects named."""
    tables = [table for table in _verdicts()["ablation"]["tables"] if table["lines"][0][1] == "AUC"]
    heads = [f" {table['title']} " for table in tables]
    lines = [f"| taken away |{'|'.join(heads)}|", "|---" * (len(heads) + 1) + "|"]
    for rows in zip(*(table["lines"][1:] for table in tables), strict=True):
        cells = [f" {row[1]}, {row[3]}, {_named(row[6:])} " for row in rows]
        lines.append(f"| {rows[0][0]} |{'|'.join(cells)}|")
    return "\n".join(lines)


def _named(counts: list[str]) -> str:
    """Hits and totals of several kinds of defects, each as "5/6", added up."""
    parts = [[int(number) for number in count.split("/")] for count in counts if "/" in count]
    return "/".join(str(sum(part[place] for part in parts)) for place in range(2))


def _verdicts() -> dict[str, Any]:
    path = ROOT / "benchmarks/results/verdicts.json"
    suites: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["suites"]
    return suites


def _measured(row: dict[str, Any]) -> str:
    """The value, as hits of how many where it is a count; bold where it misses its floor."""
    text = "not run" if row["value"] is None else f"{row['value']:.3f}"
    if "count" in row:
        count = row["count"]
        hits, total, *_ = count["films"] if isinstance(count, dict) else count
        text = f"{text} ({hits}/{total})"
    return f"**{text}**" if row["verdict"] == "MISS" else text


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
        shown = "" if default in (None, PydanticUndefined) else default
        shown = str(shown).lower() if isinstance(shown, bool) else shown
        lines += [f"# {field.description}", f"#{variable_names(name)[0]}={shown}", ""]
    return "\n".join(lines).rstrip() + "\n"


TABLES: dict[str, tuple[str, Callable[[], str]]] = {
    "settings": ("docs/configuration.md", settings_table),
    "unread": ("docs/configuration.md", unread_table),
    "errors": ("docs/errors.md", error_table),
    "routes": ("docs/api.md", route_table),
    "roles": ("docs/access.md", role_table),
    "acceptance": ("docs/acceptance.md", acceptance_table),
    "verdicts": ("docs/scoring.md", verdict_table),
    "ablation": ("docs/scoring.md", ablation_table),
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
        text = wanted.get(path) or path.read_text(encoding="utf-8")
        wanted[path] = _with_table(text, name, make())
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
