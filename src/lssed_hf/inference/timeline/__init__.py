"""Emotion over time in long recordings."""
