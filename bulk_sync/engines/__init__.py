"""Who carries out a run's passes over many rows.

session    one open client; lets plain code carry out passes one after the other
  current    reads states: by Campaign's list (list_choice, scan), then one by one
    producer   ... by PKey; resolve: by any other key
  write      sets states: decide decides, journal records
  workers    carry out what is done for one row after the other, until a breaker ends the run
"""
