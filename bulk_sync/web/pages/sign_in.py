"""Sign-in: by name and password, or once by the token of the URL that ``serve`` has printed."""

from aiohttp import web

from bulk_sync.storage import lock
from bulk_sync.web.attempts import TooManyAttempts
from bulk_sync.web.forms import Form
from bulk_sync.web.identity import Person
from bulk_sync.web.page import page_of

_USED = (
    "This address signs in once, and it was used before or is not from this start of the page. "
    "Start `bulk-sync serve` again: it prints a new one."
)
_WRONG = (
    "Name or password is wrong. Capitals count in the password. If you forgot it, ask "
    "the person who looks after the accounts: `bulk-sync users password` sets a new one."
)


async def form(request: web.Request) -> web.StreamResponse:
    """Show the form, or sign in by the token."""
    page = page_of(request)
    way = _local(request.query.get("next", ""))
    token = request.query.get("token", "")
    if not token or request.method == "HEAD":
        return _shown(request, way)
    name = await page.blocking(lock.user)
    session_id = await page.blocking(page.sessions.redeem, token, name)
    if session_id is None:
        return _shown(request, way, error=_USED, status=403)
    raise page.sign_in(request, session_id, "/")


async def sign_in(request: web.Request) -> web.StreamResponse:
    """Sign in by name and password, and begin a new session whatever there was."""
    page = page_of(request)
    fields = await Form.read(request)
    name, password = fields.text("name"), fields.secret("password")
    way = _local(fields.text("next"))
    try:
        attempt = await page.blocking(page.attempts.begin, name, page.address_of(request))
    except TooManyAttempts as many:
        minutes = -(-many.wait_s // 60)
        wait = f"{minutes} minutes" if minutes > 1 else "a minute"
        error = f"Too many failed attempts. Wait {wait}, then try again."
        response = _shown(request, way, name, error, status=429)
        response.headers["Retry-After"] = str(many.wait_s)
        return response
    async with page.hashing:
        person = await page.blocking(page.accounts.check, name, password)
    if person is None:
        return _shown(request, way, name, _WRONG, status=401)
    session_id = await page.blocking(_begin, request, person, attempt)
    raise page.sign_in(request, session_id, way or "/")


async def sign_out(request: web.Request) -> web.StreamResponse:
    """End this session."""
    page = page_of(request)
    await page.blocking(_end, request)
    page.go("/sign-in", "signed-out")


def _begin(request: web.Request, person: Person, attempt: str) -> str:
    page = page_of(request)
    page.attempts.succeeded(attempt)
    _end(request)
    return page.sessions.begin(person)


def _end(request: web.Request) -> None:
    page = page_of(request)
    session_id = request.cookies.get(page.cookie(request))
    if session_id:
        page.sessions.end(session_id)


def _shown(
    request: web.Request, way: str, name: str = "", error: str = "", *, status: int = 200
) -> web.Response:
    page = page_of(request)
    shown = {"next": way, "name": name, "error": error}
    return page.show(request, "sign_in.html.j2", status=status, **shown)


def _local(path: str) -> str:
    """Return a path of this page; "" for any other address."""
    is_path = path.startswith("/") and not path.startswith("//") and "\\" not in path
    is_plain = path.isascii() and path.isprintable() and " " not in path
    return path if is_path and is_plain else ""
