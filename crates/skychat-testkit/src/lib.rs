//! Skychat: seeded keys and clocks, simulated networks, disks that tear writes.
