"""What torch offers at which version: tables of legacy and stable names, and what the installed headers say.

Nothing outside of this package knows that a legacy name and a stable name belong together.
"""
