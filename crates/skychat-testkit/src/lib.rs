//! Skychat: seeded keys and clocks, simulated networks, disks that tear writes.
//!
//! For tests of this workspace and of programs that embed Skychat. Nothing here touches a socket, a clock or a file.

pub mod sim;

pub mod disk;
