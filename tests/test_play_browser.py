"""The page in a real browser: every panel, on a phone and on a projector, with Python's numbers."""

import json
import math
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from langmodels.datasets import Source, find_source
from langmodels.interchange import json_text
from langmodels.neural.recurrent.model import RecurrentModel
from langmodels.playground import Classroom
from langmodels.playground.actions import answer
from langmodels.playground.export import export_page, rooms_of
from langmodels.playground.panels.shannon import folded, game
from langmodels.playground.server import make_app
from langmodels.teaching import chain_rule, predict_next
from langmodels.teaching.gradients import gate_activations
from langmodels.text.levels import make_tokenizer
from langmodels.text.reading import Reading
from langmodels.text.vocabulary import Vocabulary

pytest.importorskip("starlette")
uvicorn = pytest.importorskip("uvicorn")
playwright = pytest.importorskip("playwright.sync_api")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), "")
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="needs Chromium")

PANELS = ("next", "chain", "counts", "shannon", "compare", "memory", "training")
MODELS = ("unigram", "mle:order=2", "mkn:order=3")
PHONE, PROJECTOR = {"width": 390, "height": 844}, {"width": 1280, "height": 800}


@pytest.fixture(scope="module")
def classroom() -> Classroom:
    return Classroom(models=MODELS)


@pytest.fixture(scope="module")
def address(classroom: Classroom) -> Iterator[str]:
    """Where the page is served."""
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(make_app(classroom), log_level="warning")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
    server.should_exit = True
    thread.join(10)
    classroom.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
        )
        yield browser
        browser.close()


def until(page: Any, condition: str) -> None:
    """Wait for what a JavaScript expression says; the page's policy lets no page evaluate text."""
    end = time.monotonic() + 120
    while not page.evaluate(condition):
        assert time.monotonic() < end, condition
        page.wait_for_timeout(30)


class Visit:
    """A page that is looked at; what goes wrong on it is noted."""

    def __init__(self, browser: Any, address: str, viewport: dict[str, int] = PROJECTOR) -> None:
        self.address = address
        self.context = browser.new_context(viewport=viewport, reduced_motion="reduce")
        self.page = self.context.new_page()
        self.page.set_default_timeout(120_000)
        self.faults: list[str] = []
        self.page.on("console", lambda m: m.type == "error" and self.faults.append(m.text))
        self.page.on("pageerror", lambda e: self.faults.append(str(e)))
        self.page.on("dialog", lambda d: (self.faults.append(d.message), d.dismiss()))
        self.page.on("request", self._look)

    def _look(self, request: Any) -> None:
        if not request.url.startswith((self.address.partition("#")[0], "data:", "blob:")):
            self.faults.append(f"asked {request.url}")

    def open(self, **fields: Any) -> Any:
        """The page with these fields in its link."""
        query = "&".join(f"{k}={quote(str(v))}" for k, v in fields.items())
        self.page.goto("about:blank")
        self.page.goto(f"{self.address}#{query}")
        self.page.wait_for_selector("main .lead")
        return self.page

    def numbers(self, selector: str, name: str) -> list[float]:
        """The values of a data attribute."""
        found = self.page.eval_on_selector_all(selector, f"all => all.map((e) => e.dataset.{name})")
        return [float(x) for x in found]


@pytest.fixture
def visit(browser: Any, address: str) -> Iterator[Visit]:
    visit = Visit(browser, address)
    yield visit
    visit.context.close()
    assert visit.faults == []


CONTENTS = {
    "next": ".bar",
    "chain": ".grid button",
    "counts": "#bigrams td",
    "shannon": ".keys button",
    "compare": "#comparison tr[data-model]",
    "memory": "#recall button",
    "training": "#loss p",
}


