"""A stranger's first minute: from the command to a comparison of a text of their own.

    python benchmarks/first_minute.py
    python benchmarks/first_minute.py --text book.txt --characters 200000 --pictures shots

`langmodels play` runs as a process of its own, and Chromium, driven by Playwright, does what a
person would: looks at the page, opens the window for a text of one's own, brings a file, looks at
what the models expect next, and opens the comparison. The times are those of the machine: nobody
has to think. The results go to benchmarks/results/first_minute.md.
"""

import argparse
import json
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

HERE = Path(__file__).resolve().parent
TEXT = HERE.parent / "corpora" / "wonderland.txt"


class Walk:
    """Events, and their times in seconds since the command was typed."""

    def __init__(self, pictures: Path | None) -> None:
        self.began = time.perf_counter()
        self.steps: list[tuple[str, float]] = []
        self._pictures = pictures

    def step(self, what: str, page: Any = None) -> None:
        """Note an event, with a screenshot if these are wanted."""
        self.steps.append((what, time.perf_counter() - self.began))
        print(f"{self.steps[-1][1]:6.1f} s  {what}", flush=True)
        if self._pictures and page is not None:
            self._pictures.mkdir(exist_ok=True)
            page.screenshot(path=self._pictures / f"{len(self.steps)}.png")


def walk(text: str, pictures: Path | None) -> list[tuple[str, float]]:
    """From nothing to the verdict on all six models."""
    walk = Walk(pictures)
    command = [sys.executable, "-m", "langmodels", "play", "--no-browser", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        told = ""
        while not told.endswith("}\n"):
            told += process.stdout.readline()
        walk.step("the command says where the page is")
        with sync_playwright() as play:
            browser = play.chromium.launch(
                executable_path=shutil.which("chromium") or shutil.which("chromium-browser"),
                args=["--no-sandbox", "--disable-gpu"],
            )
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.set_default_timeout(240_000)
            page.goto(json.loads(told)["link"])
            page.wait_for_selector(".model .bar")
            walk.step("the page shows the next word by the first models", page)
            page.get_by_role("button", name="Your text…").click()
            file: Any = {"name": "mine.txt", "mimeType": "text/plain", "buffer": text.encode()}
            page.get_by_label("A file").set_input_files(file)
            page.get_by_role("button", name="Read it").click()
            page.locator("#top option:checked").get_by_text("mine.txt").wait_for(state="attached")
            page.wait_for_selector(".model .bar")
            walk.step("models of one's own text say what comes next", page)
            page.get_by_role("link", name="Compare").click()
            page.wait_for_selector("#comparison .best")
            walk.step("a comparison of the n-gram models, with a verdict", page)
            page.locator("#comparison tr[data-model]").nth(5).wait_for()
            walk.step("the networks have learnt the text, too, and are compared", page)
            browser.close()
    finally:
        process.terminate()
        process.wait()
    return walk.steps


def main() -> None:
    """Take the walk, and write the report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a text of 20,000 characters")
    parser.add_argument("--text", type=Path, default=TEXT, help="the text that is brought")
    parser.add_argument("--characters", type=int, default=100_000, help="of it, from its beginning")
    parser.add_argument("--pictures", type=Path, help="a folder for pictures of the steps")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "first_minute.md")
    args = parser.parse_args()
    text = args.text.read_text("utf-8")[: 20_000 if args.quick else args.characters]
    rows = [f"| {what} | {seconds:.1f} |" for what, seconds in walk(text, args.pictures)]
    args.output.write_text(
        f"""# A stranger's first minute on the page

Written by `python benchmarks/first_minute.py --characters {len(text)}`.

{platform.processor() or platform.machine()}, {platform.system()}, Python \
{platform.python_version()}. A person opens the page, brings a text of {len(text):,} characters, \
and opens the comparison; seconds since the command was typed, without those in which people think.

| | seconds |
| --- | ---: |
{chr(10).join(rows)}
""",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
