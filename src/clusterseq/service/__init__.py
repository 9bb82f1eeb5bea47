"""The service: recommendations over HTTP."""
