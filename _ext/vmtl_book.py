"""What the built book needs beyond Jupyter Book, so that chapters stay plain, portable notebooks.

- A `\\tag{7.1}` equation gets the anchor `eq-7-1`, and keeps its tag: Sphinx would wrap one that has
  several lines in `split`, where MathJax allows no tag.
- Thebe, which would fetch a live kernel's scripts from a CDN and which we do not use, is left out.
- The Colab button's picture, which a chapter takes from the repository, is taken from this site.
- The lines of a chapter that install the package are for a notebook: a page leaves them out.
- What a published site needs beside pages: `site_files`.
- The theme's source maps are left out of the site, and `light_pages` makes its pages lighter.
- On a phone a picture of several panels scrolls: `wide_pictures`.
- A docstring may hold `$$ ... $$` and `$ ... $`, as the chapters do, and a shape `(*batch, T)`.
"""

import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

TAG = re.compile(r"\\tag\{(\d+)\.(\d+[a-z]?)\}")
# What tools/address.py puts there.
INSTALLATION = re.compile(
    r"\Atry:\n    import vmtl_core\.lab\.ready\nexcept .*\n(?:[ \t].*\n|\n(?=[ \t]))+\n*"
)
LONE_STAR = re.compile(r"(?<![\w*\\`])\*(?=\w)(?![^*\n]*\w\*)")


class TaggedEquations(SphinxTransform):
    """Give every tagged equation its anchor, and pass its TeX on unwrapped."""

    default_priority = 500

    def apply(self, **kwargs: Any) -> None:
        for block in self.document.findall(nodes.math_block):
            tex = block.astext()
            if found := TAG.search(tex):
                block["ids"].append(f"eq-{found[1]}-{found[2]}")
                block["nowrap"] = True
                block.children = [nodes.Text(rf"\[{tex}\]")]


class NoInstallation(SphinxTransform):
    """Begin a chapter's first cell where the chapter begins."""

    default_priority = 100

    def apply(self, **kwargs: Any) -> None:
        for block in self.document.findall(nodes.literal_block):
            text = block.astext()
            if (shorter := INSTALLATION.sub("", text)) != text:
                block.rawsource = shorter
                block.children = [nodes.Text(shorter)]


class OwnButton(SphinxTransform):
    """Show the Colab button's picture without asking another site."""

    default_priority = 100

    def apply(self, **kwargs: Any) -> None:
        for picture in self.document.findall(nodes.image):
            if picture["uri"].endswith("/_static/colab-badge.svg"):
                picture["uri"] = "/_static/colab-badge.svg"


def without_thebe(
    app: Sphinx, pagename: str, template: str, context: dict[str, Any], _: object
) -> None:
    """Leave out the scripts that Jupyter Book adds for Thebe (twice, an error on the console)."""
    context["script_files"] = [
        script
        for script in context.get("script_files", [])
        if "thebe" not in f"{script.filename} {script.attributes.get('body')}"
    ]


def _display(found: re.Match[str]) -> str:
    """A math directive at the indent of its `$$`; napoleon has yet to see the lines."""
    indent, body = found[1], re.sub(r"\s*\n\s*", " ", found[2].strip())
    return f"\n{indent}.. math:: {body}\n"


def docstring_mathematics(
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    r"""Turn `$$ a $$` into a math directive and `$a$` into the math role; escape the star of a shape."""
    text = re.sub(r"(?m)^([ \t]*)\$\$(.+?)\$\$[ \t]*$", _display, "\n".join(lines), flags=re.S)
    text = re.sub(r"(?<![\\$`])\$([^$\n]+)\$(?!\$)", r":math:`\1`", text)
    lines[:] = LONE_STAR.sub(r"\*", text).split("\n")


def without_source_maps(app: Sphinx, exception: Exception | None) -> None:
    """Leave out the theme's source maps: 3 MB that serve only its own developers."""
    for found in Path(app.outdir).rglob("*.map"):
        found.unlink()


def setup(app: Sphinx) -> dict[str, Any]:
    app.setup_extension("light_pages")
    app.setup_extension("site_files")
    app.setup_extension("wide_pictures")
    app.connect("build-finished", without_source_maps, priority=900)
    app.add_transform(TaggedEquations)
    app.add_transform(NoInstallation)
    app.add_transform(OwnButton)
    app.connect("html-page-context", without_thebe, priority=900)
    app.connect("autodoc-process-docstring", docstring_mathematics, priority=100)
    return {"version": "1", "parallel_read_safe": True}
