"""`langmodels train`: estimate a model and write it to a file."""

import argparse
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from langmodels import progress
from langmodels.cli.files import FileNames, InputFile, OutputFile
from langmodels.cli.going_on import continued, load_init, load_more, name_of, network_of
from langmodels.cli.main import INTERRUPTED
from langmodels.cli.ngram_files import (
    ARPA_NAMES,
    add_closed_option,
    add_quantize_option,
    file_line,
    is_model_name,
    ngrams_line,
    write_model,
)
from langmodels.cli.on_disk import add_memory_options, check_memory_options, fitted_on_disk
from langmodels.cli.options import (
    add_corpus_options,
    add_json_option,
    add_vocabulary_option,
    replaced,
)
from langmodels.cli.output import (
    facts_table,
    format_perplexity,
    print_json,
)
from langmodels.cli.texts import LEVEL_OPTIONS, load_training, min_count_of
from langmodels.datasets import Source
from langmodels.errors import UsageError
from langmodels.formatting import duration, size
from langmodels.models.base import LanguageModel
from langmodels.models.description import part_lines, settings_line
from langmodels.names import split_names
from langmodels.neural.base import NetworkModel
from langmodels.neural.training.history import Epoch, was_interrupted
from langmodels.ngram import NGramModel
from langmodels.ngram.arpa import is_arpa_name
from langmodels.ngram.counts_file import read_counts
from langmodels.ngram.text_counts import TextCounts
from langmodels.presets import Setting
from langmodels.registry import MODELS, make_model, model_spec, parse_model
from langmodels.settings import parse_name
from langmodels.text.corpus import Corpus
from langmodels.text.levels import make_tokenizer
from langmodels.text.stored_text import StoredText

