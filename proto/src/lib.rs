//! Moiety's wire contract: the moiety.v1 package.
