"""The membership file: read, checked as a whole, and turned into what a node needs."""

from paxosd.config.file import PAGE_BYTES_MAX, Config, ConfigError, NodeConfig, load, parse, queue_cluster

__all__ = ["PAGE_BYTES_MAX", "Config", "ConfigError", "NodeConfig", "load", "parse", "queue_cluster"]
