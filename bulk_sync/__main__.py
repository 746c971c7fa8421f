"""``python -m bulk_sync`` is ``bulk-sync``."""

from bulk_sync.cli import program

if __name__ == "__main__":
    program()
