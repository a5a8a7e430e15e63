"""Open built pages in a browser, measure them and photograph them.

    python tests/pages.py [--book _build/html] [--out FOLDER] [PAGE ...]
    python tests/pages.py --search

PAGE is like theory/duality; by default all. Each page is opened at 1280 and
390 pixels, in light and dark. For each are printed: the height of the page,
where the first figure begins, words for each visible line of code, display
equations that scroll, inline formulas and tables that are cut, printed lines
that wrap, errors of the console. --search asks the book's own search box what
tests/test_form.py lists and prints the rank of the expected page.

Needs Debian's packages chromium and chromium-driver, and pip install selenium.
"""

import argparse
import contextlib
import functools
import http.server
import json
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MEASURE = """
const article = document.querySelector("article.bd-article");
const shown = (e) => e.offsetParent !== null && e.getClientRects().length > 0
  && !e.closest("details:not([open])");
const all = (s) => [...article.querySelectorAll(s)].filter(shown);
const top = (e) => e.getBoundingClientRect().top + window.scrollY;
const figures = all("figure, .cell_output img, img").filter(
  (e) => e.getBoundingClientRect().height > 60);
const code = all(".cell_input pre");
const lines = code.map((e) => e.textContent.split("\\n")
  .filter((l) => l.trim()).length).reduce((a, b) => a + b, 0);
const copy = article.cloneNode(true);
for (const e of copy.querySelectorAll("pre, mjx-container, script, style"))
  e.remove();
const words = copy.textContent.split(/\\s+/).filter(Boolean).length;
const wide = (e) => e.scrollWidth > e.clientWidth + 2;
const right = article.getBoundingClientRect().right + 1;
const cut = (e) => e.getBoundingClientRect().right > right
  && !e.closest("div.math, .cell_output, .pst-scrollable-table-container");
const text = (e) => (e.closest("[id]") || article).id
  + ": " + (e.querySelector("mjx-assistive-mml") || e).textContent
  .replace(/\\s+/g, " ").slice(0, 60);
const wraps = all(".cell_output pre").filter((e) => {
  const style = getComputedStyle(e);
  const rows = e.textContent.replace(/\\n$/, "").split("\\n").length;
  const height = e.clientHeight - parseFloat(style.paddingTop)
    - parseFloat(style.paddingBottom);
  return height / parseFloat(style.lineHeight) > rows + 0.5;
});
return {
  height: document.documentElement.scrollHeight,
  sideways: document.documentElement.scrollWidth > innerWidth + 1,
  figure: figures.length ? Math.round(Math.min(...figures.map(top))) : null,
  uncaptioned: figures.filter((e) => !e.closest("figure")
    || !e.closest("figure").querySelector("figcaption")).length,
  words: words, lines: lines,
  scrolling: all("div.math, mjx-container[display='true']").filter(wide)
    .filter((e, k, every) => !every.some((o) => o !== e && e.contains(o)))
    .map(text),
  inline: all("span.math").filter(cut).map(text),
  wrapped: wraps.map((e) => text(e)),
  broken: [...document.images].filter(
    (i) => i.complete && !i.naturalWidth).length,
};
"""