DEFAULT_MODEL = "modified-kneser-ney"
EPILOG = """\
examples:
  langmodels train --corpus wonderland.txt --output tale.lm
  langmodels train --corpus book.txt.gz --order 5 --smoothing kneser-ney --output book.lm
  langmodels train --corpus book.txt --order 5 --prune 0 0 1 --quantize --output book.lm
  langmodels train --corpus book.txt --model full-context --level char --output book.lm
  langmodels train --corpus tokens.txt --level whitespace --min-count 3 --output tokens.lm
  langmodels train --counts one.counts,two.counts --order 3 --output counted.lm
  langmodels train --corpus genome.fa --width 3 --output codons.lm
  langmodels train --corpus "log.csv?events=activity,case=order" --output log.lm
  langmodels train --corpus "prices.csv?series=close,bins=16,differences=true" --output prices.lm
  langmodels train --corpus book.txt --level char --model lstm:hidden=512:epochs=14 \\
      --split contiguous --checkpoint book.ckpt --sample 200 --output book.lm
  langmodels train --corpus large.txt.gz --order 5 --memory 4G --work /scratch --output large.lm
  langmodels train --corpus - --model jelinek-mercer:order=3 --output model.lm < text.txt

  langmodels train --corpus more.txt --init book.lm --model lstm:epochs=3 --output longer.lm
  langmodels train --corpus book.txt --init book.lm --model dynamic --output learning.lm
  langmodels train --corpus monday.txt --keep-counts --output news.lm
  langmodels train --corpus tuesday.txt --init news.lm --output both.lm

--init continues from a saved model. A network is trained further, on a new text or once more on the
same, with its old settings unless --model gives others. To an n-gram model that kept its counts
(--keep-counts), those of the text are added: the result is the same as of both texts at once. The
text is read as the first one was, and its new words are added to the vocabulary. With --model
dynamic, the network in the file stays as it is and becomes one that learns while it reads; the text
is the one that it was trained on, and its learning rate is chosen on --validation.

While a network is trained, a line on standard error follows every epoch. Ctrl-C ends training
early: the best weights so far are written, unless the output file exists already. With
--checkpoint, the same command continues an interrupted training.

Words that occur once are read as <unk>, from which the model learns what unknown words are like;
--min-count 1 keeps them. At other levels all tokens are kept.

The whole text is used for training, unless --split or --fractions holds a part of it out; then
`langmodels evaluate` with the same options measures the model on that part.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--model",
        metavar="NAME[:OPTION=VALUE...]",
        help=f"one of {', '.join(MODELS)} (default: {DEFAULT_MODEL})",
    )
    parser.add_argument(
        "--order", type=int, metavar="N", help="n-gram models: number of tokens in an n-gram"
    )
    parser.add_argument(
        "--smoothing", metavar="NAME", help="train an n-gram model with this smoothing method"
    )
    parser.add_argument(
        "--classes",
        type=int,
        metavar="N",
        help="train a class n-gram model with N classes of words",
    )
    parser.add_argument(
        "--prune",
        type=int,
        nargs="+",
        metavar="N",
        help="n-gram models: leave out n-grams that occur at most N times; one number for each "
        "order, the last one also for higher orders (0 0 1 drops trigrams and longer n-grams that "
        "occur once)",
    )
    add_quantize_option(parser)
    parser.add_argument(
        "--keep-counts",
        action="store_true",
        help="n-gram models: keep the counts of all n-grams in the file, so that a later --init "
        "can add text",
    )
    parser.add_argument(
        "--init",
        type=InputFile,
        metavar="FILE",
        help="continue from a saved model: train a network further on this text, or add the text "
        "to an n-gram model that kept its counts; new words are added to the vocabulary",
    )
    parser.add_argument(
        "--checkpoint",
        type=OutputFile,
        metavar="FILE",
        help="networks: save the state of training in this file every few minutes; if the file "
        "exists, continue from it, with exactly the result of an uninterrupted run",
    )
    parser.add_argument(
        "--sample", type=int, metavar="N", help="networks: show a sample of N tokens every epoch"
    )
    parser.add_argument(
        "--output",
        "-o",
        type=OutputFile,
        required=True,
        metavar="FILE",
        help="the model file to write; n-gram models are written as ARPA where the name ends in "
        f"{ARPA_NAMES}",
    )
    parser.add_argument(
        "--counts",
        type=FileNames,
        metavar="FILE[,FILE...]",
        help="n-gram models: train on the sum of count files, written by `langmodels count` or "
        "SRILM, instead of a --corpus; --level says how their text was cut (default: whitespace)",
    )
    add_memory_options(parser)
    add_corpus_options(parser, default=None, optional=True)
    add_vocabulary_option(parser)
    add_closed_option(parser)
    add_json_option(parser)


def run(args: argparse.Namespace, console: Console) -> int | None:
    """Train, save, and say what was learnt."""
    init = None if args.init is None else load_init(args)
    named = args.model is not None or args.smoothing is not None
    name = model_name(args) if init is None or named else name_of(init)
    output = Path(args.output)
    options = _options(args, name)
    if args.counts is not None:
        return _train_on_counts(args, name, options, console)
    if args.corpus is None:
        raise UsageError("Say what to train on: --corpus NAME, or --counts FILE.")
    check_memory_options(args)
    if args.memory is not None:
        _train_on_disk(args, name, options, console)
        return None
    model, train, validation, source = _unfitted(args, name, options, init)
    least = min_count_of(args, train.tokenizer)
    began = time.perf_counter()
    _fit(model, train, validation, init, args)
    if isinstance(model, NGramModel) and model.counts is not None:
        # All words were read, and all are counted; the model knows fewer.
        least = model.counts.min_count
        train = train.recoded(model.vocabulary)
        validation = None if validation is None else validation.recoded(model.vocabulary)
    seconds = time.perf_counter() - began
    interrupted = was_interrupted(model)
    if interrupted and output.exists():
        raise KeyboardInterrupt(f"interrupted; {output} is as it was before.")
    if isinstance(model, NGramModel):
        model = write_model(model, args)
    else:
        model.save(output)
    report = describe(model, name, train, validation, 0 if args.vocabulary else least)
    if init is not None:
        new = sum(token not in init.vocabulary for token in model.vocabulary.tokens)
        report |= {"init": args.init, "new_tokens": new}
    report |= {
        "closed": args.closed,
        "seconds": seconds,
        "output": str(output),
        "bytes": output.stat().st_size,
    }
    if args.json:
        print_json(report)
    else:
        rows = _rows(args, model, train, source.name, least) | _outcome(report, interrupted)
        console.print(facts_table(rows, title=name))
    return INTERRUPTED if interrupted else None


def _unfitted(
    args: argparse.Namespace, name: str, options: dict[str, Any], init: LanguageModel[Any] | None
) -> tuple[LanguageModel[Any], Corpus, Corpus | None, Source]:
    """The model to train, its training and validation texts, and where they come from."""
    if init is not None:
        model = continued(init, name, options, args)
        extending = network_of(model) is not init  # else the network stays as it is
        return model, *load_more(init, args, extending=extending)
    make_model(name, Setting(seed=args.seed), **options)  # refuses bad options before the text
    train, validation, source = load_training(_all_tokens(args) if args.keep_counts else args)
    setting = Setting(train.tokenizer.level, seed=args.seed, tokens=train.n_tokens)
    if setting.chosen:
        progress.say(setting.chosen)
    return make_model(name, setting, **options), train, validation, source


def _outcome(report: dict[str, Any], interrupted: bool) -> dict[str, str]:
    """The facts that are printed of a finished training, from its report."""
    rows = {}
    if "init" in report:
        rows["goes on from"] = f"{report['init']}; {report['new_tokens']:,} tokens are new"
    if "validation_perplexity" in report:
        rows["validation"] = f"perplexity {format_perplexity(report['validation_perplexity'])}"
    if interrupted:
        rows["interrupted"] = "the best weights so far are kept"
    rows["time"] = duration(report["seconds"])
    rows["file"] = f"{report['output']} ({size(report['bytes'])})"
    return rows


def _rows(
    args: argparse.Namespace,
    model: LanguageModel[Any],
    train: Corpus | StoredText,
    source: str,
    least: int,
) -> dict[str, str]:
    """The facts that are printed of any trained model and its text."""
    made_of = part_lines(model)
    return {
        "settings": settings_line(model) or "none",
        **({"made of": "\n".join(made_of)} if made_of else {}),
        "text": f"{source}: {train.n_tokens:,} tokens, {train.n_types:,} types"
        + _rare(args, train, least),
        "vocabulary": f"{len(model.vocabulary):,} tokens ({model.tokenizer.level} level)"
        + ("; closed, p(<unk>) = 0" if args.closed else ""),
        "parameters": f"{model.n_parameters:,}",
    }


def _train_on_disk(
    args: argparse.Namespace, name: str, options: dict[str, Any], console: Console
) -> None:
    """Train within the memory that --memory gives."""
    began = time.perf_counter()
    with fitted_on_disk(args, name, options) as (model, text):
        write_model(model, args)
        seconds = time.perf_counter() - began
        least = min_count_of(args, text.tokenizer)
        report = describe(model, name, text, None, 0 if args.vocabulary else least)
        rows = _rows(args, model, text, text.name, least)
    n_bytes = Path(args.output).stat().st_size
    report |= {"seconds": seconds, "output": str(args.output), "bytes": n_bytes}
    if args.json:
        print_json(report)
        return
    rows |= {"time": duration(seconds), "file": file_line(args.output)}
    console.print(facts_table(rows, title=name))


def _all_tokens(args: argparse.Namespace) -> argparse.Namespace:
    """The arguments, so that all tokens are kept.

    Raises UsageError for options that leave some out.
    """
    if args.vocabulary or args.vocab_size is not None:
        raise UsageError(
            "--keep-counts keeps the counts of all words; leave out --vocabulary and --vocab-size."
        )
    return replaced(args, min_count=1)


def _fit(
    model: LanguageModel[Any],
    train: Corpus,
    validation: Corpus | None,
    init: LanguageModel[Any] | None,
    args: argparse.Namespace,
) -> None:
    """Train a model, continuing from `init` if there is one."""
    if isinstance(model, NGramModel) and init is None and args.keep_counts:
        counts = TextCounts.of(train, model.order, min_count_of(args, train.tokenizer))
        model.fit_counts(counts, validation, keep_counts=True)
        return
    network, before = network_of(model), network_of(init)
    if isinstance(network, NetworkModel) and network is not before:
        _fit_network(network, train, validation, before, args)
    if isinstance(model, NGramModel) and isinstance(init, NGramModel):
        model.fit(train, validation, init=init)
    elif network is before or not model.is_fitted:
        model.fit(train, validation)


def _rare(args: argparse.Namespace, train: Corpus | StoredText, least: int) -> str:
    """A clause on the tokens that became `<unk>`, being rare or not in a given vocabulary."""
    if args.vocabulary:
        others = f", {train.n_oov:,} others read as <unk>" if train.n_oov else ""
        return f", vocabulary of {args.vocabulary}{others}"
    limit = f", min-count {least}" if train.tokenizer.rare_types else ""
    if not train.n_oov:
        return limit
    rare = least > 1 or args.vocab_size is not None  # otherwise the text itself has <unk>
    return f"{limit}, {train.n_oov:,} {'of them' if rare else 'literally'} <unk>"


def _train_on_counts(
    args: argparse.Namespace, name: str, options: dict[str, Any], console: Console
) -> int | None:
    """Estimate an n-gram model from files of counts."""
    if args.init is not None:
        raise UsageError("--init goes on with a text, not with --counts; add their files instead.")
    if any((args.corpus, args.vocabulary, args.validation, args.test, args.split, args.fractions)):
        raise UsageError("Give a text or --counts, not both.")
    for option in ("vocab_size", "carry", "memory", "work", "jobs", "scheduler"):
        if getattr(args, option):
            raise UsageError(f"--{option.replace('_', '-')} is for a text, not for --counts.")
    model = make_model(name, Setting(seed=args.seed), **options)
    if not isinstance(model, NGramModel):
        raise UsageError(f"--counts is for n-gram models, not {name}.")
    cut = {o: value for o in LEVEL_OPTIONS if (value := getattr(args, o)) is not None}
    if cut and args.level is None:
        raise UsageError(f"--{next(iter(cut))} belongs to a level; say which, by --level.")
    tokenizer = None if args.level is None else make_tokenizer(args.level, **cut)
    cleaning = "lower" if args.lower and args.clean == "none" else args.clean
    counts = read_counts(split_names(args.counts), args.min_count or 1, tokenizer, cleaning)
    if "order" not in options and "order" not in parse_name(name)[1]:
        model = make_model(name, Setting(seed=args.seed), order=counts.order, **options)
        assert isinstance(model, NGramModel)
    model = write_model(model.fit_counts(counts, keep_counts=args.keep_counts), args)
    if args.json:
        print_json({"name": name, "counts": args.counts, "ngrams": model.ngram_counts})
        return None
    rows = {
        "settings": settings_line(model),
        "counts": args.counts,
        "n-grams": ngrams_line(model),
        "file": file_line(args.output),
    }
    console.print(facts_table(rows, title=name))
    return None


def _fit_network(
    model: NetworkModel[Any],
    train: Corpus,
    validation: Corpus | None,
    init: NetworkModel[Any] | None,
    args: argparse.Namespace,
) -> None:
    """Train a network; where progress is shown, a line follows every epoch."""
    options = model.options
    epochs = options.epochs if options.tokens is None else -(-options.tokens // train.n_tokens)

    def tell(epoch: Epoch) -> None:
        validated = epoch.validation_loss
        progress.say(
            f"epoch {epoch.number + 1} of {epochs}: loss {epoch.train_loss:.4f} nats a token"
            + ("" if validated is None else f", on the validation text {validated:.4f}")
            + f"; {epoch.tokens_per_second:,.0f} tokens/s; gradient {epoch.gradient_norm:.2f}, "
            f"at most {epoch.largest_gradient_norm:.2f}; {duration(epoch.seconds)}"
        )

    model.fit(
        train,
        validation,
        init=init,
        checkpoint=args.checkpoint,
        sample=args.sample or 0,
        after_epoch=tell,
    )


def _options(args: argparse.Namespace, name: str) -> dict[str, Any]:
    """The hyper-parameters given by options such as --order.

    Raises UsageError for options that do not fit the model or each other.
    """
    options = {k: getattr(args, k) for k in ("order", "classes") if getattr(args, k) is not None}
    for key in options.keys() & parse_name(name)[1].keys():
        raise UsageError(f"--{key} {options[key]} and {name} both give {key}; give one of them.")
    family = model_spec(name.partition(":")[0]).family
    if family != "neural" and (args.checkpoint is not None or args.sample is not None):
        raise UsageError(f"--checkpoint and --sample are for neural networks, not {name}.")
    if args.sample is not None and args.sample < 1:
        raise UsageError(f"--sample must be at least 1, not {args.sample}.")
    changed = args.quantize or args.closed or not is_model_name(args.output)
    if args.keep_counts and (family != "n-gram" or changed):
        raise UsageError(
            "--keep-counts is for n-gram models in model files, neither quantized nor closed: "
            "other files have no place for counts."
        )
    if family != "n-gram":
        if args.prune or args.quantize or args.closed or is_arpa_name(args.output):
            raise UsageError(
                f"--prune, --quantize, --closed and ARPA files are for n-gram models, not {name}."
            )
    elif args.prune:
        if args.prune[0] != 0 or args.prune != sorted(args.prune):
            raise UsageError(
                "The numbers of --prune must begin with 0, for single words, and must not fall: "
                "0 0 1, for example."
            )
        options["min_counts"] = tuple(n + 1 for n in args.prune)
    return options


def model_name(args: argparse.Namespace) -> str:
    """The name of the model that --model, --smoothing or --classes asks for."""
    if args.smoothing is None:
        name = str(args.model or (DEFAULT_MODEL if args.classes is None else "class"))
        return parse_model(name)[0].name + "".join(name.partition(":")[1:])
    if args.model is not None:
        raise UsageError(
            "--smoothing names an n-gram model, and so does --model; give one of the two."
        )
    spec = model_spec(args.smoothing.replace("_", "-"))
    if spec.family != "n-gram":
        raise UsageError(f"{spec.name} is not a smoothing method of n-grams; use --model for it.")
    return spec.name


def describe(
    model: LanguageModel[Any],
    name: str,
    train: Corpus | StoredText,
    validation: Corpus | None,
    min_count: int,
) -> dict[str, Any]:
    """The JSON report on a freshly trained model."""
    report: dict[str, Any] = {
        "name": name,
        "kind": model.kind,
        "config": model.config(),
        "level": model.tokenizer.level,
        "corpus": train.name,
        "tokens": train.n_tokens,
        "types": train.n_types,
        "oov_tokens": train.n_oov,
        "min_count": min_count,
        "vocabulary": len(model.vocabulary),
        "parameters": model.n_parameters,
    }
    if validation is not None:
        report["validation_perplexity"] = model.perplexity(validation)
    return report
