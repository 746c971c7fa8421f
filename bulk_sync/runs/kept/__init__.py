"""What a run leaves on the disk and in the ledger, so that it survives a crash."""
