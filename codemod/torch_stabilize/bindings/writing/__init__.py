"""Registrations and declarations as stable code, and the legacy ones taken out."""
