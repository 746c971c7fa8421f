"""Frames in, frames out: reading, checking and comparing rows. No HTTP, SQL or click."""
