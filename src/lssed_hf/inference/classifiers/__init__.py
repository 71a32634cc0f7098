"""Classifiers of waveforms, one file for each kind of model."""
