"""``bulk-sync check``: test credentials, endpoint, attribute and access with a handful of reads."""

from typing import Any

import click

import bulk_sync.runs.checkup
from bulk_sync.cli import arguments, logs, options
from bulk_sync.cli.output import say
from bulk_sync.errors import Exit

_EPILOG = """\b
Example:
  BULK_SYNC_CLIENT_SECRET_FILE=/etc/bulk-sync/secret bulk-sync check --organization acme --api-key K
"""


@click.command(name="check", epilog=_EPILOG)
@options.connection_options
@options.pace_options
@options.logging_options
@options.config
def command(**values: Any) -> Exit:
    """Test credentials, endpoint, attribute and access, and say what is wrong and how to mend it.

    Sends a handful of GET requests and nothing else.
    """
    logs.set_up(values["log_format"], verbose=values["verbose"], quiet=values["quiet"])
    connection = arguments.connection(values)

    findings = bulk_sync.runs.checkup.check(connection, arguments.pace(values))
    for finding in findings:
        say(f"{'ok  ' if finding.good else 'FAIL'}  {finding.text}")
    return next((finding.exit for finding in findings if not finding.good), Exit.DONE)
