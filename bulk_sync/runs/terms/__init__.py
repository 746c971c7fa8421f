"""What a run is to do, and on which terms: job, protected people, calls, approvals."""
