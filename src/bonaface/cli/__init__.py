"""The command line: one file a command. Work is imported inside the functions, so that help is quick."""
