"""The shapes and colours of the things that a made world holds, kind by kind."""
