//! Skychat: the parts as one state machine.