@pytest.mark.parametrize(("viewport", "size"), [(PHONE, ""), (PROJECTOR, "large")])
def test_every_panel_fits_phones_and_projectors(
    browser: Any, address: str, viewport: dict[str, int], size: str
) -> None:
    visit = Visit(browser, address, viewport)
    for panel in PANELS:
        page = visit.open(panel=panel, size=size, theme="dark" if panel == "chain" else "")
        page.wait_for_selector(CONTENTS[panel])
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, panel
        outside = page.eval_on_selector_all(
            "main button, main input, main select, main textarea",
            """all => all.filter((e) => e.offsetParent && !e.closest(".scroll")
            && e.getBoundingClientRect().right > innerWidth + 1)
            .map((e) => e.outerHTML.slice(0, 90))""",
        )
        assert outside == [], panel
        unnamed = page.eval_on_selector_all(
            "button, input, select, textarea",
            """all => all.filter((e) => e.offsetParent && !e.textContent.trim() && !e.ariaLabel
            && !e.labels?.length && !e.title).map((e) => e.outerHTML.slice(0, 90))""",
        )
        assert unnamed == [], panel
        assert page.locator('nav a[aria-current="page"]').count() == 1
    visit.context.close()
    assert visit.faults == []


def test_next_word(visit: Visit, classroom: Classroom) -> None:
    page = visit.open(context="She looked at the", token="heron")
    page.wait_for_selector(".model")
    for name, model in classroom.room().ready():
        expected = predict_next(model, "She looked at the", 10, "heron")
        card = f'[data-model="{name}"] .bar'
        shown = [c.prob for c in expected.candidates]
        assert expected.asked is not None
        assert visit.numbers(card, "prob") == [*shown, expected.asked.prob]
        assert page.locator(f"{card} .value").first.inner_text() == f"{shown[0]:.4f}"
        assert (
            f"number {expected.asked.rank:,} of"
            in page.locator(f'[data-model="{name}"]').inner_text()
        )
    assert page.locator("#coloured .token").count() == 4
    page.locator('[data-model="unigram"] .bar[data-token="the"]').hover()
    alike = page.eval_on_selector_all(".bar.same", "all => all.map((e) => e.dataset.token)")
    assert alike  # stands out in every model that lists it
    assert set(alike) == {"the"}
    page.locator('[data-model="mkn:order=3"] .bar[data-token="end"]').click()
    assert page.input_value("#context") == "She looked at the end"
    page.get_by_role("button", name="Roll").last.click()
    until(page, "document.querySelector('#context').value.length > 21")
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("button", name="Undo").click()
    assert page.input_value("#context") == "She looked at the"
    page.get_by_label("Top k").fill("3")
    until(page, "document.querySelectorAll('.model .bar.zero').length > 20")
    assert sum(visit.numbers('[data-model="unigram"] .bar', "chosen")) == pytest.approx(1)
    assert "top_k=3" in page.url


def test_chain_rule(visit: Visit, classroom: Classroom) -> None:
    page = visit.open(panel="chain", sentence="She looked at the heron.")
    page.wait_for_selector(".grid button")
    for name, model in classroom.room().ready():
        expected = chain_rule(model, "She looked at the heron.")
        row = f'tr[data-model="{name}"]'
        assert visit.numbers(f"{row} button", "prob") == [s.prob for s in expected.steps]
        assert visit.numbers(f"{row} .total[data-perplexity]", "perplexity") == [
            expected.perplexity
        ]
    page.locator('[data-cell="3 mkn:order=3"]').click()
    page.wait_for_selector('#detail[data-of="3 mkn:order=3"] .equation')
    lines = visit.numbers("#detail td[data-value]", "value")
    assert len(lines) == 3
    prob = chain_rule(classroom.room().model("mkn:order=3"), "She looked at the").steps[3].prob
    assert lines[-1] == pytest.approx(prob, rel=1e-5)
    for equation in page.locator("#detail .equation").all_inner_texts():
        sides = equation.translate({8722: "-", 183: "*", 44: None}).split("=")
        assert eval(sides[0]) == pytest.approx(float(sides[1]), rel=1e-4)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowUp")
    assert page.evaluate("document.activeElement.dataset.cell") == "4 mle:order=2"
    title = page.locator("#detail h2")
    title.get_by_text("mle:order=2").wait_for()  # what the keyboard is on is shown
    page.locator('[data-cell="1 unigram"]').hover()  # as is what a pointer is on
    title.get_by_text("unigram").wait_for()
    assert page.locator("#detail.pinned").count() == 0
    page.locator("#sentence").click()
    title.get_by_text("mkn:order=3").wait_for()  # without either, what was pressed
    assert page.locator("#detail.pinned").count() == 1


