"""One module for each command that works with runs.

    sync           run, plan     reread          audit
    reviewed_plan  apply         person_history  history
    resumption     resume        key_mapping     map
    second_try     retry         checkup         check
    reversal       undo          past_reports    report
    judging        validate      ledger_copy     ledger copy

``tidy`` is ``history/housekeeping.py``: each run tidies up too.
"""
