"""The HTML report in a real browser: headless Chromium, where there is one."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from langmodels.datasets import find_source
from langmodels.evaluation import compare
from langmodels.evaluation.measuring import Plan
from langmodels.text.levels import make_tokenizer
from langmodels.text.splits import Splits

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="needs Chromium")

PROBE = """<script>
addEventListener("load", () => {
  const box = (e) => e.getBoundingClientRect();
  const outside = [...document.querySelectorAll("main *")].filter((e) =>
    !e.closest(".scroll") && !e.closest("svg") && box(e).right > innerWidth + 1);
  document.body.dataset.probe = JSON.stringify({
    width: innerWidth,
    overflow: document.documentElement.scrollWidth - innerWidth,
    outside: outside.map((e) => e.outerHTML.slice(0, 80)),
    empty: [...document.querySelectorAll("section")].filter((e) => box(e).height < 80).length,
    plots: [...document.querySelectorAll("svg")].map((e) => box(e).width),
    letters: [...document.querySelectorAll("svg text")].map((e) => box(e).height),
    clipped: [...document.querySelectorAll("svg text")].filter((e) =>
      box(e).left < box(e.closest("svg")).left - 2 ||
      box(e).right > box(e.closest("svg")).right + 2).map((e) => e.textContent),
    resources: performance.getEntriesByType("resource").length,
    ground: getComputedStyle(document.body).backgroundColor,
  });
});
</script></body>"""


# Chromium's own window has a least width that no phone has; a frame has none.
FRAME = """<body style="margin:0"><iframe width="{width}" height="900" style="border:0"
src="report.html"></iframe><script>
document.querySelector("iframe").onload = (event) => {{
  document.body.dataset.probe = event.target.contentDocument.body.dataset.probe;
}};
</script></body>"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    text = find_source("wonderland.txt").read()[:20_000]
    splits = Splits.from_text(text, make_tokenizer("word"), name="tale")
    models = ["unigram", "mkn:order=3", "witten-bell:order=2", "mle:order=2"]
    plan = Plan(growth=(0.5,), contexts=(1, 4), calibration=30)
    path = tmp_path_factory.mktemp("report") / "report.html"
    compare(models, splits, levels=["word", "char"], plan=plan).report(path)
    path.write_text(path.read_text().replace("</body>", PROBE))
    return path


@pytest.mark.parametrize("width", [390, 1280])
def test_the_report_fits_the_screen(report: Path, width: int) -> None:
    pytest.importorskip("matplotlib")
    page = report.with_name(f"frame{width}.html")
    page.write_text(FRAME.format(width=width))
    command = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command += ["--allow-file-access-from-files", "--window-size=1400,1000"]
    command += ["--virtual-time-budget=5000", page.as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120).stdout
    found = re.search(r'data-probe="([^"]*)"', dom)
    assert found, dom[:500]
    seen = json.loads(found[1].replace("&quot;", '"').replace("&lt;", "<").replace("&gt;", ">"))
    assert seen["width"] == width
    assert seen["overflow"] <= 0
    assert seen["outside"] == []
    assert seen["empty"] == 0
    assert seen["clipped"] == []
    assert len(seen["plots"]) >= 7
    assert min(seen["plots"]) > 300
    assert min(seen["letters"]) > 8
    assert seen["resources"] == 0
    assert seen["ground"] != "rgba(0, 0, 0, 0)"
