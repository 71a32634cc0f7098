"""Training: cached features, random crops and augmentation, the paper's recipe on transformers' Trainer."""