def test_counts_and_smoothing(visit: Visit) -> None:
    page = visit.open(panel="counts", method="lidstone", rows="the looked", columns="heron at")
    page.wait_for_selector("#bigrams td[data-value]")
    before = visit.numbers("#bigrams td[data-value]", "value")
    assert visit.numbers("#bigrams [data-sum]", "sum") == pytest.approx([1, 1], abs=1e-5)
    page.get_by_label("Alpha").fill("1")
    until(page, f"document.querySelector('#bigrams td[data-value]').dataset.value != {before[0]}")
    after = visit.numbers("#bigrams td[data-value]", "value")
    assert after[1] > before[1]  # never seen
    zeros = page.locator("#ones .number").all_inner_texts()
    column = page.locator("#masses tr.used td").all_inner_texts()
    assert zeros == column
    assert after[3] < before[3]  # seen often
    assert visit.numbers("#bigrams [data-sum]", "sum") == pytest.approx([1, 1], abs=1e-5)


def test_shannons_game(visit: Visit, classroom: Classroom) -> None:
    page = visit.open(panel="shannon", seed=7)
    page.wait_for_selector(".keys button")
    expected = game(classroom.room(level="char"), 7)
    wrong = next(k for k in expected["keys"] if k != expected["right"][0])
    page.locator(f'.keys button[data-key="{wrong}"]').click()
    assert page.locator(".keys .wrong").count() == 1
    field = page.get_by_label("Type the next letter")
    for letter in expected["right"]:
        field.press_sequentially(letter)
    page.wait_for_selector("#results td b")
    first = page.locator("#board .bar").all_inner_texts()
    assert first[0].split("\n")[:2] == ["you", "98 %"]
    for line, model in zip(first[1:], expected["models"], strict=True):
        share = 100 * sum(rank == 1 for rank in model["ranks"]) / len(model["ranks"])
        assert f"{math.floor(share + 0.5)} %" in line
    bits = [f"{m['mean']:.2f}" for m in expected["models"]]
    assert page.locator("#results td b").all_inner_texts() == bits
    assert "98 %" in page.locator("#results tbody tr").first.inner_text()


def test_a_text_of_ones_own_is_text_and_not_markup(visit: Visit) -> None:
    page = visit.open()
    page.get_by_role("button", name="Your text…").click()
    line = "<img src=x onerror=alert(1)> said <script>alert(2)</script> to <b>me</b>\n"
    page.get_by_label("A text", exact=True).fill(line * 40)
    page.get_by_role("button", name="Read it").click()
    until(page, "location.hash.includes('upload-')")
    page.wait_for_selector(".model")
    for panel in PANELS[:3]:
        page = visit.open(panel=panel, text=classroom_text(page), level="whitespace", sentence=line)
        page.wait_for_selector(CONTENTS[panel])
        assert page.locator("main img, main script, main b:has(b)").count() == 0
    assert "onerror" in page.locator("main").inner_text()


def test_texts_by_language(visit: Visit) -> None:
    page = visit.open(context="the")
    page.get_by_label("Language", exact=True).select_option(label="Deutsch")
    until(page, "document.querySelector('#context').lang === 'de'")
    assert page.get_by_label("Text", exact=True).locator("option").all_inner_texts() == [
        "lighthouse.de.txt"
    ]
    assert "the" not in page.input_value("#context")  # what was typed belongs to the other text


