"""Volumes that are btrfs subvolumes, bounded by quota groups."""
