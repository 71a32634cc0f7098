"""Classifiers of waveforms, a module for each kind of model."""
