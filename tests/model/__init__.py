"""Random sequences of what people, a host and a thief do, held against a simple model of what must come of it."""
