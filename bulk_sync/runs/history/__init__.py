"""A run among all others: which follows which, whose request stands, what may go."""
