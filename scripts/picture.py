"""Draw the README's picture: the step timeline of a result record, as SVG.

Usage: python scripts/picture.py demo/reports/missing-step.json docs/picture.svg
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from sopilot.report.html import render_timeline_svg


def main() -> int:
    """0, or 2 for wrong usage."""
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    record = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    # In a page the drawing inherits the page's font; on its own it needs one.
    drawing = render_timeline_svg(record).replace("inherit", "system-ui, sans-serif", 1)
    Path(sys.argv[2]).write_text(drawing + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