def test_a_table_is_brought_by_its_column(visit: Visit) -> None:
    page = visit.open()
    page.get_by_role("button", name="Your text…").click()
    rows = b"id,body,more\n" + b"1,one heron looked at another,and went away\n" * 60
    file = {"name": "herons.csv", "mimeType": "text/csv", "buffer": rows}
    page.get_by_label("A file").set_input_files(file)
    page.get_by_role("button", name="Read it").click()
    said = "Say which field of herons.csv holds the text"
    page.get_by_role("alert").get_by_text(said).wait_for()
    assert all("400" in fault for fault in visit.faults)  # which Chromium tells the console
    visit.faults.clear()
    page.get_by_text("Language, encoding").click()
    page.get_by_label("Field that holds the text").fill("body")
    page.get_by_role("button", name="Read it").click()
    page.locator("#top option:checked").get_by_text("herons.csv").wait_for(state="attached")
    page.wait_for_selector(".model")
    assert "upload-" in page.url


def classroom_text(page: Any) -> str:
    """The key of the text in the link."""
    found: str = page.evaluate("new URLSearchParams(location.hash.slice(1)).get('text')")
    return found


def test_writing_from_right_to_left_and_without_blanks(visit: Visit, classroom: Classroom) -> None:
    page = visit.open(panel="chain", text="lighthouse.ar.txt", sentence="رأت الريح الضوء")
    page.wait_for_selector(".grid button")
    assert page.locator(".grid").get_attribute("dir") == "rtl"
    boxes = [b.bounding_box()["x"] for b in page.locator('tr[data-model="unigram"] button').all()]
    assert boxes == sorted(boxes, reverse=True)
    chinese = classroom.upload("chinese.txt", ("我爱看书。你爱看书吗？\n" * 40).encode())
    assert (chinese.language, chinese.level) == ("zh", "char")
    page = visit.open(text=chinese.key, context="我爱")
    page.wait_for_selector(".model")
    page.locator('[data-model="mkn:order=3"] .bar[data-token="看"]').click()
    assert page.input_value("#context") == "我爱看"


def test_a_link_reproduces_the_screen(visit: Visit, browser: Any, address: str) -> None:
    page = visit.open(panel="chain")
    page.fill("#sentence", "The heron said nothing.")
    page.get_by_role("columnheader", name="nothing").wait_for()
    page.locator('[data-cell="2 mkn:order=3"]').click()
    page.get_by_role("button", name="Dark").click()
    page.wait_for_selector('#detail[data-of="2 mkn:order=3"] .equation')
    link = page.url
    other = Visit(browser, address)
    other.page.goto(link)
    other.page.wait_for_selector('#detail[data-of="2 mkn:order=3"] .equation')
    end = time.monotonic() + 30
    while other.page.locator("main").inner_text() != page.locator("main").inner_text():
        assert time.monotonic() < end  # either may still be getting its answers
        other.page.wait_for_timeout(30)
    assert other.page.input_value("#sentence") == "The heron said nothing."
    assert other.page.evaluate("document.documentElement.className") == "dark"
    other.context.close()
    assert other.faults == []


def hold(page: Any, name: str) -> list[Any]:
    """The questions of a name, from now on: each is answered when it is continued."""
    held: list[Any] = []
    page.route(f"**/api/{name}", lambda route: held.append(route))
    return held


def wait_for(page: Any, held: list[Any], n: int) -> None:
    end = time.monotonic() + 60
    while len(held) < n:
        assert time.monotonic() < end
        page.wait_for_timeout(20)


def answered(page: Any, route: Any) -> None:
    """Let a question be answered, and the page look at the answer."""
    with page.expect_response(route.request.url):
        route.continue_()
    page.wait_for_timeout(100)


def test_a_factor_is_explained_in_its_own_sentence(visit: Visit) -> None:
    """While the factors of another sentence are awaited, those that are shown can be pressed."""
    page = visit.open(panel="chain", sentence="She looked at the heron and said nothing.")
    last = page.locator('[data-cell="8 mkn:order=3"]')
    last.wait_for()
    held = hold(page, "chain")
    page.fill("#sentence", "She")
    wait_for(page, held, 1)
    last.click()
    page.wait_for_selector('#detail[data-of="8 mkn:order=3"] .equation')
    held[0].continue_()
    last.wait_for(state="detached")


