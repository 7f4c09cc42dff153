"""Ways to make an edit, compared on scenes whose truth is known, and on photographs.

    .venv-render/bin/python -m benchmarks.compare_methods.render PAIRS
    python -m benchmarks.compare_methods --pairs PAIRS

See docs/comparison.md.
"""
