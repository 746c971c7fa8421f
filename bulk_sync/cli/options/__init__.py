"""Every option, declared in one place; the config file and the variables follow from it."""
