"""Carry CCPA opt-out states from a file into Adobe Campaign, and report on every row.

The words that the code, the messages and the documentation share:

desired state
    What the input says of a profile: ``true`` forbids the sale of its personal information,
    ``false`` authorizes it.
current state
    What Campaign answers for the profile now. Blank, ``""``, ``null`` or absent is *unknown*,
    never ``false``.
opt-in
    A change ``true -> false``. It lifts an opt-out, so it is the dangerous direction. The other
    one is an *opt-out*.
row
    One data row of the input, numbered as a spreadsheet shows it: the header is row 1.
run
    One execution over one input.
call
    One HTTP request to Campaign.
"""

__version__ = "0.1.0"
