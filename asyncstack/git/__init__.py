"""A thin, typed layer over git subprocesses: safe to call concurrently, never prompting."""
