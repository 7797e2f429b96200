"""The server's side of the hall: a listener that talks, a runner that decides and starts."""
