"""Builds the next command to type, quoted for a shell.

    typed options --Typed--> by name --suggested--> bulk-sync COMMAND ARGUMENT ...

Options from variables, the configuration and defaults are not repeated: they hold for the next
command too.
"""

import shlex
from collections.abc import Collection, Iterable, Mapping
from itertools import chain
from typing import Any, Final

import click
from click.core import ParameterSource

from bulk_sync.cli.arguments import INPUT_AGAIN
from bulk_sync.cli.config import path_of
from bulk_sync.cli.option import DECLARED, Group, Option, Recorded, names, recorded
from bulk_sync.cli.options import CONFIG, CONNECTION, DRY_RUN, FRESH, PLAN_OUT, REPORT, SHEET, STATE

_PLACE: Final = names([*STATE, CONFIG])
"""Where a run is kept: the next command needs it too."""

_CONNECTION: Final = names(CONNECTION)
_OF_THE_INPUT: Final = names([REPORT, SHEET])
"""These fit the input alone: what is left of it is CSV, and has a report of its own."""

_OF_A_PREVIEW: Final = names([DRY_RUN, PLAN_OUT, FRESH])


class Typed:
    """The options of one command line, as they can be typed again.

    Args:
        context: of the command, after its options were parsed.
    """

    def __init__(self, context: click.Context) -> None:
        self._command = context.command.name
        self._params = {**context.params, "config": path_of(context)}
        self._options = [
            param
            for param in context.command.params
            if isinstance(param, Option)
            and context.get_parameter_source(param.key) is ParameterSource.COMMANDLINE
        ]

    def resume(self, run_id: str, instead: Collection[str] = ()) -> str:
        """Return the command to go on with a run.

        Args:
            run_id: of the run.
            instead: an option and its value, in place of what was typed for it.
        """
        return suggested(
            "resume", run_id, self._words([*_PLACE, *recorded(Recorded.SPENT)], instead)
        )

    def retry(self, run_id: str) -> str:
        """Return the command to try the failed rows of a run again."""
        return suggested("retry", run_id, self._words(_PLACE))

    def plan_of(self, file: str) -> str:
        """Return the command to plan a file made by ``map``."""
        return suggested("plan", file, self._words([*_CONNECTION, *_PLACE]))

    def plan_after_validate(self, source: str) -> str:
        """Return the command to plan an input that ``validate`` found good."""
        return suggested("plan", source, self._words_but(names([REPORT])))

    def apply(self, plan: str, sha256: str, instead: Collection[str]) -> str:
        """Return the command to carry out a plan file, in the place where it was made."""
        sealed = [*_CONNECTION, *recorded(Recorded.SEALED), *_PLACE]
        words = ["--expect-sha256", sha256, *self._words(sealed, instead)]
        return suggested("apply", plan, words)

    def run_after_preview(
        self, source: str, settings: Mapping[str, Any], instead: Collection[str]
    ) -> str:
        """Return the command to carry out a preview without a plan file.

        Args:
            source: the input.
            settings: the options of the preview.
            instead: an option and its value, in place of what was typed for it.
        """
        if self._command == "resume":
            return suggested("run", source, self._for_input(settings, instead))
        return suggested("run", source, self._words_but(_OF_A_PREVIEW, instead))

    def run_of_rest(self, todo: str, settings: Mapping[str, Any]) -> str:
        """Return the command for the remaining rows, with a report of their own."""
        words = (
            self._words_but(_OF_THE_INPUT) if self._command == "run" else self._for_input(settings)
        )
        return suggested("run", todo, words)

    def _words(self, wanted: Collection[str], instead: Collection[str] = ()) -> list[str]:
        """Return the options with these names, as they were typed, then those of ``instead``."""
        kept = [
            option.words(self._params[option.key])
            for option in self._options
            if option.key in wanted and (option.multiple or option.flag not in instead)
        ]
        return [*chain(*kept), *instead]

    def _words_but(self, unwanted: Collection[str], instead: Collection[str] = ()) -> list[str]:
        """Return all options but those with these names, otherwise as ``_words``."""
        return self._words(
            [each.key for each in self._options if each.key not in unwanted], instead
        )

    def _for_input(self, settings: Mapping[str, Any], instead: Collection[str] = ()) -> list[str]:
        """Return the options to read an input again, for a command other than this one."""
        words = [
            option.words(settings[option.key])
            for option in DECLARED
            if settings.get(option.key) is not None
            and self._is_needed(option, settings[option.key])
        ]
        return [*chain(*words), *self._words(_PLACE, instead)]

    def _is_needed(self, option: Option, value: Any) -> bool:
        """Return whether another command would not have this value of an option by itself."""
        if option.group is Group.CONNECTION:
            now = str(self._params.get(option.key)).rstrip("/")
            return option in self._options or str(value).rstrip("/") != now
        return option in INPUT_AGAIN and value != option.absent


def suggested(command: str, argument: str, options: Iterable[str]) -> str:
    """Return a command as a person types it."""
    words = ["bulk-sync", command, argument, *options]
    if argument.startswith("-") and argument != "-":  # else it would be taken for an option
        words = ["bulk-sync", command, *options, "--", argument]
    return shlex.join(words)
