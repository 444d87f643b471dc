//! Skychat: signed append-only feeds and their replication.
