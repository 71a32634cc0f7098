"""Conversion, export and upload of models, their cards, and the records of their trainings."""
