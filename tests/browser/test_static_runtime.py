"""`_static/static-widgets.js`: what starts stored widgets in a page without a kernel."""

from pathlib import Path

from playwright.sync_api import Browser

from tests.browser.explorer_temperature import TEMPERATURE
from tests.browser.static_page import stored, watched, write_page


def test_widgets_far_down_wait_and_one_source_text_is_loaded_once(
    browser: Browser, tmp_path: Path
) -> None:
    widgets = TEMPERATURE.make()
    first, second = (widget.model_id for widget in widgets)
    path = write_page(tmp_path, [first] + ["missing"] * 40 + [second, first], stored(widgets))
    with watched(browser, tmp_path.as_uri()) as (page, errors):
        page.add_init_script(
            "const make = URL.createObjectURL; window.made = 0;"
            "URL.createObjectURL = blob => { window.made += 1; return make.call(URL, blob); };"
        )
        page.goto(path.as_uri())
        page.locator(".vmtl").first.wait_for()
        waiting = page.locator(".static-widget-wait")
        assert waiting.count() == 2
        assert "Starting" in (waiting.first.text_content() or "")
        page.locator(".static-widget").last.scroll_into_view_if_needed()
        page.locator(".vmtl").nth(2).wait_for()
        assert page.evaluate("window.made") == 1
        assert page.locator("head style").count() == 2
        assert not errors


ECHO = """export default () => ({
  initialize({ model }) { model.set({ started: (model.get("started") ?? 0) + 1 }); },
  async render({ model, el }) {
    const inner = await model.widget_manager.get_model("plain");
    el.className = "echo";
    el.textContent = [new Float32Array(model.get("data").raw.buffer).join(), model.get("hex").getUint8(1),
      model.get("started"), inner.get("word")].join(" ");
    model.on("change:word", () => { throw new Error("a listener failed"); });
    el.onclick = () => model.set("word", "new");
  } });"""
PLAIN = "export default { render({ model, el }) { el.textContent = model.get('word'); } };"
BROKEN = "export default { render() { throw new Error('no such figure'); } };"


def test_buffers_factories_errors_and_controls_that_need_python(
    browser: Browser, tmp_path: Path
) -> None:
    raw = {"path": ["data", "raw"], "data": "AACAPwAAAEA=", "encoding": "base64"}  # 1, 2
    as_hex = {"path": ["hex"], "data": "ff07", "encoding": "hex"}
    state = {
        "echo": {"state": {"_esm": ECHO, "data": {}}, "buffers": [raw, as_hex]},
        "plain": {"state": {"_esm": PLAIN, "word": "hello"}},
        "broken": {"state": {"_esm": BROKEN}},
        "syntax": {"state": {"_esm": "export default {"}},
        "slider": {"state": {"_model_name": "IntSliderModel"}},
    }
    path = write_page(tmp_path, ["echo", "echo", "plain", "broken", "syntax", "slider"], state)
    with watched(browser, tmp_path.as_uri()) as (page, errors):
        page.goto(path.as_uri())
        places = page.locator(".static-widget")
        page.locator(".echo").nth(1).wait_for()
        assert page.locator(".echo").all_text_contents() == ["1,2 7 1 hello"] * 2
        assert places.nth(2).text_content() == "hello"
        places.nth(4).locator("[role='alert']").wait_for()
        assert "no such figure" in (places.nth(3).text_content() or "")
        assert "Python" in (places.nth(5).locator("[role='note']").text_content() or "")
        assert len(errors) == 2, "both failures are on the console too"
        page.locator(".echo").first.click()
        assert "a listener failed" in (places.nth(1).text_content() or "")
