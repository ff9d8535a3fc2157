//! Structures in, facts out: the only room that knows what a molecule is.
