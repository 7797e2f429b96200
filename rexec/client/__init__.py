"""The client's side of the hall: joins transport, protocol and keys into sessions and results."""
