"""What a person or a program sees of a run.

Reports are functions of a journal, displays are sinks of events; neither knows who runs the steps.
Each module is imported by its own name, so that `--format csv` need not pay for rich.
"""
