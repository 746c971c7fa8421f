"""The sample files of this folder, always the same ones. All people in them are made up.

    python sample_data/make.py [FOLDER]

profiles.csv
    A thousand profiles for ``bulk-sync simulate``. About 30 % have opted out, and a few have no
    state.
clean.csv, clean.parquet, clean.xlsx
    A good nightly export: 200 rows, each for a known profile with a state. 30 of them differ from
    the current state, two of those from true to false.
messy.csv, messy.parquet, messy.xlsx
    Every kind of bad row at least once. The column ``comment`` explains each row. The CSV has a
    byte order mark and CRLF. The Parquet file has text, and nulls for empty cells. The workbook
    has the same text as a spreadsheet stores it: booleans, numbers, a date, an error.
"""

import argparse
import base64
import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq
import xlsxwriter

SEED: Final = 1798
PROFILES: Final = 1_000
SHARE_OPTED_OUT: Final = 0.3
SHARE_UNKNOWN: Final = 0.01

FIRST_NAMES: Final = (
    "Alba", "Bram", "Cleo", "Dario", "Edda", "Faro", "Gwen", "Hugo", "Ines", "Juno", "Kian", "Lena",
    "Milo", "Nora", "Otis", "Pia", "Quin", "Rhea", "Sami", "Tove",
)  # fmt: skip
LAST_NAMES: Final = (
    "Ashquill", "Brindlefen", "Copperfen", "Dunmarrow", "Elderbrook", "Fennimoor", "Greyharrow",
    "Hollowmire", "Inkwater", "Juniperall", "Kestrelby", "Larkspurne", "Mossgrave", "Nettlewind",
    "Oakenfirth", "Pebblecomb", "Quillthorn", "Ravenhollow", "Saltmarrow", "Thistlewock",
)  # fmt: skip
CHANNELS: Final = ("web form", "email", "phone", "browser signal")

REQUEST: Final = ("PKey", "ccpaOptOut", "requestDate", "requestChannel")
"""The columns of the desired-state files; the messy ones have a comment as well."""

STATES: Final = {True: "true", False: "false", None: ""}

Cell = str | bool | int | float | date


@dataclass(frozen=True)
class Profile:
    """One profile in Campaign. A state of None means unknown."""

    key: str
    email: str
    first_name: str
    last_name: str
    external_id: str
    opted_out: bool | None


def profiles(rng: Random) -> list[Profile]:
    """Make up all profiles."""
    return [_profile(rng, number) for number in range(1, PROFILES + 1)]


def _profile(rng: Random, number: int) -> Profile:
    first, last = rng.choice(FIRST_NAMES), rng.choice(LAST_NAMES)
    domain = rng.choice(("com", "org", "net"))
    draw = rng.random()
    unknown = draw >= 1 - SHARE_UNKNOWN
    return Profile(
        key=_key(rng),
        email=f"{first}.{last}.{number}@example.{domain}".lower(),
        first_name=first,
        last_name=last,
        external_id=f"C{number:06}",
        opted_out=None if unknown else draw < SHARE_OPTED_OUT,
    )


def _key(rng: Random) -> str:
    """Make up a PKey: ``@`` and 91 characters of base64url."""
    return "@" + base64.urlsafe_b64encode(rng.randbytes(69))[:91].decode()


def clean(rng: Random, known: Sequence[Profile]) -> list[tuple[str, bool, date, str]]:
    """Make rows with the current state of most profiles, and with the other state of 30."""
    changing = {
        *[profile.key for profile in known if not profile.opted_out][:28],
        *[profile.key for profile in known if profile.opted_out][:2],
    }
    return [
        (
            profile.key,
            bool(profile.opted_out) is not (profile.key in changing),
            _request_date(rng),
            rng.choice(CHANNELS),
        )
        for profile in known
    ]


