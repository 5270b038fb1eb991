"""Opens HTML pages in Chromium, finds faults and makes pictures; for the Python of `make_venv pages` (tools/venv.sh).

    browse.py PAGE... [--pictures FOLDER [--top PIXELS]]

Prints one JSON object: what is on each page, and its faults in words.
"""

import argparse
import json
import os
import pathlib
import shutil
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    "--no-sandbox",  # for containers, whose user is root; only own pages are opened
)
# Name, width and height in CSS pixels.
SCREENS = (("desktop", 1280, 900), ("phone", 390, 844))

LOOK = """() => {
    const faults = [];
    const ids = [...document.querySelectorAll('[id]')].map(one => one.id);
    ids.filter((id, index) => ids.indexOf(id) !== index).forEach(id => faults.push(`the id ${id} is there twice`));
    const links = [...document.querySelectorAll('a[href]')].map(one => one.getAttribute('href'));
    for (const link of links) {
        if (!link.startsWith('#')) faults.push(`${link} leads away from the page`);
        else if (!document.getElementById(link.slice(1))) faults.push(`${link} leads nowhere`);
    }
    const images = [...document.images];
    for (const image of images) {
        if (!image.complete || image.naturalWidth === 0) faults.push(`an image cannot be shown: ${image.src.slice(0, 60)}`);
        if (!image.alt) faults.push(`an image says nothing to whoever cannot see it: ${image.src.slice(0, 60)}`);
    }
    const excess = document.documentElement.scrollWidth - window.innerWidth;
    if (excess > 0) {
        const wide = [...document.body.querySelectorAll('*')].filter(one => one.getBoundingClientRect().right > window.innerWidth + 1);
        const names = wide.filter(one => !one.closest('.scroll')).map(one => one.tagName + '.' + one.getAttribute('class'));
        faults.push(`${excess} pixels wider than the screen: ${[...new Set(names)].slice(0, 5)}`);
    }
    if (document.querySelectorAll('h1').length !== 1) faults.push('not one first heading');
    // Without texts it is a swatch of a legend.
    const plots = [...document.querySelectorAll('svg')].filter(plot => plot.querySelector('text'));
    const drawn = 'path, polyline, polygon, line, circle, rect';
    plots.forEach((plot, index) => {
        const frame = plot.getBoundingClientRect();
        if (frame.width < 50 || frame.height < 20) faults.push(`plot ${index} is ${frame.width} by ${frame.height} pixels`);
        if (/NaN|Infinity|undefined/.test(plot.outerHTML)) faults.push(`plot ${index} has values that are none`);
        for (const text of plot.querySelectorAll('text')) {
            const box = text.getBoundingClientRect();
            const isInside = box.left >= frame.left - 1 && box.right <= frame.right + 1 && box.top >= frame.top - 1 && box.bottom <= frame.bottom + 1;
            const letters = parseFloat(getComputedStyle(text).fontSize) * frame.width / plot.viewBox.baseVal.width;
            if (letters < 9) faults.push(`plot ${index}: "${text.textContent.trim()}" is too small to read`);
            if (!isInside) faults.push(`plot ${index}: "${text.textContent.trim()}" is cut off`);
        }
    });
    const cut = [...document.querySelectorAll('th, td')].filter(one => one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).overflow === 'hidden');
    cut.forEach(one => faults.push(`a cell is cut off: ${one.textContent.slice(0, 40)}`));
    return {
        faults,
        title: document.title,
        headings: [...document.querySelectorAll('h1, h2, h3')].map(one => one.textContent),
        text: document.body.innerText,
        images: images.length,
        plots: plots.map(plot => ({
            shapes: plot.querySelectorAll(drawn).length,
            texts: [...plot.querySelectorAll('text')].map(one => one.textContent.trim()),
        })),
    };
}"""


def find_chromium():
    """The browser: what CHROMIUM names, or one of the usual programs; None where there is none."""
    named = os.environ.get("CHROMIUM")
    return named or next(filter(None, map(shutil.which, NAMES)), None)


def browse(browser, page_file, pictures, top):
    """What is on the page, on every screen; faults have the name of the screen."""
    faults = []
    looks = {}
    for name, width, height in SCREENS:
        page = browser.new_page(viewport={"width": width, "height": height})
        fault = lambda text, name=name: faults.append(f"{name}: {text}")  # noqa: E731
        page.on("console", lambda line: fault(f"console: {line.text}") if line.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: fault(f"script: {error}"))
        page.on("requestfailed", lambda request: fault(f"not loaded: {request.url[:80]}"))
        address = page_file.resolve().as_uri()
        page.on("request", lambda one: None if one.url.startswith(("data:", address)) else fault(f"asks for {one.url[:80]}"))
        page.goto(address)
        looks[name] = page.evaluate(LOOK)
        faults += [f"{name}: {text}" for text in looks[name].pop("faults")]
        if pictures:
            pictures.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=pictures / f"{page_file.parent.name}_{name}.png", full_page=True, clip=top and {"x": 0, "y": 0, "width": width, "height": top})
        page.close()
    return {"page": str(page_file), "faults": faults, **looks["desktop"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="+", type=pathlib.Path)
    parser.add_argument("--pictures", type=pathlib.Path, help="folder for pictures of the pages on every screen")
    parser.add_argument("--top", type=int, help="pictures of so many pixels from the top, not of whole pages")
    arguments = parser.parse_args()
    chromium = find_chromium()
    if not chromium:
        sys.exit("browse: no Chromium; install one (Debian and Ubuntu: chromium), or name one in CHROMIUM")
    from playwright.sync_api import sync_playwright  # who only asks for the browser needs no Playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        found = [browse(browser, page, arguments.pictures, arguments.top) for page in arguments.pages]
        browser.close()
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
