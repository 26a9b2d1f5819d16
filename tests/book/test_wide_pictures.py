"""Pictures of several panels are marked, so that they scroll on a phone."""

from pathlib import Path

from PIL import Image

from _ext.wide_pictures import ONE_PANEL, mark


def test_pictures_wider_than_one_panel_are_marked(tmp_path: Path) -> None:
    (tmp_path / "_images").mkdir()
    (tmp_path / "book").mkdir()
    for name, width in (("narrow", ONE_PANEL), ("wide", ONE_PANEL + 1)):
        Image.new("RGB", (width, 300)).save(tmp_path / "_images" / f"{name}.png")
    page = tmp_path / "book" / "page.html"
    tags = [f'<img alt="a &lt; b" src="../_images/{name}.png" />' for name in ("narrow", "wide")]
    page.write_text(f"<p>{tags[0]}</p>\n<p>{tags[1]}</p>", encoding="utf-8")
    mark(page)
    once = page.read_text(encoding="utf-8")
    assert once.count('class="wide"') == 1
    assert once.index('class="wide"') > once.index("narrow.png")
    mark(page)
    assert page.read_text(encoding="utf-8") == once
