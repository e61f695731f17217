"""One connection: bytes become requests within limits and deadlines, and answers become bytes."""
