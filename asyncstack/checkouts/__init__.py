"""Checkouts, wherever they are: what is asked for, by which rules, and how it ended.

The fetcher makes them on this machine, the delivery on others; both follow what stands here.
"""
