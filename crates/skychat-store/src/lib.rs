//! Skychat: the journal and its index.
