"""Carries out work in several event loops, each in a process of its own.

    source --parts--> worker --GET, PATCH--> Campaign
    steps, breaker, note, tell <--news-- |
    calls, holds       <--and back-->    |

For a machine with cores to spare, where one event loop is the limit. All that decides or remembers
stays here: the rows, the ledger, when to give up, how many calls there are. A worker gets parts of
half a second's work, two at a time, so that none waits for another. A worker that dies takes
nothing with it but the certainty of what it had in hand, as a run that is killed does.

The first rows are done here: until workers that were asked for are up, or, where nobody has asked
for any, until one event loop is seen to be the limit (``gauge``), which it hardly ever is.

Whoever shares a rate that nobody knows cannot learn it, for each takes the refusals of the others
for its own. So once Campaign refuses requests for a rate that was not given, the workers, if there
are any yet, give back what they have not begun, and this process goes on alone for the rest of the
run.
"""
