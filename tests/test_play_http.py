"""The page over HTTP: headers, who may ask, and numbers that JSON hands on."""

from pathlib import Path
from typing import Any

import pytest

from langmodels.playground import Classroom
from langmodels.playground.server import make_app, static_files

pytest.importorskip("starlette")
pytest.importorskip("httpx")


def client(classroom: Classroom, **options: Any) -> Any:
    from starlette.testclient import TestClient

    return TestClient(make_app(classroom, **options), base_url="http://localhost:8000")


@pytest.fixture(scope="module")
def classroom() -> Classroom:
    return Classroom(models=["mle:order=2"])


def test_numbers_are_those_of_python(classroom: Classroom) -> None:
    page = client(classroom)
    found = page.post("/api/chain", json={"sentence": "the the."}).json()
    model = classroom.room().model("mle:order=2")
    steps = found["models"][0]["steps"]
    assert [float(s["log_prob"]) for s in steps] == model.token_scores("the the.").tolist()
    assert found["models"][0]["log_prob"] == "-Infinity"


def test_every_file_of_the_page_is_served_with_a_strict_policy(classroom: Classroom) -> None:
    page = client(classroom)
    names = static_files()
    assert {"index.html", "main.js", "style.css"} <= set(names)
    for name in ["", *names, "missing.js"]:
        answer = page.get(f"/{name}")
        assert answer.status_code == (404 if name == "missing.js" else 200)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_nothing_else_of_the_machine_can_be_read(classroom: Classroom) -> None:
    page = client(classroom)
    for path in (
        "/../server.py",
        "/%2e%2e/server.py",
        "/..%2fserver.py",
        "//etc/passwd",
        "/report/x",
    ):
        assert page.get(path).status_code == 404


def test_no_source_of_the_page_parses_markup_or_asks_another_host() -> None:
    for name, data in static_files().items():
        text = data.decode()
        for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
            assert word not in text, name
        assert "https://" not in text
        assert "http://" not in text.replace("http://www.w3.org/", "")


def test_a_sentence_says_what_is_wrong(classroom: Classroom) -> None:
    page = client(classroom)
    assert page.post("/api/next", content=b"{").status_code == 400
    assert page.post("/api/next", content=b"[]").json()["error"].startswith("A request")
    assert page.post("/api/next", content=b"0" * 200_000).status_code == 413
    answer = page.post("/api/next", json={"text": "/etc/passwd"})
    assert answer.status_code == 400
    assert "not here any more" in answer.json()["error"]


def test_a_text_comes_up_in_its_encoding(classroom: Classroom) -> None:
    page = client(classroom)
    query = {"name": "brief.txt", "encoding": "latin-1"}
    key = page.post("/api/upload", params=query, content="café\n".encode("latin-1") * 30).json()[
        "key"
    ]
    assert classroom.text(key).read().startswith("café")
    answer = page.post("/api/upload", params={"name": "x"}, content="café".encode("latin-1"))
    assert "not utf-8 text" in answer.json()["error"]
    answer = page.post("/api/upload", content=b"a" * (classroom.limits.upload + 1))
    assert answer.status_code == 413


def test_with_a_token_nothing_is_had_without_it(classroom: Classroom) -> None:
    app = client(classroom, token="secret")
    for path in ("/", "/main.js", "/?token=wrong"):
        assert app.get(path).status_code == 403
    assert app.post("/api/room", json={}).status_code == 403
    assert app.get("/?token=secret").status_code == 200
    assert app.post("/api/room", json={}).status_code == 200  # the cookie remembers


def test_a_cookie_of_another_server_of_the_host_is_in_nobodys_way(classroom: Classroom) -> None:
    """One that was ended, or listens at another port: to a browser they are all the same."""
    before, now = (client(classroom, token=token) for token in ("before", "now"))
    assert before.get("/?token=before").status_code == 200
    now.cookies.update(before.cookies)
    assert now.get("/").status_code == 403
    assert now.get("/?token=now").status_code == 200
    assert now.get("/main.js").status_code == 200
    before.cookies.update(now.cookies)
    assert before.get("/main.js").status_code == 200


def test_other_pages_and_other_names_are_refused(classroom: Classroom) -> None:
    app = client(classroom, hosts=("localhost", "127.0.0.1"))
    assert app.get("/", headers={"Host": "localhost:8000"}).status_code == 200
    assert app.get("/", headers={"Host": "evil.example:8000"}).status_code == 403
    ask = {"json": {}, "headers": {"Origin": "http://evil.example"}}
    assert app.post("/api/room", **ask).status_code == 403
    ask = {"json": {}, "headers": {"Origin": "http://localhost:8000"}}
    assert app.post("/api/room", **ask).status_code == 200


def test_the_files_of_the_page_are_installed() -> None:
    folder = Path(__file__).parents[1] / "langmodels" / "playground" / "static"
    if folder.is_dir():
        assert {p.name for p in folder.rglob("*.*")} <= {Path(n).name for n in static_files()}
