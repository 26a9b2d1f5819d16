"""What a published site needs beside its pages.

- `404.html`, for addresses that lead nowhere. It is shown at any depth, so that its links name the
  site's own path, once `_config.yml` says where the site is (`html: baseurl:`).
- A description of every page, its title and, on a site with an address, a picture, for search engines
  and for those who share a link.
- `sitemap.xml`, on a site with an address: a list of the pages.
- A page at each old address of a page that moved, `moved.txt`, which leads to the new one.
"""

import re
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from docutils import nodes
from PIL import Image
from sphinx.application import Sphinx

MOVED = Path(__file__).parent / "moved.txt"
TEMPLATES = Path(__file__).parent / "templates"
PICTURE = Path(__file__).parents[1] / "book" / "images" / "readme.png"
PREVIEW = "_static/preview.png"
SIZE = (1200, 630)  # what those who show previews ask for
RELATIVE = re.compile(r'\b(href|src|data-content_root)="(?![a-z]+:|[#/])(?:\./)?([^"]*)"')
DESCRIBED = 200  # characters of a description


def describe(doctree: nodes.document | None) -> str:
    """The page's first paragraph of plain prose, cut at a word; empty if there is none."""
    if doctree is None:
        return ""
    for paragraph in doctree.findall(nodes.paragraph):
        text = " ".join(paragraph.astext().split())
        plain = not any(paragraph.findall(lambda node: isinstance(node, nodes.math | nodes.image)))
        bold = next(iter(paragraph.findall(nodes.strong)), nodes.strong("", "-")).astext()
        header = text.startswith(" ".join(bold.split()))  # what you need, how long it takes
        if plain and not header and isinstance(paragraph.parent, nodes.section) and len(text) > 60:
            return text if len(text) <= DESCRIBED else text[:DESCRIBED].rsplit(" ", 1)[0] + " …"
    return ""


def describe_page(
    app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: Any
) -> None:
    """Put the description, for search engines and previews, into the page's head."""
    title = re.sub(r"<[^>]*>", "", str(context.get("title") or app.config.html_title))
    text, site = escape(describe(doctree)), app.config.html_baseurl
    said = {"og:type": "article", "og:title": title, "og:site_name": app.config.html_title}
    if text:
        said["og:description"] = text
        context["metatags"] = (
            f'{context.get("metatags", "")}<meta name="description" content="{text}">\n'
        )
    if site:
        said |= {"og:url": f"{site}{pagename}.html", "og:image": site + PREVIEW}
        said["twitter:card"] = "summary_large_image"
    tags = (f'<meta property="{name}" content="{value}">' for name, value in said.items())
    context["metatags"] = context.get("metatags", "") + "\n".join(tags) + "\n"


def absolute(page: str, path: str) -> str:
    """The page with its relative links below `path`, which begins and ends with a slash."""
    return RELATIVE.sub(rf'\1="{path}\2"', page)


def sitemap(site: str, pages: list[str]) -> str:
    """The list of pages, as <https://www.sitemaps.org> defines it."""
    entries = "".join(f"<url><loc>{escape(site + page)}</loc></url>\n" for page in sorted(pages))
    head = '<?xml version="1.0" encoding="UTF-8"?>\n'
    return (
        f'{head}<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n{entries}</urlset>\n'
    )


def preview(picture: Path) -> Image.Image:
    """The README's picture in the shape that previews have."""
    with Image.open(picture) as drawn:
        shown = drawn.convert("RGBA")
    shown.thumbnail((SIZE[0] - 40, SIZE[1] - 30))
    result = Image.new("RGB", SIZE, "white")
    result.paste(shown, ((SIZE[0] - shown.width) // 2, (SIZE[1] - shown.height) // 2), shown)
    return result


def redirect(old: str, new: str) -> str:
    """The page at an old address, `book/old`: it leads to the new one, anchor and all."""
    target = "../" * old.count("/") + f"{new}.html"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>This page has moved</title>'
        f'<meta name="robots" content="noindex"><meta http-equiv="refresh" content="1; url={target}">'
        f'<script>location.replace("{target}" + location.hash)</script></head>'
        f'<body><p>This page has <a href="{target}">moved</a>.</p></body></html>\n'
    )


def moved(table: str) -> dict[str, str]:
    """Old and new names of pages, a pair a line."""
    return dict(line.split() for line in table.splitlines())


def add_redirects(app: Sphinx, exception: Exception | None) -> None:
    """Write a page at each old address."""
    if exception is not None or app.builder.format != "html" or not MOVED.is_file():
        return
    for old, new in moved(MOVED.read_text("utf-8")).items():
        (Path(app.outdir) / f"{old}.html").write_text(redirect(old, new), "utf-8")


def add_files(app: Sphinx, exception: Exception | None) -> None:
    """Write what needs the site's address, on a site that was built and has one."""
    site = app.config.html_baseurl
    if exception is not None or app.builder.format != "html" or not site:
        return
    out = Path(app.outdir)
    lost = out / "404.html"
    lost.write_text(absolute(lost.read_text("utf-8"), urlsplit(site).path), "utf-8")
    pages = [f"{name}.html" for name in app.env.found_docs]
    (out / "sitemap.xml").write_text(sitemap(site, pages), "utf-8")
    preview(PICTURE).save(out / PREVIEW, optimize=True)


def add_page(app: Sphinx, config: Any) -> None:
    """Have `404.html` made from its template."""
    config.html_additional_pages["404"] = "404.html"
    config.templates_path.append(str(TEMPLATES))


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("config-inited", add_page)
    app.connect("html-page-context", describe_page)
    app.connect("build-finished", add_files, priority=940)
    app.connect("build-finished", add_redirects, priority=940)
    return {"version": "1", "parallel_read_safe": True}
