"""The wire protocol, without I/O: bytes in, typed frames out, and the tables that say what is legal."""
