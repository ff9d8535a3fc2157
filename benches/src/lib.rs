//! Benchmarks of every room, each beside its peer.
