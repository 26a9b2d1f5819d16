"""Pages that load fast: once the book is built, what no reader would miss is taken off the site.

- The theme's icon script (1.5 MB) holds up the first paint of every page, to draw what its icon fonts
  draw too: it goes.
- Cards, grids and tabs (sphinx-design) bring a style sheet and a script to every page: they go, unless
  some page has such a thing.
- What widgets store stands at the top of a page, before its text: it goes to the end, without the
  widgets that the page does not show.
- Of the icon fonts and their style rules (0.4 MB) stays what some page, script or style sheet uses.
- Pictures keep 64 colours where nobody would see the difference, 128 or 256 elsewhere: a quarter of
  their size or less.

tests/browser/test_page_weight.py weighs the pages.
"""

import json
import logging
import re
from pathlib import Path
from typing import Any

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont
from PIL import Image, ImageChops, ImageStat
from sphinx.application import Sphinx

ICON_SCRIPT = re.compile(r'<script src="[^"]*scripts/fontawesome\.js[^"]*"></script>\s*')
DESIGN = re.compile(
    r"<link [^>]*sphinx-design[^>]*>\s*|<script [^>]*design-tabs\.js[^>]*></script>\s*"
)
DESIGNED = re.compile(r'class="[^"]*\bsd-')
ICON_RULE = re.compile(r'((?:\.fa-[\w-]+:{1,2}before,?)+)\{content:"\\[0-9a-f]+"\}')
ICON_CODE = re.compile(r"\\([ef][0-9a-f]{3})\b")
ICON_FONT = re.compile(
    r'url\(([^)]*/webfonts/[\w-]+)\.woff2\) format\("woff2"\),url\([^)]*\)[^,;}]*'
)
STATE = re.compile(
    r'<script type="application/vnd\.jupyter\.widget-state\+json">(.*?)</script>\s*', re.DOTALL
)
VIEW = re.compile(
    r'<script type="application/vnd\.jupyter\.widget-view\+json">(.*?)</script>', re.DOTALL
)

UNSEEN = 2.0


def without_icon_script(site: Path) -> None:
    """Take the icon script off every page."""
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        if (lighter := ICON_SCRIPT.sub("", text)) != text:
            page.write_text(lighter, encoding="utf-8")
    for script in site.glob("_static/scripts/fontawesome.js*"):
        script.unlink()


def without_design(site: Path) -> None:
    """Take what cards, grids and tabs need off every page, where no page has one."""
    pages = {page: page.read_text(encoding="utf-8") for page in site.rglob("*.html")}
    if any(DESIGNED.search(text) for text in pages.values()):
        return
    for page, text in pages.items():
        if (lighter := DESIGN.sub("", text)) != text:
            page.write_text(lighter, encoding="utf-8")
    for found in (*site.glob("_static/sphinx-design*"), *site.glob("_static/design-tabs.js")):
        found.unlink()


def widgets_last(site: Path) -> None:
    """Move what widgets store behind the text of the page, and keep only those that are shown."""
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        if not (found := STATE.search(text)):
            continue
        kept = json.loads(found[1])
        views = [json.loads(view)["model_id"] for view in VIEW.findall(text)]
        kept["state"] = shown(kept["state"], views)
        moved = found[0].replace(
            found[1],
            json.dumps(kept, ensure_ascii=False, separators=(",", ":")).replace("</", "<\\/"),
        )
        before, end, after = STATE.sub("", text).rpartition("</body>")
        page.write_text(before + moved + end + after, encoding="utf-8")


def shown(state: dict[str, Any], views: list[str]) -> dict[str, Any]:
    """The models of `views`, and those that they name."""
    needed: set[str] = set()
    waiting = [model for model in views if model in state]
    while waiting:
        needed.add(model := waiting.pop())
        named = re.findall(r"IPY_MODEL_(\w+)", json.dumps(state[model]))
        waiting += [other for other in named if other in state and other not in needed]
    return {model: state[model] for model in state if model in needed}


def used_icons_only(site: Path) -> None:
    """Cut the icons' style rules and fonts down to those that are named somewhere."""
    texts = [
        found.read_text("utf-8") for kind in ("html", "js") for found in site.rglob(f"*.{kind}")
    ]
    used = set(re.findall(r"fa-[\w-]+", " ".join(texts)))

    def keep(rule: re.Match[str]) -> str:
        return rule[0] if used & set(re.findall(r"fa-[\w-]+", rule[1])) else ""

    sheets = {sheet: sheet.read_text("utf-8") for sheet in site.glob("_static/**/*.css")}
    lighter = {sheet: ICON_RULE.sub(keep, text) for sheet, text in sheets.items()}
    codes = {int(code, 16) for text in lighter.values() for code in ICON_CODE.findall(text)}
    for sheet, text in lighter.items():
        for address in ICON_FONT.findall(text):
            cut_font((sheet.parent / address).resolve(), codes)
        if (text := ICON_FONT.sub(r'url(\1.woff) format("woff")', text)) != sheets[sheet]:
            sheet.write_text(text, encoding="utf-8")


def cut_font(stem: Path, codes: set[int]) -> None:
    """Keep the glyphs of `codes` only, in one file `stem`.woff."""
    full = stem.with_suffix(".ttf")
    if not full.exists():
        return
    font = TTFont(full)
    subsetter = Subsetter(Options(layout_features=[], notdef_outline=True))
    subsetter.populate(unicodes=codes)
    subsetter.subset(font)
    font.flavor = "woff"
    font.save(stem.with_suffix(".woff"))
    for old in (full, stem.with_suffix(".woff2")):
        old.unlink(missing_ok=True)


def fewer_colours(site: Path) -> None:
    """Store pictures with a palette, where that is smaller."""
    for path in site.glob("_images/*.png"):
        with Image.open(path) as picture:
            if picture.mode == "P" or picture.convert("RGBA").getchannel("A").getextrema() != (
                255,
                255,
            ):
                continue
            lighter = palette(picture.convert("RGB"))
        trial = path.with_suffix(".trial.png")
        lighter.save(trial, optimize=True)
        if trial.stat().st_size < path.stat().st_size:
            trial.replace(path)
        trial.unlink(missing_ok=True)


def palette(picture: Image.Image) -> Image.Image:
    """The picture with the fewest colours that are near enough: `UNSEEN` levels of 255, root mean square."""
    for colours in (64, 128):
        lighter = picture.quantize(colours, dither=Image.Dither.NONE)
        apart = ImageStat.Stat(ImageChops.difference(picture, lighter.convert("RGB")))
        if max(apart.rms) < UNSEEN:
            return lighter
    return picture.quantize(256, dither=Image.Dither.NONE)


def make_light(app: Sphinx, exception: Exception | None) -> None:
    """All of the above, on a site that was built."""
    if exception is None and app.builder.format == "html":
        site = Path(app.outdir)
        without_icon_script(site)
        without_design(site)
        widgets_last(site)
        used_icons_only(site)
        fewer_colours(site)


def setup(app: Sphinx) -> dict[str, Any]:
    logging.getLogger("fontTools").setLevel(logging.WARNING)
    app.connect("build-finished", make_light, priority=950)
    return {"version": "1", "parallel_read_safe": True}