@contextlib.contextmanager
def serve(folder: Path):
    """Serve a folder on this machine; yield its address."""
    quiet = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {})
    quiet.log_message = lambda *_: None
    handler = functools.partial(quiet, directory=folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def open_browser(width: int):
    """Return a headless Chromium of that width."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for flag in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--hide-scrollbars",
    ):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = Service("/usr/bin/chromedriver")
    browser = webdriver.Chrome(options=options, service=service)
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        dict(width=width, height=900, deviceScaleFactor=1, mobile=False),
    )
    return browser


def settle(browser) -> None:
    """Wait until formulas are typeset and pictures are loaded."""
    browser.set_script_timeout(60)
    browser.execute_async_script("""
        const done = arguments[0];
        for (const i of document.images) i.loading = "eager";
        const wait = window.MathJax && MathJax.startup
          ? MathJax.startup.promise : Promise.resolve();
        wait.then(() => setTimeout(done, 300));
    """)


def photograph(browser, path: Path, width: int, height: int) -> None:
    """Write a picture of the whole page, at most 16,000 pixels high."""
    import base64

    clip = dict(x=0, y=0, width=width, height=min(height, 16_000), scale=1)
    shot = browser.execute_cdp_cmd(
        "Page.captureScreenshot", {"clip": clip, "captureBeyondViewport": True}
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(base64.b64decode(shot["data"]))


def look(book: Path, out: Path | None, pages: list[str]) -> dict:
    """Return what was measured, by width and page; write pictures to out."""
    found: dict = {}
    with serve(book) as address:
        for width in (1280, 390):
            browser = open_browser(width)
            try:
                for page in pages:
                    browser.get(f"{address}/{page}.html")
                    settle(browser)
                    seen = browser.execute_script(MEASURE)
                    logs = browser.get_log("browser")
                    seen["console"] = [
                        entry["message"][:150]
                        for entry in logs
                        if entry["level"] == "SEVERE"
                    ]
                    found[f"{width} {page}"] = seen
                    if out is None:
                        continue
                    for theme in ("light", "dark"):
                        browser.execute_script(
                            "document.documentElement.dataset.theme ="
                            f" document.documentElement.dataset.mode ="
                            f" '{theme}'"
                        )
                        name = page.replace("/", "-")
                        path = out / f"{name}-{width}-{theme}.png"
                        photograph(browser, path, width, seen["height"])
            finally:
                browser.quit()
    return found


def summarise(found: dict) -> None:
    """Print one line for each page, and what is wrong with it."""
    for name, seen in found.items():
        rate = seen["words"] / max(1, seen["lines"])
        print(
            f"{name:44} {seen['height']:6} px  figure at {seen['figure']}"
            f"  {rate:5.1f} words a line  uncaptioned {seen['uncaptioned']}"
        )
        for key in ("scrolling", "inline", "wrapped", "console"):
            for text in seen[key]:
                print(f"    {key}: {text}")
        if seen["sideways"] or seen["broken"]:
            print(f"    sideways {seen['sideways']} broken {seen['broken']}")


def search(book: Path) -> int:
    """Print the rank of each expected page; return how many rank below 3."""
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait
    from test_form import SEARCHED

    late = 0
    with serve(book) as address:
        browser = open_browser(1280)
        try:
            for query, page in SEARCHED.items():
                browser.get(f"{address}/search.html?q={query}")
                WebDriverWait(browser, 30).until(
                    lambda b: (
                        "finished" in b.page_source
                        or "Search Results" in b.page_source
                        and b.find_elements(By.CSS_SELECTOR, "ul.search li a")
                    )
                )
                links = browser.find_elements(
                    By.CSS_SELECTOR, "ul.search li > a"
                )
                pages: list[str] = []
                for link in links:
                    target = link.get_attribute("href") or ""
                    name = target.partition("/book/")[2].partition(".html")[0]
                    if name and name not in pages:
                        pages.append(name)
                rank = pages.index(page) + 1 if page in pages else 0
                late += not 1 <= rank <= 3
                print(f"{query:20} {page:26} rank {rank or 'none'}")
        finally:
            browser.quit()
    return late


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("pages", nargs="*", metavar="PAGE")
    parser.add_argument("--book", type=Path, default=ROOT / "_build/html")
    parser.add_argument("--out", type=Path, help="folder for pictures")
    parser.add_argument("--json", type=Path, help="file for the measurements")
    parser.add_argument("--search", action="store_true")
    options = parser.parse_args()
    if not options.book.is_dir():
        parser.error(f"no built book at {options.book}: run make test first")
    if options.search:
        return search(options.book) > 0
    pages = [f"book/{page}" for page in options.pages] or sorted(
        path.relative_to(options.book).with_suffix("").as_posix()
        for path in (options.book / "book").rglob("*.html")
    )
    found = look(options.book, options.out, pages)
    summarise(found)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
