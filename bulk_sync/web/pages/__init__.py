"""The screens, a module each. ``bulk_sync/web/__init__.py`` explains how to add one."""