def test_a_text_that_was_chosen_before_comes_too_late(visit: Visit) -> None:
    page = visit.open(context="the")
    page.wait_for_selector(".model")
    rolls, rooms = hold(page, "roll"), hold(page, "room")
    page.get_by_role("button", name="Roll").first.click()
    language = page.get_by_label("Language", exact=True)
    language.select_option(label="Deutsch")
    language.select_option(label="العربية")
    wait_for(page, rooms, 2)
    page.unroute("**/api/room")
    rooms[1].continue_()
    until(page, "document.querySelector('#context').lang === 'ar'")
    answered(page, rooms[0])
    page.wait_for_timeout(300)
    assert page.get_by_label("Text", exact=True).input_value() == "lighthouse.ar.txt"
    assert page.locator("#context").get_attribute("lang") == "ar"
    answered(page, rolls[0])  # it was drawn from another text
    assert "context=" not in page.url


def test_a_language_that_is_known_once_the_text_is_read(visit: Visit) -> None:
    def unknown(route: Any) -> None:
        start = route.fetch().json()
        start["texts"][0]["language"] = ""
        route.fulfill(json=start)

    visit.page.route("**/api/start", unknown)
    page = visit.open()
    assert page.get_by_label("Language", exact=True).input_value() == "en"
    assert page.get_by_label("Text", exact=True).input_value() == "wonderland.txt"


def test_a_text_that_is_called_off_is_not_entered(visit: Visit) -> None:
    page = visit.open()
    held: list[Any] = []
    page.route("**/api/upload?*", lambda route: held.append(route))
    page.get_by_role("button", name="Your text…").click()
    page.get_by_label("A text", exact=True).fill("one heron looked at another\n" * 40)
    page.get_by_role("button", name="Read it").click()
    wait_for(page, held, 1)
    page.get_by_role("button", name="Cancel").click()
    answered(page, held[0])
    assert "upload-" not in page.url


def test_a_bar_goes_on_with_its_own_text(visit: Visit) -> None:
    page = visit.open(context="She looked at the")
    page.wait_for_selector(".model")
    held = hold(page, "next")
    bar = page.locator('[data-model="mkn:order=3"] .bar[data-token="end"]')
    bar.dblclick()
    assert page.input_value("#context") == "She looked at the end"
    wait_for(page, held, 1)
    held[0].continue_()
    bar.wait_for(state="detached")


def test_models_that_are_hidden_are_not_shown(visit: Visit) -> None:
    for panel in ("next", "chain", "compare"):
        page = visit.open(panel=panel, hidden="|".join(MODELS))
        page.get_by_text("All models are hidden").wait_for()
        assert page.locator("main [data-model]").count() == 0


def test_figures_of_other_models_come_too_late(visit: Visit) -> None:
    page = visit.open(panel="compare", hidden="unigram")
    rows = page.locator("#comparison tr[data-model]")
    until(page, "document.querySelectorAll('#comparison tr[data-model]').length === 2")
    chip = page.locator('#models [data-keep="unigram"]')
    chip.click()
    until(page, "document.querySelectorAll('#comparison tr[data-model]').length === 3")
    held = hold(page, "compare")
    chip.click()
    chip.click()
    wait_for(page, held, 2)
    answered(page, held[1])
    answered(page, held[0])
    assert rows.count() == 3


