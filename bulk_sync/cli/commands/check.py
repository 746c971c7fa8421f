"""``bulk-sync check``: test credentials, endpoint, attribute and access with a handful of reads."""

from typing import Any

from bulk_sync.cli import arguments
from bulk_sync.cli.command import Command
from bulk_sync.cli.options import deployment_options, run_options
from bulk_sync.cli.output import say
from bulk_sync.errors import Exit
from bulk_sync.settings import Pace


@Command.declare(
    "check",
    *deployment_options.CONNECTION,
    *run_options.PACE,
    *run_options.LOGGING,
    examples="""
  BULK_SYNC_CLIENT_SECRET_FILE=/etc/bulk-sync/secret bulk-sync check --organization acme --api-key K
""",
)
def command(**values: Any) -> Exit:
    """Test credentials, endpoint, attribute and access, and explain how to mend what is wrong.

    Sends a handful of GET requests and nothing else.
    """
    from bulk_sync.runs.commands import checkup

    findings = checkup.check(arguments.connection(values), Pace.from_options(values))
    for finding in findings:
        say(f"{'ok  ' if finding.good else 'FAIL'}  {finding.text}")
    return next((finding.exit for finding in findings if not finding.good), Exit.DONE)
