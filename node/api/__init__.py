"""Thin JSON routers over the services, and the one table from error to problem document."""
