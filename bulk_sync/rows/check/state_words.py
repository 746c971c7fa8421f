"""The words for states in cells. A word is listed here or given by the user; nothing is guessed.

    cell --plain_word--> word --StateWords--> forbids the sale, or allows it, or no state

Words for yes follow ``--state-means``. The user's own words do not: each of them forbids the sale,
or allows it, whatever yes means.
"""

import csv
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from bulk_sync.errors import UsageProblem

_YES: Final = {
    "": "true t yes y 1 on",
    "French": "vrai oui",
    "German": "wahr ja",
    "Spanish": "verdadero sí si",
    "Italian": "vero sì si",
    "Portuguese": "verdadeiro sim",
    "Dutch": "waar ja",
    "Swedish": "sant ja",
    "Danish": "sand ja",
    "Norwegian": "sann ja",
    "Finnish": "tosi kyllä kylla",
    "Polish": "prawda tak",
    "Czech": "pravda ano",
    "Hungarian": "igaz igen",
    "Romanian": "adevărat da",
    "Russian": "истина да",
    "Turkish": "doğru evet",
}
_NO: Final = {
    "": "false f no n 0 off",
    "French": "faux non",
    "German": "falsch nein",
    "Spanish, Italian": "falso no",
    "Portuguese": "falso não nao",
    "Dutch": "onwaar nee",
    "Swedish": "falskt nej",
    "Danish": "falsk nej",
    "Norwegian": "usann nei",
    "Finnish": "epätosi ei",
    "Polish": "fałsz nie",
    "Czech": "nepravda ne",
    "Hungarian": "hamis nem",
    "Romanian": "fals nu",
    "Russian": "ложь нет",
    # Python takes the capital of ı for another letter.
    "Turkish": "yanlış YANLIŞ hayır HAYIR hayir",
}
_ENDS: Final = " .,;:!"
"""What may follow a word. Not a question mark or an asterisk: they express doubt."""


_WIDE: Final = {0xFEE0 + code: code for code in range(ord("!"), ord("~") + 1)}
"""The wide letters of Japanese keyboards. NFKC maps more, and would make ``no`` of ``nº``."""


def plain_word(cell: str) -> str:
    """Return the word in a cell without case, outer blanks, and punctuation at its end."""
    word = unicodedata.normalize("NFC", cell.strip().translate(_WIDE).casefold())
    bare = word.rstrip(_ENDS)
    return word if not bare or bare.isdecimal() else bare


_STATES: Final[dict[str, bool]] = {
    **{plain_word(word): True for words in _YES.values() for word in words.split()},
    **{plain_word(word): False for words in _NO.values() for word in words.split()},
}
"""All accepted words: English ones, and those of the languages of spreadsheet programs."""


class StateMeans(StrEnum):
    """What yes means in a column of states."""

    OPT_OUT = "opt-out"
    CONSENT = "consent"


@dataclass(frozen=True, slots=True)
class StateWords:
    """The words for states in one input.

    Attributes:
        means: what yes means; None if the user did not say, which is ``OPT_OUT``.
        further: the user's own words, as ``plain_word`` makes them; True forbids the sale.
    """

    means: StateMeans | None = None
    further: Mapping[str, bool] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def parse(cls, means: str | None, forbid: str | None, allow: str | None) -> "StateWords":
        """Build them from ``--state-means``, ``--true-values`` and ``--false-values``.

        Raises:
            UsageProblem: a list is empty, or a word contradicts another one.
        """
        known = cls(None if means is None else StateMeans(means))
        further: dict[str, bool] = {}
        for option, text, value in (
            ("--true-values", forbid, True),
            ("--false-values", allow, False),
        ):
            for written in _listed(option, text):
                word = plain_word(written)
                if further.setdefault(word, value) is not value:
                    raise UsageProblem(
                        f"{written!r} is both in --true-values, whose words forbid the sale, and "
                        "in --false-values, whose words allow it. Take it out of one of them."
                    )
                if known.state(written) is (not value):
                    raise UsageProblem(f"{option}: {known._contradiction(written)}")
        return cls(known.means, MappingProxyType(further))

    @property
    def yes_forbids(self) -> bool:
        """Return whether yes forbids the sale."""
        return self.means is not StateMeans.CONSENT

    def state(self, cell: str) -> bool | None:
        """Return the state in a cell: True forbids the sale. None if the word is unknown."""
        word = plain_word(cell)
        if word in self.further:
            return self.further[word]
        is_yes = _STATES.get(word)
        return None if is_yes is None else is_yes is self.yes_forbids

    def effect(self, word: str) -> str:
        """Return what a known word does with the sale: ``forbids`` or ``allows``."""
        return "forbids" if self.state(word) else "allows"

    def __str__(self) -> str:
        """Return what the words mean: ``yes forbids the sale, 'consented' allows it``."""
        own = (f", {word!r} {self.effect(word)} it" for word in self.further)
        return f"yes {self.effect('yes')} the sale{''.join(own)}"

    def _contradiction(self, word: str) -> str:
        means = f"{word!r} {self.effect(word)} the sale"
        if self.means is None:
            return (
                f"{means} already. Leave it out; or, if yes allows the sale in this column, give "
                "--state-means consent instead."
            )
        return f"with --state-means {self.means}, {means}. Leave it out, or change --state-means."


def _listed(option: str, text: str | None) -> Iterator[str]:
    """Yield the words of a list, in quotes with commas; raise UsageProblem if there are none."""
    if text is None:
        return
    rows = csv.reader(text.splitlines(), skipinitialspace=True)
    words = [word.strip() for row in rows for word in row if word.strip()]
    if not words:
        raise UsageProblem(f'{option} is empty. Write the words with commas: "opted out,DNS".')
    yield from words
