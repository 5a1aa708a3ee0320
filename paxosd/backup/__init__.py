"""Backups: a cluster's state and log as files, and new directories made of them."""
