"""Trainings side by side: benchmark, cross-corpus and depression studies."""
