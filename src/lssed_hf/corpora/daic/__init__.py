"""DAIC-WOZ and E-DAIC: interviews, cut into segments that carry the participant's PHQ-8 score."""
