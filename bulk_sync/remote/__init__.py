"""Files in buckets and on web servers: inputs, reports and checkpoints that lie elsewhere.

    url ----------> what a URL names, and how it may be shown and recorded
    store --------> the store of a URL, and its errors in our words
    download -----> an input, once, with the SHA-256 and ETag of each file
    web ----------> the same for a web server
    upload -------> a report, whole or not at all, and never over another one
    mirror -------> the checkpoint of a run, for other machines

Buckets need the extra ``cloud`` (obstore, and boto3 for the rules of AWS), imported when the first
URL is used. Credentials are found by each cloud's own rules. No text of a store is shown or
logged: it may hold a secret.
"""
