"""Dumps: what programs write to standard output, each a source by a name of the operator's."""
