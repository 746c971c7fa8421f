"""The straight line of every run, from the check of its input to its report.

    validation --> begin --> pipeline --> finish

``pipeline`` reads, compares, shows a ``review``, and calls ``writing``.
"""