def test_a_passage_is_that_of_the_link_and_handed_in_once(
    visit: Visit, classroom: Classroom
) -> None:
    page = visit.open(panel="shannon", seed=7)
    page.wait_for_selector(".keys button")
    held = hold(page, "shannon")
    another = page.get_by_role("button", name="Another passage")
    another.click()
    another.click()
    wait_for(page, held, 2)
    answered(page, held[1])
    answered(page, held[0])
    page.unroute("**/api/shannon")
    seed = int(page.evaluate("new URLSearchParams(location.hash.slice(1)).get('seed')"))
    found = game(classroom.room(level="char"), seed)
    page.get_by_label("Type the next letter").press_sequentially(found["right"][0])
    page.get_by_text("Letter 2 of").wait_for()
    before = len(classroom.pool)
    page.get_by_role("button", name="Stop here").dblclick()
    page.wait_for_selector("#results td b")
    page.wait_for_timeout(200)
    assert len(classroom.pool) == before + 1
    games = [{"ranks": []}, {"ranks": [1] * 12_000}]
    for ranks in games:  # none at all, and more than are taken
        file = {"name": "g.json", "mimeType": "", "buffer": json.dumps([ranks]).encode()}
        page.locator("input[type=file]").set_input_files(file)
        page.wait_for_timeout(200)
    assert len(visit.faults) == 1
    assert "400" in visit.faults.pop()  # which Chromium tells the console


def test_links_may_say_anything(visit: Visit) -> None:
    odd = {
        "next": {"temperature": 99, "top_k": -2.5, "top_p": 0, "by": "nobody"},
        "chain": {"cell": "99 nobody"},
        "counts": {"method": "toString", "alpha": -1, "discount": 7, "weight": "x"},
        "shannon": {"seed": -1.5},
        "compare": {"hidden": "nobody"},
        "memory": {"head": 0.5, "network": "nobody", "sentence": " "},
        "training": {"kind": "x", "optimizer": "", "units": 1e9, "rate": 0, "steps": -3},
    }
    for panel, fields in odd.items():
        page = visit.open(panel=panel, **fields)
        page.wait_for_selector(CONTENTS[panel])
    page.get_by_role("button", name="Train").click()
    until(page, "document.querySelector('[data-step]').dataset.step > 1")
    page.get_by_role("button", name="Reset").click()
    page = visit.open(panel="counts", method="lidstone", alpha=-1)
    page.wait_for_selector("#bigrams td[data-value]")
    page.evaluate("location.hash = 'level=nonsense'")
    page.get_by_text("The level is one of").wait_for()
    page.wait_for_selector(".model")
    assert len(visit.faults) == 1
    assert "400" in visit.faults.pop()  # which Chromium tells the console


def test_panels_have_fields_of_their_own_in_links(visit: Visit) -> None:
    page = visit.open(panel="training", cell="2 mkn:order=3", hidden="unigram")
    assert page.get_by_label("Cell").input_value() == "rnn"
    page.get_by_label("Units").fill("64")
    until(page, "location.hash.includes('units=64')")
    assert "hidden=unigram" in page.url


def test_one_training_at_a_time_and_none_is_watched_from_elsewhere(visit: Visit) -> None:
    page = visit.open(panel="training")
    page.get_by_role("button", name="Train").click()
    until(page, "document.querySelector('[data-step]').dataset.step > 1")
    held = hold(page, "train")
    anew = page.get_by_role("button", name="Train anew")
    anew.dblclick()
    wait_for(page, held, 1)
    page.wait_for_timeout(600)
    assert len(held) == 1
    answered(page, held[0])
    watched = hold(page, "course")
    wait_for(page, watched, 1)
    page.get_by_role("link", name="Next word").click()
    page.wait_for_selector(".model")
    answered(page, watched[0])
    page.wait_for_timeout(900)
    assert len(watched) == 1


def test_memory_and_gradients(visit: Visit, classroom: Classroom) -> None:
    room, name = classroom.room(), "gru:hidden=5:epochs=1"
    classroom.add(room, name, "test")
    end = time.monotonic() + 120
    while room.slots[name].status != "ready":
        assert time.monotonic() < end
        time.sleep(0.05)
    page = visit.open(panel="memory", sentence="She looked at the heron.", network=name)
    page.wait_for_selector("#lags svg polyline")
    model = room.model(name)
    assert isinstance(model, RecurrentModel)
    gates = gate_activations(model, "She looked at the heron.")[0]
    expected = [gates[gate][token, 0] for token in range(6) for gate in gates]
    assert visit.numbers("#heat canvas", "first") == pytest.approx(expected, abs=1e-4)
    assert page.locator("#lags polyline").count() == 2
    del room.slots[name]


