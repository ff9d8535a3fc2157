//! Records, durability and search.
