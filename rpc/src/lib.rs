//! The gRPC edge of Moiety.