def test_compare_and_the_report(visit: Visit, classroom: Classroom) -> None:
    page = visit.open(panel="compare")
    page.wait_for_selector("#comparison tr[data-model]")
    room = classroom.room()
    for name, model in room.ready():
        cell = f'tr[data-model="{name}"] [data-perplexity]'
        assert visit.numbers(cell, "perplexity")[0] == pytest.approx(
            model.perplexity(room.splits.test)
        )
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the report").click()
    assert "predicts the test text best" in Path(download.value.path()).read_text("utf-8")


def test_training_live(visit: Visit) -> None:
    page = visit.open(panel="training", units=128, steps=128)  # which takes minutes to finish
    page.get_by_role("button", name="Train").click()
    until(page, "document.querySelectorAll('#loss polyline, #norm polyline').length == 3")
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("button", name="Go on").wait_for()
    step = page.locator("[data-step]").get_attribute("data-step")
    page.get_by_role("button", name="Go on").click()
    until(page, f"document.querySelector('[data-step]').dataset.step > {step}")
    assert page.locator("#samples li").count() >= 1
    page.get_by_role("button", name="Reset").click()
    page.get_by_text("Nothing is being trained.").wait_for()


# A page by itself ---------------------------------------------------------------------------------

SENTENCES = (
    'She looked at the heron, and said: "Don\'t!"',
    "<s> zebra 3.5 naïve 👩‍👩‍👧 L'été -- ... अनुच्छेद",
    "the the the",
)
EXPORTED = ["unigram", "mle:order=2", "mle:order=3:backoff=true", "mkn:order=3", "katz:order=3"]
EXPORTED += ["jelinek-mercer:order=3", "witten-bell:order=2", "stupid-backoff:order=3"]
EXPORTED += [f"{cell}:hidden=8:epochs=1" for cell in ("rnn", "gru", "lstm")]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Classroom, Path]:
    """A page that was written to a file, and what it is to agree with."""
    path = tmp_path_factory.mktemp("export") / "page.html"
    tale = find_source("wonderland.txt")
    source = Source("tale.txt", "", lambda: iter([tale.read()[:40_000]]))
    classroom = Classroom(models=(), source=source)
    export_page(rooms_of(classroom, "word", EXPORTED), path)
    return classroom, path


def same(one: Any, other: Any, where: str = "") -> None:
    """Raise AssertionError unless two answers agree: numbers to a millionth."""
    if isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            same(one[key], other[key], f"{where}.{key}")
    elif isinstance(one, list):
        assert len(one) == len(other), where
        for i, (a, b) in enumerate(zip(one, other, strict=True)):
            same(a, b, f"{where}[{i}]")
    elif isinstance(one, str) and one.endswith("Infinity"):
        assert other is None, where  # how JavaScript's JSON writes it
    elif isinstance(one, float):
        assert other == pytest.approx(one, abs=1e-6, rel=1e-6), where
    else:
        assert one == other, where


