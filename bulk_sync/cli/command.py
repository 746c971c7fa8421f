"""The class of all commands, and the command line of this process."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import click

from bulk_sync.cli import logs
from bulk_sync.cli.option import Group


class Command(click.Command):
    """A command with its options under headings. It opens the log before it begins."""

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

    def invoke(self, ctx: click.Context) -> Any:
        """Open the log, warn of variables without effect, and carry the command out."""
        invocation = ctx.find_object(Invocation)
        if invocation is not None:
            invocation.params = ctx.params
        if "log_format" in ctx.params:
            from bulk_sync.cli.config import stray_variables

            logs.set_up(
                ctx.params["log_format"], verbose=ctx.params["verbose"], quiet=ctx.params["quiet"]
            )
            for sentence in stray_variables():
                logs.log.warning("%s", sentence)
        return super().invoke(ctx)


@dataclass
class Invocation:
    """One call of the program.

    Attributes:
        words: of the command line, without the program's name.
        params: parsed values of the command at work; None while there is none.
    """

    words: list[str]
    params: Mapping[str, Any] | None = None

    @property
    def form(self) -> Mapping[str, Any]:
        """The options ``summary``, ``log_format`` and ``quiet``, for errors too.

        If no command began, the words make no sense as a whole. Click then looks for these options
        alone and tolerates everything else.
        """
        if self.params is not None:
            return {"summary": None, "log_format": "text", "quiet": False, **self.params}
        from bulk_sync.cli.options import CONFIG, LOG_FORMAT, QUIET, SUMMARY

        lenient = click.Command(None, params=[CONFIG, SUMMARY, LOG_FORMAT, QUIET])
        context = lenient.make_context(
            None,
            list(self.words),
            resilient_parsing=True,
            ignore_unknown_options=True,
            allow_extra_args=True,
        )
        return context.params
