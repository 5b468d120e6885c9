"""The shapes and colours of the objects that a synthetic world holds, kind by kind."""
