"""The described fields of profiles, and what is said of a field that is not among them."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from bulk_sync.campaign import resource_metadata
from bulk_sync.errors import RetryLater, UsageProblem

STANDARD, EXTENDED = "profileAndServices", "profileAndServicesExt"
KNOWN = {
    STANDARD: {"ccpaOptOut": "boolean", "blackList": "boolean", "email": "string", "odd": ""},
    EXTENDED: {"cusOptOut": "boolean", "cusOptText": "string", "cusOptDay": "date"},
}

CLOSE = " Boolean fields that come close: blackList, cusOptOut, ccpaOptOut."


def check(attribute: str, api: str, known: Mapping[str, Mapping[str, str]] = KNOWN) -> None:
    async def read_fields(api: str) -> Mapping[str, str] | None:
        return known.get(api)

    asyncio.run(resource_metadata.check_attribute(read_fields, attribute, api))


@pytest.mark.parametrize(
    ("content", "fields"),
    [
        ({"x": {"apiName": "a", "name": "b", "type": "string"}}, {"a": "string"}),
        ({"x": {"name": "b", "type": "boolean"}, "y": {}}, {"b": "boolean", "y": ""}),
        ([{"apiName": "a"}, "other", {"name": "b", "type": None}], {"a": "", "b": ""}),
    ],
)
def test_fields_are_described_by_name_or_in_a_list(content: object, fields: dict[str, str]) -> None:
    assert resource_metadata.fields({"content": content}) == fields


@pytest.mark.parametrize("parsed", [None, [], {}, {"content": 7}, {"content": []}])
def test_a_response_without_fields_is_read_again(parsed: Any) -> None:
    with pytest.raises(RetryLater, match="without a description of profiles"):
        resource_metadata.fields(parsed)


@pytest.mark.parametrize(
    ("attribute", "api"),
    [("ccpaOptOut", STANDARD), ("odd", STANDARD), ("cusOptOut", EXTENDED), ("any", "unknown")],
    ids=["a boolean", "of no type", "a field of one's own", "nothing is known"],
)
def test_a_boolean_field_may_be_the_attribute(attribute: str, api: str) -> None:
    check(attribute, api)


@pytest.mark.parametrize(
    ("attribute", "api", "says"),
    [
        (
            "email", STANDARD,
            "the field is not a boolean, but string. Boolean fields that come close: ccpaOptOut.",
        ),
        (
            "cusOptOut", STANDARD,
            f"{STANDARD} does not show this field, {EXTENDED} does. Give --api {EXTENDED}.",
        ),
        (
            "ccpaOptOut", EXTENDED,
            f"{EXTENDED} does not show this field, {STANDARD} does. Give --api {STANDARD}.",
        ),
        (
            "BLACKLISTED", STANDARD,
            f"profiles have no such field, neither on {STANDARD} nor on {EXTENDED}.{CLOSE}",
        ),
    ],
)  # fmt: skip
def test_another_attribute_is_refused_with_the_fields_that_come_close(
    attribute: str, api: str, says: str
) -> None:
    with pytest.raises(UsageProblem) as refused:
        check(attribute, api)
    assert str(refused.value) == f"--attribute {attribute}: {says}"


def test_without_a_boolean_field_none_comes_close() -> None:
    with pytest.raises(UsageProblem, match=r"not a boolean, but date\.$"):
        check("cusOptDay", EXTENDED, {EXTENDED: {"cusOptDay": "date"}})


def test_unknown_fields_are_refused_if_any_are_known() -> None:
    resource_metadata.check_fields({}, ["x"], "--create-column", STANDARD)
    resource_metadata.check_fields(KNOWN[STANDARD], ["email", "odd"], "--create-column", STANDARD)
    with pytest.raises(UsageProblem) as refused:
        resource_metadata.check_fields(KNOWN[STANDARD], ["odd", "EMail"], "--key-field", STANDARD)
    assert str(refused.value) == (
        f"--key-field EMail: profiles have no such field on {STANDARD}. Fields that come close: "
        "email."
    )
