"""The subcommands of `ner-dist`, by what they are about."""
