"""Make the fonts of the PDF reports: TrueType files from the fontsource packages of Noto Sans.

Run once by hand when the fonts should change; needs npm, and fonttools and brotli beside this
project (`uv pip install fonttools brotli`). The service never runs it.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path

from fontTools import subset
from fontTools.merge import Merger
from fontTools.merge import Options as MergeOptions
from fontTools.ttLib import TTFont

FOLDER = Path(__file__).resolve().parent.parent / "src" / "sopilot" / "report" / "fonts"
VERSION = "5.3.0"
WEIGHTS = {400: "Regular", 700: "Bold"}
WESTERN = ("latin", "latin-ext", "cyrillic", "cyrillic-ext", "greek", "vietnamese")
# Layout that is not needed and cannot be merged; hints that no PDF reader uses.
DROPPED = ("BASE", "GSUB", "GDEF", "STAT", "gasp", "prep", "vhea", "vmtx")


def main() -> None:
    """Fetch the two packages by npm and write one file per family and weight."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        western = _fetch("noto-sans", work)
        japanese = _fetch("noto-sans-jp", work)
        for weight, style in WEIGHTS.items():
            parts = [western / f"noto-sans-{part}-{weight}-normal.woff2" for part in WESTERN]
            _merge(parts, None, "SOPilot Sans", weight, style, work)
            whole = japanese / f"noto-sans-jp-japanese-{weight}-normal.woff2"
            slices = sorted(japanese.glob(f"noto-sans-jp-[0-9]*-{weight}-normal.woff2"))
            _merge([whole, *slices], _japanese(), "SOPilot Sans JP", weight, style, work)
        shutil.copyfile(western.parent / "LICENSE", FOLDER / "OFL.txt")


def _fetch(package: str, work: Path) -> Path:
    command = ["npm", "pack", "--silent", f"@fontsource/{package}@{VERSION}"]
    done = subprocess.run(command, cwd=work, check=True, capture_output=True, text=True)
    with tarfile.open(work / done.stdout.strip()) as archive:
        archive.extractall(work / package, filter="data")
    return work / package / "package" / "files"


def _japanese() -> set[int]:
    """What Japanese work writes: every character of Windows' code page, and its symbols."""
    found = set(range(0x2010, 0x2060)) | set(range(0x2190, 0x2300)) | set(range(0x2460, 0x2500))
    found |= set(range(0x25A0, 0x2770)) | set(range(0x3000, 0x3400)) | set(range(0xFF01, 0xFFEF))
    for code in range(0x3400, 0xFB00):
        if len(chr(code).encode("cp932", errors="ignore")) == 2:
            found.add(code)
    for code in range(0x2000, 0x3000):
        if chr(code).encode("cp932", errors="ignore"):
            found.add(code)
    return found


def _merge(
    parts: Iterable[Path],
    wanted: set[int] | None,
    family: str,
    weight: int,
    style: str,
    work: Path,
) -> None:
    """The characters of the parts in one file, each from the first part that has it."""
    seen: set[int] = set()
    kept: list[str] = []
    for part in parts:
        font = TTFont(part)
        new = set(font.getBestCmap()) - seen
        if wanted is not None and kept:
            new &= wanted
        if not new:
            continue
        seen |= new
        cutter = subset.Subsetter(subset.Options(layout_features=["kern"], notdef_outline=True))
        cutter.populate(unicodes=new)
        cutter.subset(font)
        for table in DROPPED if wanted is None else (*DROPPED, "GPOS"):
            if table in font:
                del font[table]
        font.flavor = None
        place = work / f"{len(kept):03d}-{weight}-{part.stem}.ttf"
        font.save(place)
        kept.append(str(place))
    merged = Merger(MergeOptions(drop_tables=["vhea", "vmtx"])).merge(kept)
    _rename(merged, family, weight, style)
    path = FOLDER / f"{family.replace(' ', '')}-{style}.ttf"
    merged.save(path)
    print(f"{path.name}: {len(merged.getBestCmap())} characters, {path.stat().st_size} bytes")


def _rename(font: TTFont, family: str, weight: int, style: str) -> None:
    """A changed font under the OFL carries another name; copyright and licence stay."""
    table = font["name"]
    for key in (16, 17, 21, 22, 25):
        table.removeNames(nameID=key)
    names = {
        1: family,
        2: style,
        3: f"{family} {style} {VERSION}",
        4: f"{family} {style}",
        6: f"{family.replace(' ', '')}-{style}",
    }
    for key, text in names.items():
        table.setName(text, key, 3, 1, 0x409)
    font["OS/2"].usWeightClass = weight
    # The clock must not show in the bytes.
    font["head"].modified = font["head"].created


if __name__ == "__main__":
    main()
