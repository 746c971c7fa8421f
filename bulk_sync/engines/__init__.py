"""Who carries out a run's passes over many rows.

session    one open client; lets plain code carry out passes one after the other
  scan       current states, by the pages of the list
  passes     states looked up and set, and what surrounds that: journal, second tries
    work       what is done for one row, as data and a coroutine
    local      ... carried out in one event loop
"""
