"""To and from other homes of models: conversion of released checkpoints."""
