//! The command `windrow` and the flags of `windrow-server`.

mod apply;
mod command;
mod home;
mod server;
mod watch;
