"""The state of one Campaign instance: its profiles, and the fields that each API shows."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from bulk_sync.simulator import sample_profiles
from bulk_sync.simulator.answers import CampaignErrors
from bulk_sync.simulator.behavior import Options
from bulk_sync.simulator.sample_profiles import STANDARD_FIELDS, Profile


class Instance:
    """Profiles and the writes to them.

    Attributes:
        options: how the instance behaves; may be replaced while it serves.
        url: where it is reached, e.g. ``http://127.0.0.1:8080``; Campaign and IMS alike.
        profiles: by PKey, each with its own fields only; may be changed: a missing attribute is
            absent.
        patched: the writes in the order of their effect: PKey and the attribute's new value, None
            if the write did not name it.
        forbidden: PKeys of profiles that may be read but not modified; add to it.
        snapshot: the keys that the latest list selected, so that its pages fit together.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self.url = ""
        self.profiles: dict[str, Profile] = {}
        self.patched: list[tuple[str, bool | None]] = []
        self.forbidden: set[str] = set()
        self.snapshot: tuple[object, list[str]] = (None, [])
        self._by_custom_key: dict[object, str] = {}
        self._by_email: dict[object, dict[str, None]] = {}
        self._custom_fields: set[str] = set()
        self._added = 0
        attribute, seed = options.attribute, options.seed
        if options.profiles_csv is not None:
            made = sample_profiles.read(options.profiles_csv, seed, attribute)
        else:
            made = sample_profiles.make_up(options.profiles, seed, attribute)
        for profile in made:
            self._add(profile)

    @property
    def errors(self) -> CampaignErrors:
        """Campaign's error answers, in the dialect and style of the options."""
        return CampaignErrors(self.options.dialect, self.options.error_style)

    @property
    def states(self) -> dict[str, object]:
        """The opt-out of every profile by PKey; None if it is null or absent."""
        attribute = self.options.attribute
        return {key: profile.get(attribute) for key, profile in self.profiles.items()}

    def add(self, pkey: str | None = None, **fields: object) -> str:
        """Add a profile with just these fields, and return its PKey, made up if there is none."""
        return self._add({"PKey": pkey, **fields})

    def find(self, key: str, api: str) -> str | None:
        """Return the PKey for a key in a URL; custom keys work on ``Ext`` only."""
        if key in self.profiles:
            return key
        pkey = self._by_custom_key.get(key) if self.takes_custom_keys(api) else None
        return pkey if pkey in self.profiles else None

    def having_email(self, email: str) -> list[str]:
        """Return the profiles that have, or once had, an address."""
        return [key for key in self._by_email.get(email, ()) if key in self.profiles]

    def takes_custom_keys(self, api: str) -> bool:
        """Return whether this API accepts custom keys in URLs."""
        return self.options.custom_key is not None and api.endswith("Ext")

    def fields(self, api: str) -> set[str]:
        """Return the names of the fields of this API."""
        known = STANDARD_FIELDS.keys() | self._attribute_fields | self._custom_fields
        return known - self._hidden(api)

    def show(self, key: str, api: str) -> dict[str, Any]:
        """Build the whole profile as this API shows it."""
        href = self.href(key, api)
        shown = {**STANDARD_FIELDS, **self.profiles[key], "href": href}
        for name in self._hidden(api):
            shown.pop(name, None)
        return shown

    def href(self, key: str, api: str) -> str:
        """Build the link to a profile."""
        return f"{self.base(api)}/profile/{quote(key, safe='@')}"

    def base(self, api: str) -> str:
        """Build the URL of an API."""
        return f"{self.url}/{self.options.organization}/campaign/{api}"

    def create(self, fields: Profile) -> str:
        """Apply a POST: a new profile has not opted out unless a field says so."""
        attribute = self.options.attribute
        now = sample_profiles.timestamp(datetime.now(UTC))
        stamps = {"created": now, "lastModified": now, f"{attribute}LastModified": ""}
        return self._add({attribute: False, **fields, **stamps})

    def write(self, key: str, changes: Profile) -> None:
        """Apply a PATCH and move its timestamps."""
        attribute = self.options.attribute
        now = sample_profiles.timestamp(datetime.now(UTC))
        stamps = {"lastModified": now}
        if attribute in changes:
            stamps[f"{attribute}LastModified"] = now
        self.profiles[key].update({**changes, **stamps})
        self._by_email.setdefault(self.profiles[key].get("email"), {})[key] = None
        self.patched.append((key, changes.get(attribute)))

    def _add(self, profile: Profile) -> str:
        self._added += 1
        key = str(profile.get("PKey") or sample_profiles.pkey(self.options.seed, -self._added))
        self.profiles[key] = {**profile, "PKey": key}
        self._by_email.setdefault(profile.get("email"), {})[key] = None
        self._custom_fields.update(profile.keys() - STANDARD_FIELDS.keys() - self._attribute_fields)
        if self.options.custom_key is not None and self.options.custom_key in profile:
            self._by_custom_key[profile[self.options.custom_key]] = key
        return key

    @property
    def _attribute_fields(self) -> set[str]:
        return {self.options.attribute, f"{self.options.attribute}LastModified"}

    def _hidden(self, api: str) -> set[str]:
        hidden = set() if api.endswith("Ext") else self._custom_fields
        return hidden if api in self.options.attribute_apis else hidden | self._attribute_fields
