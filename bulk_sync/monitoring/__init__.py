"""Hooks for those who monitor the runs of the night: each gets the end of every run, counts alone.

    RunEnd --> metrics_file.py   gauges for Prometheus
           --> ping.py           pings for healthchecks.io and the like, also at the beginning
           --> notification.py   messages to people, if the state of the job changed

A hook never changes what a run does or how it exits. ``time_budget.py`` keeps all of them short.
A hook is imported if its option is given.
"""
