// What keyboard and screen-reader users need and the theme does not give; tests/browser/test_accessibility.py.
(() => {
  "use strict";
  /** What is wider than its column scrolls: let the keyboard reach it, so that the arrow keys move it. */
  function reachWide() {
    const formulas = "article div.math, article div.math mjx-container[display]";
    for (const node of document.querySelectorAll(`${formulas}, div.cell_output:has(> img.wide)`)) {
      if (node.scrollWidth > node.clientWidth) node.setAttribute("tabindex", "0");
      else node.removeAttribute("tabindex");
    }
  }
  /** A control is called by the words that it shows, then by its label: speech control needs that. */
  function nameControls() {
    for (const node of document.querySelectorAll("button[aria-label], a[aria-label], summary[aria-label]")) {
      const shown = node.innerText.replace(/\s+/g, " ").trim(), label = node.getAttribute("aria-label");
      if (shown && !label.toLowerCase().includes(shown.toLowerCase())) node.setAttribute("aria-label", `${shown} (${label})`);
    }
  }
  /** The theme's button holds three pictures with titles, of which one is seen; its own label is enough. */
  function hideIcons() {
    for (const icon of document.querySelectorAll(".theme-switch")) {
      for (const name of ["title", "role", "aria-labelledby"]) icon.removeAttribute(name);
      icon.setAttribute("aria-hidden", "true");
      icon.querySelector("title")?.remove();
    }
  }
  /** The references are marked as a list whose items are wrapped in something else. */
  function plainReferences() {
    for (const list of document.querySelectorAll(".citation-list")) {
      for (const node of [list, ...list.querySelectorAll("[role='listitem'], [role='doc-biblioentry']")]) node.removeAttribute("role");
    }
  }
  addEventListener("load", async () => {
    hideIcons();                           // and again when a script of the theme has drawn them
    for (const button of document.querySelectorAll(".theme-switch-button")) {
      new MutationObserver(hideIcons).observe(button, { childList: true, subtree: true });
    }
    nameControls();
    plainReferences();
    await window.MathJax?.startup?.promise;
    reachWide();
    addEventListener("resize", reachWide);
  });
})();