def messy(
    rng: Random, known: Sequence[Profile], unknown: Sequence[Profile]
) -> list[tuple[str, str, str]]:
    """Make one row or more of every kind: key, state, comment."""
    authorized = iter([profile.key for profile in known if not profile.opted_out])
    opted_out = iter([profile.key for profile in known if profile.opted_out])
    repeated, conflicting = next(authorized), next(authorized)
    rows = [(next(authorized), "false", "as it is: authorized") for _ in range(5)]
    rows += [(next(opted_out), "true", "as it is: opted out") for _ in range(4)]
    rows += [(next(authorized), "true", "opts out") for _ in range(5)]
    for state in ("TRUE", "yes", "VRAI", "1", "on", " True ", "wahr"):
        rows += [(next(authorized), state, "opts out, spelled otherwise")]
    for state in ("FALSE", "no", "FAUX", "0", "off"):
        rows += [(next(authorized), state, "as it is, spelled otherwise")]
    return [
        *rows,
        (next(opted_out), "false", "opts in again"),
        (repeated, "true", "opts out; two more rows say so"),
        (conflicting, "true", "one profile, two states"),
        (next(authorized), "maybe", "no state"),
        (next(authorized), "opted out", "no state that is understood"),
        (next(authorized), "", "empty state"),
        (next(authorized), "  ", "blank state"),
        ("", "true", "empty key"),
        ("   ", "true", "blank key"),
        ("#NAME?", "true", "key that a spreadsheet took for a formula"),
        ("1.23457E+15", "true", "key that a spreadsheet took for a number"),
        ("12/05/2026", "true", "key that a spreadsheet took for a date"),
        (_spoilt(next(authorized)), "true", "control character in the key"),
        (f"'{next(authorized)}", "true", "apostrophe before the key"),
        (f'="{next(authorized)}"', "true", "key wrapped as a formula"),
        (f"  {next(authorized)} ", "true", "blanks round the key"),
        (f"\u00a0{next(authorized)}\u00a0", "true", "no-break spaces round the key"),
        (_key(rng), "true", "no such profile"),
        (_key(rng), "false", "no such profile"),
        (base64.b64encode(rng.randbytes(31)).decode(), "true", "a cryptedId, no PKey"),
        ("007", "true", "no such profile, zeros kept"),
        ("NA", "true", "no such profile, a key all the same"),
        (unknown[0].key, "true", "profile whose state is unknown"),
        (unknown[1].key, "false", "profile whose state is unknown"),
        (next(authorized), "true", "called twice:\nfirst in May, then in June"),
        (next(authorized), "true", 'said "never again", twice'),
        (conflicting, "false", "one profile, two states"),
        (repeated, "true", "duplicate"),
        (repeated, "yes", "duplicate, spelled otherwise"),
    ]


def _spoilt(key: str) -> str:
    return f"{key[:20]}\x07{key[20:]}"


def _request_date(rng: Random) -> date:
    return date(2026, 10, 1) + timedelta(days=rng.randrange(50))


def in_workbook(text: str) -> Cell:
    """Return the cell that a spreadsheet makes of a text."""
    typed: dict[str, Cell] = {
        "TRUE": True,
        "FALSE": False,
        "1": 1,
        "0": 0,
        "1.23457E+15": 1234567890123456.0,
        "12/05/2026": date(2026, 5, 12),
    }
    return typed.get(text, text)


def write_csv(
    path: Path,
    header: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    encoding: str = "utf-8",
    line_end: str = "\n",
) -> None:
    """Write a CSV file."""
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file, lineterminator=line_end).writerows([header, *rows])


def write_parquet(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Write a Parquet file with the types of the values."""
    columns = (pa.array(values) for values in zip(*rows, strict=True))
    pq.write_table(pa.table(dict(zip(header, columns, strict=True))), path, compression="zstd")


def write_xlsx(path: Path, header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
    """Write a workbook of one sheet."""
    with xlsxwriter.Workbook(path, {"in_memory": True}) as book:
        book.set_properties({"created": datetime(2026, 11, 24, tzinfo=UTC)})
        iso_date = book.add_format({"num_format": "yyyy-mm-dd"})
        sheet = book.add_worksheet("requests")
        for row, cells in enumerate([header, *rows]):
            for column, value in enumerate(cells):
                match value:
                    case bool():
                        sheet.write_boolean(row, column, value)
                    case int() | float():
                        sheet.write_number(row, column, value)
                    case date():
                        sheet.write_datetime(row, column, value, iso_date)
                    case "#NAME?":
                        sheet.write_formula(row, column, "=PKey", value=value)
                    case _:
                        sheet.write_string(row, column, value)


def make(folder: Path) -> None:
    """Write all files."""
    rng = Random(SEED)
    everyone = profiles(rng)
    write_csv(
        folder / "profiles.csv",
        ("PKey", "email", "firstName", "lastName", "externalId", "ccpaOptOut"),
        [
            (p.key, p.email, p.first_name, p.last_name, p.external_id, STATES[p.opted_out])
            for p in everyone
        ],
    )
    known = [profile for profile in everyone if profile.opted_out is not None]
    unknown = [profile for profile in everyone if profile.opted_out is None]
    asking = rng.sample(known, 300)

    tidy = clean(rng, asking[:200])
    write_csv(
        folder / "clean.csv",
        REQUEST,
        [(key, STATES[state], day, channel) for key, state, day, channel in tidy],
    )
    write_parquet(folder / "clean.parquet", REQUEST, tidy)
    write_xlsx(folder / "clean.xlsx", REQUEST, tidy)

    header = (*REQUEST, "comment")
    mess = [
        (key, state, _request_date(rng).isoformat(), rng.choice(CHANNELS), comment)
        for key, state, comment in messy(rng, asking[200:], unknown)
    ]
    write_csv(folder / "messy.csv", header, mess, encoding="utf-8-sig", line_end="\r\n")
    nulls = [tuple(cell or None for cell in row) for row in mess]
    write_parquet(folder / "messy.parquet", header, nulls)
    typed = [tuple(map(in_workbook, row)) for row in mess]
    write_xlsx(folder / "messy.xlsx", header, typed)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Make the sample files.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parent)
    make(parser.parse_args().folder)
