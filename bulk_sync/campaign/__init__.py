"""The API's near end: requests, answers, tokens and pace. Knows nothing of files and frames.

What is tried again, by whom, and for how long:

    a wait that Campaign asks for        transport.py   for --patience; costs no try
    no server that takes a connection    transport.py   for --patience, whatever --retries says
    a lost connection                    transport.py   likewise, while nothing else is answered
    5xx, 408, no answer, no JSON         transport.py   --retries times
    3xx, a gateway's 403                 transport.py   --retries times, then its last word
    "Oops" from a gateway that has       transport.py   likewise
    served this address before
    401                                  auth.py        a new token, or the same one again
    a page that is too large             listing.py     a smaller one
    a POST without a clear answer        creating.py    after it was looked for
    a row given up for what may pass     engines/       once more at the end of the pass
"""
