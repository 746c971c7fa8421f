"""The API's near end: requests, answers, tokens and pace. Knows nothing of files and frames."""
