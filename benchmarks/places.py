"""The trainer's places of additions, under the name that benchmarks use."""

from training.places import *  # noqa: F403
