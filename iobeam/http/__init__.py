"""From a request object to bytes on a socket and back."""
