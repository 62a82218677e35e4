"""`langmodels play`: the page for the classroom, in a browser."""

import argparse
import os
import secrets
import socket
import threading
import warnings
import webbrowser
from importlib.util import find_spec
from typing import Any

from rich.console import Console
from rich.text import Text

from langmodels import progress
from langmodels.cli.files import ModelNames, OutputFile, TextName
from langmodels.cli.model_names import check_model_name
from langmodels.cli.options import DEFAULT_CORPUS, DEFAULT_LEVEL, add_errors_option, add_json_option
from langmodels.cli.output import print_json
from langmodels.datasets import Source, find_source
from langmodels.errors import LangmodelsError, UsageError
from langmodels.names import file_labels, split_names
from langmodels.ngram.discounts import SmoothingWarning
from langmodels.playground import Classroom
from langmodels.playground.classroom import LEVELS, SIX
from langmodels.playground.export import export_page, rooms_of
from langmodels.playground.server import make_app
from langmodels.registry import MODELS, is_finished, load

LOCAL = ("127.0.0.1", "localhost", "::1")
EPILOG = """\
examples:
  langmodels play
  langmodels play --corpus book.txt --level char
  langmodels play tale.lm mkn:order=5 lstm
  langmodels play --host 0.0.0.0 --port 8000
  langmodels play --corpus book.txt --export page.html

The page works offline and contacts no other host. Models are trained in the background and shared
by all visitors. Only this machine can open the page, unless --host names one of its addresses: then
everyone needs the token in the link. Ctrl-C ends the server. An exported page needs no server: it
computes next words, the chain rule, counts and Shannon's game, with n-gram models and a small
network.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "models",
        nargs="*",
        type=ModelNames,
        metavar="MODEL",
        help=f"model files, or names of models to train (default: {' '.join(SIX)})",
    )
    parser.add_argument(
        "--corpus",
        type=TextName,
        metavar="NAME",
        default=DEFAULT_CORPUS,
        help=f"initial text, as for `compare` (default: {DEFAULT_CORPUS})",
    )
    parser.add_argument(
        "--level",
        choices=LEVELS,
        metavar="LEVEL",
        help=f"initial level of the models: {', '.join(LEVELS)} (default: what the corpus is "
        f"made for, else {DEFAULT_LEVEL})",
    )
    parser.add_argument("--encoding", default="utf-8", help="encoding of the text (default: utf-8)")
    add_errors_option(parser)
    parser.add_argument(
        "--host",
        metavar="ADDRESS",
        default=LOCAL[0],
        help=f"address to listen on (default: {LOCAL[0]}, this machine only); 0.0.0.0 is every "
        "address of it",
    )
    parser.add_argument(
        "--port",
        type=int,
        default=0,
        metavar="N",
        help="port to listen on (default: a free one)",
    )
    parser.add_argument(
        "--export",
        type=OutputFile,
        metavar="FILE",
        help="write a self-contained page to an .html file, and exit",
    )
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser")
    add_json_option(parser)


def run(args: argparse.Namespace, console: Console) -> int | None:
    """Serve the page until Ctrl-C."""
    if not 0 <= args.port < 65_536:
        raise UsageError(f"A port lies between 0 and 65535, not at {args.port}.")
    files, names = [], []
    for name, label in file_labels(n for given in args.models for n in split_names(given)).items():
        if is_finished(name):
            files.append((label, load(name)))
        else:
            check_model_name(name, MODELS)
            names.append(name)
    source = find_source(args.corpus, args.encoding, args.errors)
    if args.export:
        _export(args, source, names, files, console)
        return None
    if find_spec("uvicorn") is None or find_spec("starlette") is None:
        raise LangmodelsError(
            "The page needs Starlette and uvicorn: pip install 'langmodels[play]'."
        )
    classroom = Classroom(
        models=names or ([] if files else None), files=files, source=source, level=args.level
    )
    classroom.room()  # raises what is wrong with the text before a browser opens
    _serve(classroom, args, console)
    return None


def _export(
    args: argparse.Namespace, source: Source, names: list[str], files: list[Any], console: Console
) -> None:
    """Train the models, and write the page with them."""
    if files:
        raise UsageError("An exported page has models trained for it; name models, not files.")
    classroom = Classroom(models=(), source=source)
    level = args.level or source.level or DEFAULT_LEVEL
    warnings.simplefilter("ignore", SmoothingWarning)
    found = export_page(rooms_of(classroom, level, names), args.export)
    if args.json:
        print_json({"file": str(args.export), **found})
        return
    size = f"{found['bytes'] / 1e6:.1f} MB"
    console.print(Text(f"{args.export}: {size}, for any browser, without a network"))
    for room in found["rooms"]:
        models = ", ".join(room["models"])
        console.print(Text(f"  {room['text']}, {room['level']}: {models}", "dim"))


def _serve(classroom: Classroom, args: argparse.Namespace, console: Console) -> None:
    """Listen, say where, open the browser, and answer until Ctrl-C."""
    import uvicorn

    # From here on progress and warnings are shown on the page, not on the terminal.
    progress.enable(None)
    warnings.simplefilter("ignore", SmoothingWarning)
    listening = _listen(args.host, args.port)
    port = listening.getsockname()[1]
    local = args.host in LOCAL
    token = None if local else secrets.token_urlsafe(12)
    app = make_app(classroom, token=token, hosts=(*LOCAL, "[::1]") if local else ())
    link = f"http://{_shown_host(args.host)}:{port}/" + (f"?token={token}" if token else "")
    if args.json:
        print_json({"link": link, "host": args.host, "port": port, "token": token})
    else:
        console.print(Text.assemble("The page is at ", (link, "bold")), soft_wrap=True)
        console.print("Ctrl-C ends it.", style="dim")
    if not args.no_browser:
        threading.Thread(target=webbrowser.open, args=(link,), daemon=True).start()
    server = uvicorn.Server(
        uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=1)
    )
    try:
        server.run(sockets=[listening])
    finally:
        classroom.close()
        listening.close()


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises LangmodelsError where the address cannot be used."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(128)
    except OSError as error:
        listening.close()
        raise LangmodelsError(
            f"Cannot listen on {host}, port {port}: {error.strerror or error}; choose another "
            "--port or --host."
        ) from error
    return listening


def _shown_host(host: str) -> str:
    """The host to put in a link, for an address to listen on."""
    if host in ("0.0.0.0", "::"):
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.connect(("192.0.2.1", 9))  # sends nothing: finds the address used outwards
                return str(probe.getsockname()[0])
        except OSError:
            return socket.gethostname()
    return f"[{host}]" if ":" in host else host
