"""The class of all commands, and the command line of this process."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any

import click

from bulk_sync.cli import logs
from bulk_sync.cli.monitor import Monitor
from bulk_sync.cli.options import config, secret_values
from bulk_sync.cli.options.option import Group
from bulk_sync.errors import StopRun, UsageProblem


class Command(click.Command):
    """A command with its options under headings. It opens the log before it begins."""

    @classmethod
    def declare(
        cls, name: str, *params: click.Parameter, examples: str, **attributes: Any
    ) -> Callable[[Callable[..., Any]], click.Command]:
        """Return a decorator that makes a function a command.

        Args:
            name: of the command.
            params: its arguments and options.
            examples: lines at the end of its help, each on a line of its own.
            attributes: what ``click.command`` takes besides.
        """
        heading = "Examples" if examples.count("\n  ") > 1 else "Example"
        epilog = f"\b\n{heading}:{examples}"
        return click.command(name, cls, params=list(params), epilog=epilog, **attributes)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, each under the heading of its group."""
        sections: dict[str, list[tuple[str, str]]] = {str(group): [] for group in Group}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None:
                sections.setdefault(str(getattr(param, "group", "Options")), []).append(record)
        for heading, records in sections.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep the context for messages about its options; refuse secrets among the words."""
        invocation = ctx.ensure_object(Invocation)
        invocation.context = ctx
        if invocation.typed_secret:
            raise UsageProblem(
                f"The secret in {invocation.typed_secret} is typed on the command line too, where "
                "others can see it, and from where it would be stored. Leave it out there. If "
                "anybody may have seen it, have a new one made."
            )
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            text = error.message + secret_values.place_of_secret(error.option_name)
            raise click.NoSuchOption(error.option_name, text, error.possibilities, ctx) from error

    def invoke(self, ctx: click.Context) -> Any:
        """Open the log, warn of values without effect, and carry the command out."""
        invocation = ctx.ensure_object(Invocation)
        invocation.params = ctx.params
        if "log_format" in ctx.params:
            logs.set_up(
                ctx.params["log_format"], verbose=ctx.params["verbose"], quiet=ctx.params["quiet"]
            )
            for sentence in config.warnings(ctx):
                logs.log.warning("%s", sentence)
        invocation.monitor.watch(str(self.name), ctx.params)
        invocation.monitor.start()
        return super().invoke(ctx)


class CommandGroup(click.Group):
    """A command with others below it, each a ``Command``."""

    command_class = Command


@dataclass
class Invocation:
    """One call of the program.

    Attributes:
        words: of the command line, without the program's name.
        command: the command that they name; None if they name none.
        context: of the command at work, or of its options as far as they are parsed.
        params: parsed values of the command at work; None while there is none.
        monitor: what is known of its run.
        typed_secret: where a secret lies that was among the words; "" if none was.
    """

    words: list[str] = field(default_factory=list)
    command: click.Command | None = None
    context: click.Context | None = None
    params: Mapping[str, Any] | None = None
    monitor: Monitor = field(default_factory=Monitor)
    typed_secret: str = ""

    @classmethod
    def of(cls, words: Iterable[str]) -> "Invocation":
        """Return that of the words of a command line, without the secrets that lie elsewhere."""
        typed, found = secret_values.masked(words)
        return cls(typed, typed_secret=found)

    @classmethod
    def current(cls) -> "Invocation":
        """Return the call of the command at work."""
        return click.get_current_context().ensure_object(cls)

    @property
    def shows_help(self) -> bool:
        """Return whether the words ask for help or the version, and no command began."""
        return self.params is None and not {"-h", "--help", "--version"}.isdisjoint(self.words)

    @property
    def form(self) -> Mapping[str, Any]:
        """The options ``summary``, ``log_format`` and ``quiet``, for errors too.

        If no command began, the words make no sense as a whole. Click then looks for the options of
        the command, or for these alone, and tolerates everything else.
        """
        if self.params is None:
            context = self._found()
            self.params = context.params
            if self.command is not None:
                with context, suppress(UsageProblem, click.UsageError):
                    self.monitor.watch(str(self.command.name), self.params)
                    self.monitor.start()
        return {"summary": None, "log_format": "text", "quiet": False, **self.params}

    def origins(self, message: str) -> str:
        """Return the places of the values in a message that were not typed, as more sentences."""
        return "" if self.context is None else "".join(config.origins(message, self.context))

    def _found(self) -> click.Context:
        """Return what can be found among words that make no sense as a whole."""
        from bulk_sync.cli.options.run_options import CONFIG, LOG_FORMAT, QUIET, SUMMARY

        alone: list[click.Parameter] = [CONFIG, SUMMARY, LOG_FORMAT, QUIET]
        if not isinstance(self.command, Command):
            return self._lenient(alone, self.words)
        words = list(self.words)
        words.remove(str(self.command.name))
        try:
            return self._lenient(self.command.params, words)
        except StopRun:  # a default cannot be found out, such as the home folder
            return self._lenient(alone, words)

    def _lenient(self, params: list[click.Parameter], words: list[str]) -> click.Context:
        """Parse the words of some parameters, and tolerate everything else."""
        return click.Command(None, params=params).make_context(
            None,
            list(_known(params, words)),
            obj=self,
            resilient_parsing=True,
            ignore_unknown_options=True,
            allow_extra_args=True,
        )


def _known(params: Iterable[click.Parameter], words: Iterable[str]) -> Iterator[str]:
    """Yield words without unknown options and their possible values, which may be secrets."""
    takes_value = {
        name: not option.is_flag
        for option in params
        if isinstance(option, click.Option)
        for name in (*option.opts, *option.secondary_opts)
    }
    left, is_after_unknown = iter(words), False
    for word in left:
        name, equals, _ = word.partition("=")
        is_unknown = word.startswith("-") and word not in {"-", "--"} and name not in takes_value
        if word == "--":
            yield from (word, *left)
        elif is_unknown:
            if flags := "".join(takewhile(lambda letter: f"-{letter}" in takes_value, word[1:])):
                yield f"-{flags}"
        elif name in takes_value:
            yield word
            if takes_value[name] and not equals:
                yield next(left, "")
        elif not is_after_unknown or _is_there(word):
            yield word
        is_after_unknown = is_unknown and not equals


def _is_there(word: str) -> bool:
    with suppress(OSError, ValueError):
        return Path(word).exists()
    return False
