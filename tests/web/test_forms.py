"""The fields of a form, in any number."""

import asyncio
import time

from multidict import MultiDict

from bulk_sync.web.forms import Form


class Sent:
    """A request received whole: only its fields are left to parse."""

    def __init__(self, fields: int) -> None:
        self._fields = MultiDict([("page", "1\0")] * fields)

    async def post(self) -> MultiDict[str]:
        return self._fields


def read(fields: int) -> tuple[Form, float]:
    """Read a form; return it with its seconds of computing."""
    sent, begun = Sent(fields), time.thread_time()
    form = asyncio.run(Form.read(sent))  # type: ignore[arg-type]
    return form, time.thread_time() - begun


def test_a_field_may_stand_several_times() -> None:
    form, _ = read(2)
    assert list(form.texts("page")) == ["1\ufffd", "1\ufffd"]
    assert (form.text("page"), form.text("other"), form.texts("other")) == ("1\ufffd", "", ())


def test_many_fields_of_one_name_cost_no_more_than_their_number() -> None:
    """Everybody waits meanwhile, and the form of the sign-in needs no session."""
    few, many = (min(read(fields)[1] for _ in range(3)) for fields in (5_000, 80_000))
    assert many < 80 * few
