"""Builds the next command to type, quoted for a shell.

    typed options --Typed--> by name --suggested--> bulk-sync COMMAND ARGUMENT ...

Options from variables, the configuration and defaults are not repeated: they hold for the next
command too. Nor are those that may hold a secret: the sentence before the command names them.
"""

import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import click
from click.core import ParameterSource

from bulk_sync.cli.options import run_options
from bulk_sync.cli.options.config import Configuration, job_of
from bulk_sync.cli.options.deployment_options import CONNECTION, STATE
from bulk_sync.cli.options.input_options import HEADER_ROW, SAVE_MAPPING, SHEET
from bulk_sync.cli.options.option import DECLARED, MASK, Group, Option, Recorded, pair
from bulk_sync.cli.options.value_types import NAME
from bulk_sync.remote import url

if TYPE_CHECKING:
    from bulk_sync.ledger import Begun

_PLACE: Final = (*STATE, run_options.CONFIG)
"""Where a run is kept: the next command needs it too."""

_FILES: Final = (run_options.REPORT, run_options.TODO, run_options.OUTLINE)
"""What this command alone writes."""

_OF_THE_INPUT: Final = (*_FILES, SHEET, HEADER_ROW)
"""These fit the input alone: what is left of it lies in a file, and has a report, of its own."""

_OF_A_PREVIEW: Final = (run_options.DRY_RUN, run_options.PLAN_OUT, run_options.FRESH)
_SEALED: Final = [each for each in DECLARED if each.recorded is Recorded.SEALED]
_SPENT: Final = [each for each in DECLARED if each.recorded is Recorded.SPENT]
_OF_A_PLAN: Final = [
    option
    for option in DECLARED
    if option.recorded in {Recorded.REPEATED, Recorded.SEALED, Recorded.ADDED}
    and option.group in {Group.INPUT, Group.KEYS, Group.SAFETY, Group.APPROVAL}
]
_OF_THE_REST: Final = [
    each for each in _OF_A_PLAN if each not in {SHEET, HEADER_ROW, run_options.ALLOW}
]
"""What was let pass once is not let pass again."""


@dataclass(frozen=True, slots=True)
class NextCommand:
    """A command to type, as one ``line``; ``left_out`` is what it lacks, since it may be secret."""

    line: str
    left_out: Sequence[str] = ()

    @classmethod
    def build(cls, words: Iterable[str], left_out: Sequence[str] = ()) -> Self:
        """Build it of words, without options whose value is ``MASK``."""
        shown, left_out = ["bulk-sync"], [*left_out]
        for word in words:
            if word == MASK:
                left_out.append(shown.pop())
            else:
                shown.append(word)
        return cls(shlex.join(shown), [*dict.fromkeys(left_out)])

    def after(self, sentence: str) -> str:
        """Return the command below a sentence, which says what must be given again."""
        names = " and ".join(self.left_out)
        again = f" (add {names} again; what may be secret is not shown)" if names else ""
        return f"{sentence}{again}:\n  {self.line}"

    def __str__(self) -> str:
        return self.line


