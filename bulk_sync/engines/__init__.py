"""Who carries out a pass over many rows: ``local`` does it in one event loop."""
