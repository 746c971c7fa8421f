"""The page of ``bulk-sync serve``: sign-in, screens, and the runs that they start.

It parses, starts and shows; it decides nothing about a profile. Every plan and run is a process of
the command line, with lock, exit codes, checkpoint and ledger as ever. A crash of the page harms no
run, and a restarted page finds its runs again.

    app.py          the application, and how it is served
      page.py         what all screens share, from the settings to the ledger
      routes.py       the table of all paths, each with the right that it needs
      security.py     the one middleware: host, origin, sign-in, rights, headers
      rendering.py    templates; wording and pictures are those of the reports
    identity.py     people, their roles, and the rights of each role
      accounts.py     names, passwords, roles
      sessions.py     who is signed in
      attempts.py     failed sign-ins, and how long to wait after too many
      reverse_proxy.py  sign-in by a proxy in front; addresses behind it
    database.py     page.sqlite3, or tables beside a ledger on PostgreSQL
      records.py      uploads, plans and verdicts: the rows of its tables
      paperwork.py    uploads, plans, and who approved what
    upload_file.py  a file as it comes in
      upload_state.py how it stands, from its newest check
      upload_view.py  what its screen shows
      choices.py      what a person chooses about its columns
      problem_rows.py the rows that cannot be used, by reason, in pages
    jobs.py         processes of the command line: start, watch, stop; progress.py reads their logs
    old_files.py    where files are kept, and when they go
    planning.py     begins plans and applies them
      plan_state.py   how a plan stands
      plan_view.py    what its screen shows
    run_view.py     how a run stands, and what its screen shows
      report_files.py  its reports
    row_pages.py    rows of plans and runs in pages of 50
    ledger_view.py  runs and acts as the ledger has them, kept up to date
    live.py         progress as server-sent events
    pages/          the screens, a module each
    templates/      Jinja2, escaped; static/: one style sheet, one script

To add a screen:

1. A module in ``pages/`` with a coroutine for each path: it returns ``page.show(request,
   "NAME.html.j2", ...)`` or, after a POST, ``page.go("/path")``. Work on files, the ledger or
   frames goes through ``await page.blocking(function, ...)``.
2. A line for each path in ``ROUTES``, with the right that it needs; the middleware checks it. A
   template asks ``person.may(Right.X)`` only to hide a button.
3. A template without ``style=`` and scripts: the Content-Security-Policy forbids both. Fields come
   from ``form.html.j2``: an error names its field, takes the focus and keeps the input.
4. What a person decides is recorded in the ledger before anything follows from it: ``await
   page.record(person_of(request), Deed.X, ...)``.
5. A test in ``tests/web``, and the path in the list of screens for axe in ``tests/browser``.
"""
