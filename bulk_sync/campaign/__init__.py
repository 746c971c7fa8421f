"""The API's near end: tokens, requests, responses and pace. Knows nothing of files and frames.

All retries and their rules. A backoff is half a second, doubled with each try up to thirty, less up
to half of it at random. --patience bounds every request, with all its tries and waits.

what                            how often                       wait before                  where
------------------------------  ------------------------------  ---------------------------  -----
429                             without a limit                 Retry-After, or 1 s doubled  [1] [2]
                                                                to 60 s, for every request
5xx with Retry-After            without a limit                 Retry-After                  [1]
no server, or no connection     without a limit                 backoff                      [1]
a lost connection               --retries times; then while     backoff                      [1]
                                one call finds no server
5xx, 408, 425, a timeout,       --retries times                 backoff                      [1]
no JSON
3xx, a gateway's 403, "Oops"    --retries times, then its own   backoff                      [1]
from an address that worked     error
response about another request  twice                           none; own connection         [1] [3]
response that may be a copy     once                            none; own connection         [1] [3]
401, a gateway's 403            with a new token, 3 times in    none                         [4]
                                3 minutes
401 without a client secret,    --retries times; the run ends   backoff                      [1] [4]
or with enough new tokens       after 3 in a row, or 10 if a
                                token was accepted before
a page that is too large        with a quarter of the profiles  none                         [5]
PATCH without a clear response  as its error, if reading back   as its error                 [6]
                                shows that nothing arrived
POST without a clear response   as its error, if looking for    as its error, and ten        [7]
                                the profile shows none          response times
POST that was accepted (202)    never: looked for twice         -                            [7]
a failed row that may pass      once, at the end of the pass    none                         [8]

[1] retries.py   [2] pacing.py   [3] mismatches.py   [4] auth.py   [5] profile_list.py
[6] client.py    [7] create.py   [8] engines/workers.py
"""