def test_a_page_by_itself_agrees_with_python(
    browser: Any, exported: tuple[Classroom, Path]
) -> None:
    classroom, path = exported
    visit = Visit(browser, path.as_uri())
    page = visit.open()
    page.wait_for_selector(".model")

    def both(name: str, **fields: Any) -> dict[str, Any]:
        fields = {"text": "tale.txt", "level": "word", **fields}
        script = """async ([name, fields]) => {
            const { ask } = await import("langmodels/backend.js"); return ask(name, fields); }"""
        found: dict[str, Any] = page.evaluate(script, [name, fields])
        expected = json.loads(json_text(answer(classroom, name, fields, "me")))
        found = json.loads(json.dumps(found).replace("Infinity", "null").replace("-null", "null"))
        same(expected, found, name)
        return expected

    sliders = ({}, {"temperature": 0.5, "top_k": 9}, {"top_p": 0.7}, {"temperature": 0})
    for sentence, slide in zip([*SENTENCES, ""], sliders, strict=True):
        both("next", context=sentence, token="heron", **slide)
    assert both("next", context="She", token="ice cream")["models"][0]["problem"]
    both("next", context="She", token="zebra")
    for sentence in SENTENCES:
        chain = both("chain", sentence=sentence)["models"]
        for model in EXPORTED:
            for position in range(0, len(chain[0]["steps"]), 3):
                found = both("cell", sentence=sentence, model=model, position=position)
                assert bool(found["calculation"]) == (":hidden" not in model)
                assert bool(found["state"]) == (":hidden" in model)
    both("counts")
    both("counts", rows=["the", "looked"], columns=["heron"], alpha=0.7, discount=0.4, weight=0.3)
    both("estimate", ranks="1 1 2 1 5 1 1 3 1 1")
    room = classroom.room(level="char")
    for seed in (0, 99):
        expected = json.loads(json_text(game(room, seed)))
        script = (
            """async (seed) => (await import("langmodels/backend.js")).ask("shannon", {seed})"""
        )
        found = page.evaluate(script, seed)
        assert found["keys"] == expected["keys"]
        found = json.loads(json.dumps(found).replace("Infinity", "null"))
        same(expected, {**found, "keys": expected["keys"]}, "shannon")
    visit.context.close()
    assert visit.faults == []


def test_a_page_by_itself_has_pythons_white_space(
    browser: Any, exported: tuple[Classroom, Path]
) -> None:
    """JavaScript's has U+FEFF beside it, and lacks some control characters; lines end elsewhere."""
    visit = Visit(browser, exported[1].as_uri())
    page = visit.open()
    page.wait_for_selector(".model")
    white = [chr(i) for i in range(0x10000) if chr(i).isspace()]
    letters = ["a", "<", *white, "\ufeff", "\u200b", "\u180e"]
    texts = [f"red{c}fox{c}<s>{c}</s>" for c in letters]
    script = """async ([letters, texts]) => {
        const { Reading } = await import("langmodels/local/reading.js");
        const { folded } = await import("langmodels/format.js");
        const words = new Reading({ reading: { level: "whitespace" }, vocabulary: [], ends: true });
        return [letters.map(folded), texts.map((text) => words.tokenize(text))]; }"""
    kinds, cut = page.evaluate(script, [letters, texts])
    assert kinds == [folded(letter) for letter in letters]
    tokenizer = make_tokenizer("whitespace")
    reading = Reading(tokenizer, Vocabulary([]))
    assert cut == [list(reading.tokens(text)) for text in texts]
    visit.context.close()
    assert visit.faults == []


def test_a_page_by_itself_shows_its_panels(browser: Any, exported: tuple[Classroom, Path]) -> None:
    visit = Visit(browser, exported[1].as_uri(), PHONE)
    for panel in PANELS[:4]:
        page = visit.open(panel=panel)
        page.wait_for_selector(CONTENTS[panel])
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, panel
    page = visit.open(context="She looked at")
    page.wait_for_selector(".model")
    page.locator("#roll-gru\\:hidden\\=8\\:epochs\\=1").click()
    until(page, "document.querySelector('#context').value.length > 13")
    visit.context.close()
    assert visit.faults == []


def test_networks_come_as_they_become_ready(visit: Visit, classroom: Classroom) -> None:
    page = visit.open()
    page.get_by_role("button", name="Add a model…").click()
    page.get_by_role("combobox", name="Model").fill("rnn:hidden=4:epochs=1")
    page.get_by_role("button", name="Train it").click()
    page.wait_for_selector('[data-model="rnn:hidden=4:epochs=1"]', timeout=60_000)
    end = time.monotonic() + 120
    while classroom.room().slots["rnn:hidden=4:epochs=1"].status != "ready":
        assert time.monotonic() < end
        time.sleep(0.02)  # or the thread that trains it waits for this one
    del classroom.room().slots["rnn:hidden=4:epochs=1"]
