"""Plays an affiliate platform over HTTP: a coherent programme, delivered as platforms deliver, signed and retried."""