class Typed:
    """The options of one command line, as they can be typed again.

    Where a command is given ``instead``, an option and its value, it has these in place of what was
    typed for that option. ``settings`` are the recorded options of a run or a plan.

    Args:
        context: of the command, after its options were parsed.
    """

    def __init__(self, context: click.Context) -> None:
        configuration = Configuration.current(context)
        self._command, self._jobs = context.command.name, configuration.jobs
        self._params = {**context.params, run_options.CONFIG.key: configuration.path}
        self._options = [
            param
            for param in context.command.params
            if isinstance(param, Option)
            and context.get_parameter_source(param.key) is ParameterSource.COMMANDLINE
        ]
        self._is_saved = bool(context.params.get(SAVE_MAPPING.key))
        self._saved = [each for each in self._options if each.is_of_input and self._is_saved]

    def resume(self, run_id: str, instead: Collection[str] = ()) -> NextCommand:
        """Return the command to go on with a run."""
        return suggested("resume", run_id, self._typed([*_PLACE, *_SPENT], instead))

    def retry(self, run_id: str) -> NextCommand:
        """Return the command to try the failed rows of a run again."""
        return suggested("retry", run_id, self._typed(_PLACE))

    def plan_of(self, file: str, job: str) -> NextCommand:
        """Return the command to plan a file made by ``map`` from an input of a job."""
        words = [*self._naming(job, file), *self._typed([*CONNECTION, *_PLACE])]
        return suggested("plan", file, words)

    def carried_out(self) -> NextCommand:
        """Return the command of a preview without ``-n``."""
        preview = (run_options.DRY_RUN, run_options.SHOW_ONLY)
        return NextCommand.build([str(self._command), *self._typed_but(preview)])

    def after_validate(self, command: str, source: str, job: str) -> NextCommand:
        """Return the command to go on with an input of a job, or with its marked copy."""
        unwanted, name = {*_FILES, *self._saved}, list[str]()
        if source != self._params.get("input") and (self._is_saved or job in self._jobs):
            unwanted, name = {*unwanted, run_options.JOB}, [run_options.JOB.flag, job]
        return suggested(command, source, [*name, *self._typed_but(unwanted)])

    def apply(
        self, plan: str, sha256: str, settings: Mapping[str, Any], instead: Collection[str]
    ) -> NextCommand:
        """Return the command to carry out a plan file, in the place where it was made."""
        words = [
            *(run_options.EXPECT_SHA256.flag, sha256),
            *self._recorded_alone(settings, CONNECTION),
            *self._typed([*_SEALED, *_PLACE], instead),
            *(run_options.APPROVED_BY.flag, NAME) * (settings.get(run_options.APPROVALS.key) or 0),
        ]
        return suggested("apply", plan, words)

    def plan_again(self, begun: "Begun", out: Path) -> NextCommand:
        """Return the command to make a plan anew, with the options that it was made with."""
        words = [run_options.PLAN_OUT.flag, str(out), *self._recorded(begun.settings, _OF_A_PLAN)]
        if begun.parent is not None:
            return suggested("undo", begun.parent, words)
        return suggested("plan", begun.input, words)

    def run_after_preview(
        self, source: str, settings: Mapping[str, Any], instead: Collection[str]
    ) -> NextCommand:
        """Return the command to carry out a preview, or to plan it where plans are approved."""
        is_approved = bool(settings.get(run_options.APPROVALS.key))
        if self._command == "resume":
            words = self._recorded(settings, [*_OF_A_PLAN, *CONNECTION], instead)
        else:
            unwanted = {*_OF_A_PREVIEW, *self._saved}
            if not is_approved:
                unwanted.add(run_options.APPROVALS)
            words = self._typed_but(unwanted, instead)
        if not is_approved:
            return suggested("run", source, words)
        from bulk_sync.runs import Input

        # `run` would write it without an approval.
        out = f"{Input(source).stem}.plan.parquet"
        return suggested("plan", source, [*words, run_options.PLAN_OUT.flag, out])

    def run_of_rest(self, todo: str, job: str, settings: Mapping[str, Any]) -> NextCommand:
        """Return the command for the rows of a job's todo file, a plan where plans are approved."""
        if self._command == "run":
            words = self._typed_but(_OF_THE_INPUT)
        else:
            words = self._recorded(settings, [*_OF_THE_REST, *CONNECTION])
        if run_options.JOB.flag not in words:
            words = [*self._naming(job, todo), *words]
        if self._command == "apply" or settings.get(run_options.APPROVALS.key):
            out = str(Path(todo).with_suffix(".parquet"))
            return suggested("plan", todo, [*words, run_options.PLAN_OUT.flag, out])
        return suggested("run", todo, words)

    def _naming(self, job: str, file: str) -> list[str]:
        """Return the option to name the job of a file, unless its table is found without it."""
        is_found = job not in self._jobs or job == job_of({"input": file})
        return [] if is_found else [run_options.JOB.flag, job]

    def _typed(self, wanted: Collection[Option], instead: Collection[str] = ()) -> list[str]:
        """Return those of some options that were typed, as they were, then those of ``instead``."""
        kept = [
            option.words(self._params[option.key])
            for option in self._options
            if option in wanted and (option.multiple or option.flag not in instead)
        ]
        return [*chain(*kept), *instead]

    def _typed_but(self, unwanted: Collection[Option], instead: Collection[str] = ()) -> list[str]:
        """Return the same of all options but some."""
        kept = [each for each in self._options if each not in {*unwanted, SAVE_MAPPING}]
        return self._typed(kept, instead)

    def _recorded(
        self, settings: Mapping[str, Any], wanted: Iterable[Option], instead: Collection[str] = ()
    ) -> list[str]:
        """Return some options of a run that another command needs, then where the run is kept."""
        again = [each for each in wanted if each.flag not in instead]
        return [*self._recorded_alone(settings, again), *self._typed(_PLACE, instead)]

    def _recorded_alone(
        self, settings: Mapping[str, Any], wanted: Iterable[Option]
    ) -> Iterator[str]:
        for option in wanted:
            value = settings.get(option.key)
            if value is not None and self._is_needed(option, value):
                yield from option.words(value)

    def _is_needed(self, option: Option, value: Any) -> bool:
        """Return whether another command would not have a recorded option by itself."""
        if option.group is Group.CONNECTION:
            now = str(self._params.get(option.key)).rstrip("/")
            return option in self._options or str(value).rstrip("/") != now
        return value not in ([], option.absent)


def again(words: Sequence[str], remedy: Sequence[str]) -> NextCommand:
    """Return a typed command line with other values for some options.

    The words are without the program's name; ``remedy`` has options, each with its value.
    """
    end = words.index("--") if "--" in words else len(words)
    kept, instead, typed = list[str](), set(remedy[::2]), iter(words[:end])
    valued = {option.flag: option for option in DECLARED if not option.is_flag}
    arguments = [url.source(word) for word in words[end + 1 :]]
    for word in typed:
        flag, equals, value = word.partition("=")
        if flag not in valued:
            kept.append(url.source(word))
            continue
        value = value if equals else next(typed, "")
        if flag not in instead:
            kept += valued[flag].words(value)
    added = chain(*map(pair, remedy[::2], remedy[1::2]))
    lacks = [each for word in [*kept, *arguments] for each in _missing(word)]
    return NextCommand.build([*kept, *added, *words[end : end + 1], *arguments], lacks)


def suggested(command: str, argument: str, further: Iterable[str]) -> NextCommand:
    """Return a command as a person types it."""
    words = [command, argument, *further]
    if argument.startswith("-") and argument != "-":  # else it would be taken for an option
        words = [command, *further, "--", argument]
    return NextCommand.build(words, _missing(argument))


def _missing(argument: str) -> list[str]:
    """Return what is left out of an argument: secret parts of a URL."""
    is_whole = not isinstance(argument, url.InputUrl) or argument.whole == argument
    return [] if is_whole else ["the rest of the URL"]
