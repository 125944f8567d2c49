"""`make bench`: how fast kwhost is, measured beside its references in one run. Figures, not tests.

May import: kwhost. Nothing imports it.
"""
