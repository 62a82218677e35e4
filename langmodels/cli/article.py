"""`langmodels article`: the classic first experiment with a character-level recurrent network."""

import argparse

from rich.console import Console

from langmodels.cli.files import OutputFile, TextName
from langmodels.cli.model_names import completed
from langmodels.cli.options import add_errors_option, add_json_option, add_seed_option
from langmodels.cli.output import print_json
from langmodels.cli.texts import open_text, text_of
from langmodels.errors import UsageError
from langmodels.formatting import duration
from langmodels.teaching.article import Iteration, run_article
from langmodels.text.corpus import Corpus
from langmodels.text.tokenization import CharacterTokenizer

EPILOG = """\
The text is stripped, lower-cased, reduced to ASCII, and joined by spaces. A recurrent network of
128 units reads one-hot windows of 10 characters and learns the character after each: batches of
128, RMSprop. After each of 25 iterations it continues a seed with the 100 most probable characters.

examples:
  langmodels article
  langmodels article --corpus gutenberg:11
  langmodels article --iterations 5 --output tale-rnn.lm
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--corpus",
        type=TextName,
        default="wonderland.txt",
        help="a file, or a name that `langmodels corpora` lists (default: wonderland.txt)",
    )
    parser.add_argument("--encoding", default="utf-8", help="encoding of the file (default: utf-8)")
    add_errors_option(parser)
    parser.add_argument("--iterations", type=int, default=25, help="training passes (default: 25)")
    add_seed_option(parser)
    parser.add_argument("--output", "-o", type=OutputFile, metavar="FILE", help="save the network")
    add_json_option(parser)


def run(args: argparse.Namespace, console: Console) -> int | None:
    """Train, and print the text generated after each iteration."""
    if args.iterations < 1:
        raise UsageError(f"--iterations must be at least 1, not {args.iterations}.")
    corpus = Corpus.from_text(
        open_text(text_of(args)), CharacterTokenizer(), cleaning="article", name=args.corpus
    )
    iterations: list[Iteration] = []

    def show(iteration: Iteration) -> None:
        iterations.append(iteration)
        if args.json:
            return
        epoch = iteration.epoch
        console.rule(f"iteration {epoch.number + 1}", characters="=")
        console.print(f"loss {epoch.train_loss:.4f} nats a character, {duration(epoch.seconds)}")
        console.print(f"generating from seed: {iteration.seed}", markup=False, highlight=False)
        console.print(iteration.seed + iteration.generated, markup=False, highlight=False)

    model = completed(run_article(corpus, show, iterations=args.iterations, seed=args.seed))
    if args.json:
        print_json(
            [
                {"loss": i.epoch.train_loss, "seed": i.seed, "generated": i.generated}
                for i in iterations
            ]
        )
    if args.output:
        model.save(args.output)
    return None
